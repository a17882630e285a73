import { request } from 'node:http';
import type { Logger } from 'pino';

export interface AgentAddress {
  readonly agentHost: string;
  readonly agentPort: number;
  readonly agentUrl: string | undefined;
}

const intervalMs = 30_000;
const timeoutMs = 3000;

/**
 * Says when a Datadog Agent appears or disappears, and nothing in between. Without one, all works but the spans.
 * Returns how to stop.
 */
export function watchAgent(address: AgentAddress, logger: Logger): () => void {
  const where = address.agentUrl ?? `http://${address.agentHost}:${address.agentPort}`;
  let reachable: boolean | undefined;
  const probe = (): void => {
    askInfo(where).then((reason) => {
      const answers = reason === undefined;
      if (answers === reachable) return;
      reachable = answers;
      if (answers) logger.info({ agent: where }, 'Datadog Agent reached');
      else {
        logger.warn(
          { agent: where, reason },
          'no Datadog Agent in reach: requests are inspected and blocked all the same, attacks are in this log and in /metrics; DD_TRACE_ENABLED=false silences this',
        );
      }
    });
  };
  probe();
  const timer = setInterval(probe, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Resolves with the reason why it did not answer, undefined when it did. */
function askInfo(where: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const unix = where.startsWith('unix:');
    const path = where.replace(/^unix:(\/\/)?/, '');
    try {
      const call = unix
        ? request({ socketPath: path, path: '/info', timeout: timeoutMs })
        : request(new URL('/info', where), { timeout: timeoutMs });
      call.on('response', (response) => {
        response.resume();
        resolve(undefined);
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      call.on('error', (cause) => resolve(cause.message === '' ? String(cause) : cause.message));
      call.end();
    } catch (cause) {
      resolve(String(cause));
    }
  });
}
