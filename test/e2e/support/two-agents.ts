// HAProxy with two agents that know each other, and the load that shows whether a response finds its request.
import { onTestFinished } from 'vitest';
import { Daemon, type SecurityEvent } from './daemon.ts';
import { freePort } from './free-port.ts';
import { type RunningHaproxy, startHaproxy } from './haproxy.ts';
import { Http1Connection } from './http-client.ts';
import { startOrigin } from './origin.ts';
import { patientChecks, patientTimeouts } from './patience.ts';
import { type ConfFile, type ConfSet, confEnvironment, proxyConfig } from './shipped-config.ts';
import type { FoundHaproxy } from './stubbed-proxy.ts';

export interface TwoAgents {
  readonly httpPort: number;
  readonly agents: readonly [Daemon, Daemon];
  readonly haproxy: RunningHaproxy;
  /** The sum of a metric over both. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Security events of both. */
  events(phase: string): SecurityEvent[];
}

export interface TwoAgentsPlan {
  readonly set?: ConfSet;
  readonly edit?: (name: ConfFile, text: string) => string;
  /** Lines of the agents' backend: patient health checks unless told. */
  readonly agentBackend?: string;
  /** Of the agents. */
  readonly env?: Readonly<Record<string, string>>;
}

/** For one test; ends with it. */
export async function startTwoAgents(binary: FoundHaproxy, plan: TwoAgentsPlan = {}): Promise<TwoAgents> {
  const ports = [await freePort(), await freePort()] as const;
  const env = {
    DD_HAPROXY_SPOA_PEERS: ports.map((port) => `127.0.0.1:${port}`).join(','),
    DD_HAPROXY_SPOA_PEER_SECRET: 'a secret of the tests',
    APPSEC_EDGE_ENGINE_THREADS: '1',
    DD_HAPROXY_SPOA_PROCESSING_TIMEOUT: '30s',
    DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '0',
    ...plan.env,
  };
  const agents = [
    new Daemon({ env }, ports[0], await freePort()),
    new Daemon({ env }, ports[1], await freePort()),
  ] as const;
  const [origin, httpPort] = [await startOrigin(), await freePort()];
  for (const agent of agents) onTestFinished(() => void agent.stop('SIGKILL'));
  onTestFinished(() => origin.stop());
  await Promise.all(agents.map((agent) => agent.start()));
  await Promise.all(agents.map((agent) => agent.log.waitFor(/"msg":"linked to a peer"/)));
  const haproxy = await startHaproxy({
    binary: binary.path,
    config: proxyConfig({
      ...{ httpPort, originPort: origin.port },
      ...(plan.set === undefined ? {} : { set: plan.set }),
      ...(plan.edit === undefined ? {} : { edit: plan.edit }),
      agentBackend: `${plan.agentBackend ?? patientChecks}    server two 127.0.0.1:${ports[1]} check`,
    }),
    readyPort: httpPort,
    env: { ...confEnvironment(ports[0], plan.set), ...patientTimeouts },
  });
  onTestFinished(() => haproxy.stop());
  return {
    ...{ httpPort, agents, haproxy },
    async metric(name, labels) {
      const values = await Promise.all(agents.map((agent) => agent.metric(name, labels)));
      return values.reduce((sum, value) => sum + value, 0);
    },
    events(phase) {
      return agents
        .flatMap((agent) => agent.log.lines.filter((line) => line.includes('"event":"security"')))
        .map((line) => JSON.parse(line) as SecurityEvent)
        .filter((event) => event.phase === phase);
    },
  };
}

export interface LeakLoad {
  /** Resolves when so many requests have been answered in all. */
  reached(count: number): Promise<void>;
  /** Resolves when all have been answered. */
  readonly done: Promise<void>;
  /** What a client would call an error. */
  readonly failures: string[];
  /** So many requests more, and it is done. */
  endAfter(more: number): void;
}

/**
 * Those with an even number get a response that shows an attack, and nothing else does.
 * @param requests in all; a load without a number goes on until `endAfter`.
 */
export function startLeakLoad(port: number, clients: number, requests = Number.POSITIVE_INFINITY): LeakLoad {
  const failures: string[] = [];
  let most = requests;
  const waiting: { readonly count: number; readonly wake: () => void }[] = [];
  let next = 0;
  let answered = 0;
  const client = async (): Promise<void> => {
    let connection = new Http1Connection(port);
    while (next < most) {
      const mark = next++;
      const target = mark % 2 === 0 ? `/say?header=leak-report&mark=${mark}` : `/?mark=${mark}`;
      try {
        const { status, headers } = await connection.request({ target });
        if (status !== 200) failures.push(`${target}: ${status}`);
        if (headers.some(([name, value]) => name === 'connection' && value === 'close')) {
          connection.close();
          connection = new Http1Connection(port);
        }
      } catch (cause) {
        failures.push(`${target}: ${String(cause)}`);
        connection.close();
        connection = new Http1Connection(port);
      }
      answered += 1;
      for (const waiter of waiting) if (answered >= waiter.count) waiter.wake();
    }
    connection.close();
  };
  const done = Promise.all(Array.from({ length: clients }, client)).then(() => undefined);
  const reached = (count: number): Promise<void> =>
    new Promise((resolve) => {
      if (answered >= count) resolve();
      else waiting.push({ count, wake: resolve });
    });
  const endAfter = (more: number): void => {
    most = next + more;
  };
  // A test that fails on the way does not stop it.
  onTestFinished(() => endAfter(0));
  return { reached, done, failures, endAfter };
}

/** What HAProxy's own log says of one request. */
export interface LoggedRequest {
  readonly mark: number;
  /** `-` when every question was answered. */
  readonly error: string;
  readonly trace: string;
}

/** From the log line that frontend-config.cfg offers. */
export function loggedRequests(lines: readonly string[]): LoggedRequest[] {
  return lines.flatMap((line) => {
    const found = /mark=(\d+) .* dd_trace=(\S+) dd_error=(\S+)/.exec(line);
    return found === null ? [] : [{ mark: Number(found[1]), trace: found[2] ?? '', error: found[3] ?? '' }];
  });
}
