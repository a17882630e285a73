// The ports of the demo: the usual ones where they are free.
import { createServer } from 'node:net';

export interface DemoPorts {
  /** HAProxy: where to send requests. */
  readonly http: number;
  readonly origin: number;
  /** The agent, for the proxy. */
  readonly agent: number;
  /** The agent: /, /ready and /metrics. */
  readonly health: number;
  /** Envoy's own pages. */
  readonly admin: number;
}

export async function choosePorts(): Promise<DemoPorts> {
  return {
    http: await portNear(8080),
    origin: await portNear(8090),
    agent: await portNear(3000),
    health: await portNear(3080),
    admin: await portNear(9901),
  };
}

/** The wanted port, else one of the next nine, which the other calls do not reach, else any free one. */
async function portNear(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 10; port++) {
    if ((await listenOnce(port)) !== undefined) return port;
  }
  const any = await listenOnce(0);
  if (any === undefined) throw new Error('no TCP port of 127.0.0.1 is free');
  return any;
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address();
      const taken = typeof address === 'object' && address !== null ? address.port : undefined;
      probe.close(() => resolve(taken));
    });
  });
}
