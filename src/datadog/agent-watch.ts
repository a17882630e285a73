import type { Logger } from 'pino';
import { messageOf } from '../message-of.ts';
import { type AgentAddress, agentUrlOf, askAgent } from './agent-http.ts';

const intervalMs = 30_000;
const timeoutMs = 3000;

/**
 * Says when a Datadog Agent appears or disappears, and nothing in between. Without one, all works but the spans.
 * Returns how to stop.
 */
export function watchAgent(address: AgentAddress, logger: Logger): () => void {
  const where = agentUrlOf(address);
  let reachable: boolean | undefined;
  const probe = (): void => {
    const told = (reason: string | undefined): void => {
      const answers = reason === undefined;
      if (answers === reachable) return;
      reachable = answers;
      if (answers) logger.info({ agent: where }, 'connected to the Datadog Agent');
      else {
        logger.warn(
          { agent: where, reason },
          'cannot reach the Datadog Agent: traffic is still inspected, and attacks are in this log and in /metrics; to silence this, set DD_TRACE_ENABLED=false',
        );
      }
    };
    askAgent(where, { method: 'GET', path: '/info', timeoutMs }).then(
      () => told(undefined),
      (cause: unknown) => told(messageOf(cause)),
    );
  };
  probe();
  const timer = setInterval(probe, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
