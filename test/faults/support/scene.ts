// HAProxy, one or two real agents, an origin, and what can be asked of them. No vitest: the soak uses it too.
import { readdirSync, readFileSync } from 'node:fs';
import { Daemon, type DaemonOptions } from '../../e2e/support/daemon.ts';
import { freePort } from '../../e2e/support/free-port.ts';
import { type Origin, startOrigin } from '../../e2e/support/origin.ts';
import { confEnvironment, proxyConfig } from '../../e2e/support/shipped-config.ts';
import { MasterHaproxy } from './master-haproxy.ts';
import { shownOutcome } from './paced-load.ts';

export interface ScenePlan {
  /** Path of HAProxy. */
  readonly binary: string;
  readonly agents?: 1 | 2;
  readonly daemon?: DaemonOptions;
  readonly kind?: 'master' | 'single';
  /** Of HAProxy. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Scene {
  readonly httpPort: number;
  readonly agents: readonly Daemon[];
  readonly haproxy: MasterHaproxy;
  readonly origin: Origin;
  /** The sum of a metric over all agents that answer. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Nothing gets lost because the machine is busy with other things. What operators get is 200 ms and 100 ms: a test that
 * waits for a dead agent sets them.
 */
const patient = { DD_SPOA_PROCESSING_TIMEOUT: '3s', DD_SPOA_HELLO_TIMEOUT: '3s' };

export async function startScene(plan: ScenePlan): Promise<Scene> {
  const count = plan.agents ?? 1;
  const ports = [await freePort(), await freePort()].slice(0, count);
  const peers = {
    DD_HAPROXY_SPOA_PEERS: ports.map((port) => `127.0.0.1:${port}`).join(','),
    DD_HAPROXY_SPOA_PEER_SECRET: 'a secret of the tests',
  };
  const env = { ...(count === 2 ? peers : {}), APPSEC_EDGE_ENGINE_THREADS: '1', ...plan.daemon?.env };
  const agents: Daemon[] = [];
  for (const port of ports) agents.push(new Daemon({ ...plan.daemon, env }, port, await freePort()));
  const [origin, httpPort] = [await startOrigin(), await freePort()];
  const haproxy = new MasterHaproxy({
    ...{ binary: plan.binary, readyPort: httpPort, kind: plan.kind ?? 'master' },
    config: proxyConfig({
      ...{ httpPort, originPort: origin.port, frontend: shownOutcome },
      // A client that keeps its connection over a reload gets its next answer, and then the end of the connection.
      defaults: '    option dontlog-normal\n    option idle-close-on-response',
      agentBackend: ports
        .slice(1)
        .map((port) => `    server two 127.0.0.1:${port} check`)
        .join('\n'),
    }),
    env: { ...confEnvironment(ports[0] ?? 0), ...patient, ...plan.env },
  });
  const stop = async (): Promise<void> => {
    await haproxy.stop();
    await Promise.all(agents.map((agent) => agent.stop('SIGKILL')));
    await origin.stop();
  };
  try {
    await Promise.all(agents.map((agent) => agent.start()));
    if (count === 2) {
      await Promise.all(agents.map((agent) => agent.log.waitFor(/"msg":"linked to a peer"/)));
    }
    await haproxy.start();
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    ...{ httpPort, agents, haproxy, origin, stop },
    async metric(name, labels) {
      const values = await Promise.all(agents.map((agent) => agent.metric(name, labels)));
      return values.reduce((sum, value) => sum + value, 0);
    },
  };
}

/** What a process holds. */
export interface Vitals {
  readonly residentMb: number;
  readonly descriptors: number;
}

export function vitalsOf(pid: number): Vitals {
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return { residentMb: kilobytes / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
