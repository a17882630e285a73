/**
 * Agents in one process: a real SpopServer each, on 127.0.0.1, and a PeerNetwork that dials the others. What happens
 * is told in lines that a test can wait for.
 */
import { PeerNetwork, type PeerNetworkOptions } from '../../src/adapters/haproxy/peers/network.ts';
import type { PeerObserver } from '../../src/adapters/haproxy/peers/observer.ts';
import { peerAnswerer } from '../../src/adapters/haproxy/peers/proof.ts';
import type { PeerTimings } from '../../src/adapters/haproxy/peers/timings.ts';
import { SpopServer } from '../../src/adapters/haproxy/server.ts';
import type { ServerObserver } from '../../src/adapters/haproxy/server-observer.ts';
import { text } from '../../src/adapters/haproxy/set-var.ts';
import { type Action, decodeActions, decodeMessages } from '../../src/spop/index.ts';
import { variablesOf } from './spoe-messages.ts';

/** Pauses that a test can wait for. */
export const briskTimings: Partial<PeerTimings> = {
  firstPauseMs: 5,
  longestPauseMs: 40,
  refusedPauseMs: 60_000,
  resolveMs: 20,
  heardOfMs: 10,
};

/** Lines, and a way to wait for one that holds. */
export class Told {
  readonly lines: string[] = [];
  #waiting: { readonly part: string; readonly resolve: (line: string) => void }[] = [];

  tell(line: string): void {
    this.lines.push(line);
    for (const waiter of this.#waiting) if (line.includes(waiter.part)) waiter.resolve(line);
    this.#waiting = this.#waiting.filter(({ part }) => !line.includes(part));
  }

  /** The first line that has this in it, of those told or to come. */
  until(part: string): Promise<string> {
    const ready = this.lines.find((line) => line.includes(part));
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => this.#waiting.push({ part, resolve }));
  }

  /** As `until`, but only of those to come. */
  next(part: string): Promise<string> {
    return new Promise((resolve) => this.#waiting.push({ part, resolve }));
  }
}

export function observerOf(told: Told): PeerObserver {
  return {
    linked: (address, instance) => told.tell(`linked ${instance} at ${address}`),
    unlinked: (_, instance, why) => told.tell(`unlinked ${instance}: ${why}`),
    notLinked: (address, why) => told.tell(`not linked ${address}: ${why}`),
    notResolved: (host) => told.tell(`not resolved ${host}`),
  };
}

export type Answer = (
  payload: Buffer,
  maxActionsBytes: number,
  relayed: boolean,
) => Action[] | Promise<Action[]>;

/** Says who answered, and what it was asked. */
export function echo(instance: string): Answer {
  return (payload) => [
    text('by', instance),
    text(
      'asked',
      decodeMessages(payload)
        .map(({ name }) => name)
        .join(' '),
    ),
  ];
}

export interface TestServer {
  server: SpopServer;
  readonly port: number;
  readonly told: Told;
}

export async function startServer(
  instance: string,
  options: {
    secret?: string;
    answer?: Answer;
    port?: number;
    host?: string;
    withoutPeers?: boolean;
    maxFrameSizeBytes?: number;
  } = {},
): Promise<TestServer> {
  const told = new Told();
  const observer: ServerObserver = {
    hello: (_, __, peer) => told.tell(peer === undefined ? 'hello' : `hello of peer ${peer}`),
    disconnected: (status, message) => told.tell(`disconnected ${status}: ${message}`),
    protocolError: (error) => told.tell(`protocol ${error.code}`),
  };
  const server = new SpopServer(
    {
      maxFrameSizeBytes: options.maxFrameSizeBytes ?? 65_536,
      maxFramesInFlight: 1000,
      maxConnections: 100,
      helloTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      ...(options.withoutPeers === true ? {} : { answerPeer: peerAnswerer(instance, options.secret) }),
    },
    {
      answer: ({ payload, maxActionsBytes, relayed }, done) => {
        void Promise.resolve((options.answer ?? echo(instance))(payload, maxActionsBytes, relayed)).then(
          done,
        );
      },
    },
    observer,
  );
  const where = await server.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  return { server, port: Number(where.split(':').at(-1)), told };
}

export interface TestNetwork {
  readonly network: PeerNetwork;
  readonly told: Told;
}

/** A network that is started, of these ports of 127.0.0.1 unless `peers` says otherwise. */
export function startNetwork(
  instance: string,
  ports: readonly number[],
  changes: Partial<PeerNetworkOptions> = {},
): TestNetwork {
  const told = new Told();
  const network = new PeerNetwork(
    {
      peers: ports.map((port) => ({ host: '127.0.0.1', port })),
      instance,
      secret: undefined,
      maxFrameSizeBytes: 65_536,
      ...changes,
      timings: { ...briskTimings, ...changes.timings },
    },
    observerOf(told),
  );
  network.start();
  return { network, told };
}

/** The variables that a relay is answered with, or undefined. */
export function ask(
  network: PeerNetwork,
  instance: string,
  payload: Uint8Array,
  timeoutMs = 10_000,
  maxActionsBytes = 16_000,
): Promise<Record<string, unknown> | undefined> {
  return new Promise((resolve) => {
    network.relay(instance, payload, maxActionsBytes, timeoutMs, (actions) =>
      resolve(actions === undefined ? undefined : variablesOf(decodeActions(actions))),
    );
  });
}

/** Instances that can be told apart by eye: `instanceOf('a')` is sixteen of them. */
export const instanceOf = (digit: string): string => digit.repeat(16);
