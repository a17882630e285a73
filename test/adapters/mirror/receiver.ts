// A receiver on a real socket, whose engine a test holds in its hand; and senders as one writes them by hand.
import { connect, type Socket } from 'node:net';
import { ArrivingMemory } from '../../../src/adapters/mirror/arriving-memory.ts';
import { Backlog } from '../../../src/adapters/mirror/backlog.ts';
import { type Copy, readCopy } from '../../../src/adapters/mirror/copy.ts';
import { MirrorServer, type MirrorServerOptions } from '../../../src/adapters/mirror/server.ts';
import { type Field, parseRequestHead, type RequestHead } from '../../../src/http1/index.ts';
import type { ListenAddress } from '../../../src/net/address.ts';
import { Dispatcher } from '../../../src/workers/dispatcher.ts';
import type { Job, JobResult, JobTaker } from '../../../src/workers/jobs.ts';

/** Takes every job, and keeps it until it is told that the work is done, or does it at once. */
export class HandEngine implements JobTaker {
  readonly jobs: Job[] = [];
  readonly #answers: ((result: JobResult) => void)[] = [];
  /** Jobs wait for `work`. */
  holds = false;
  waitMs = 0;

  leastBusy(): number {
    return 0;
  }
  isReady(): boolean {
    return true;
  }
  expectedWaitMs(): number {
    return this.waitMs;
  }
  submit(_index: number, job: Job, answered: (result: JobResult) => void): boolean {
    this.jobs.push(job);
    this.#answers.push(answered);
    if (!this.holds) this.work();
    return true;
  }
  skipped(): void {}
  liveTransactionsOf(): number {
    return 0;
  }

  work(kind: 'done' | 'lost' = 'done'): void {
    for (const answered of this.#answers.splice(0)) {
      answered(kind === 'lost' ? { kind } : { kind, bytes: new Uint8Array(0) });
    }
  }
}

export interface Received extends Copy {
  readonly request: RequestHead;
}

export interface ReceiverOptions extends Partial<MirrorServerOptions> {
  readonly bodyLimitBytes?: number;
  readonly memoryBytes?: number;
  readonly backlogBytes?: number;
  readonly backlogAgeMs?: number;
  readonly address?: ListenAddress;
}

const cleanUp: (() => void)[] = [];

/** For `afterEach`. */
export function closeReceivers(): void {
  for (const undo of cleanUp.splice(0).reverse()) undo();
}

export class Receiver {
  readonly engine = new HandEngine();
  readonly told: string[] = [];
  readonly backlog: Backlog;
  readonly memory: ArrivingMemory;
  readonly server: MirrorServer;
  where = '';

  private constructor(options: ReceiverOptions) {
    const {
      backlogBytes = 1e9,
      backlogAgeMs = 60_000,
      memoryBytes = 1e9,
      bodyLimitBytes = 100_000,
    } = options;
    const say = (what: string): void => void this.told.push(what);
    this.memory = new ArrivingMemory(memoryBytes);
    this.backlog = new Backlog(
      new Dispatcher(this.engine, 0),
      { maxBytes: backlogBytes, maxAgeMs: backlogAgeMs },
      { unseen: (reason) => say(`unseen: ${reason}`) },
    );
    this.server = new MirrorServer(
      { maxConnections: 100, helloTimeoutMs: 60_000, socketMode: 0o600, stallMs: 60_000, ...options },
      {
        backlog: this.backlog,
        memory: this.memory,
        bodyLimitBytes,
        observer: { arrived: () => undefined, bodyCut: (reason) => say(`cut: ${reason}`) },
      },
      {
        connected: () => undefined,
        refusedConnection: (reason) => say(`refused: ${reason}`),
        handshakeFailed: () => say('handshake failed'),
        refused: (status, problem) => say(`${status} ${problem}`),
        stalled: () => say('stalled'),
        socketError: () => undefined,
        failed: (cause) => say(`failed: ${String(cause)}`),
      },
    );
  }

  static async start(options: ReceiverOptions = {}): Promise<Receiver> {
    const receiver = new Receiver(options);
    receiver.where = await receiver.server.listen(options.address ?? { host: '127.0.0.1', port: 0 }, 0);
    cleanUp.push(() => receiver.server.close());
    return receiver;
  }

  get port(): number {
    return Number(this.where.split(':').at(-1));
  }

  /** Copies that engines were given. */
  get received(): Received[] {
    return this.engine.jobs.map(({ payload }) => {
      const copy = readCopy(payload);
      return { ...copy, request: parseRequestHead(copy.head) };
    });
  }

  /** As soon as there are so many. */
  async copies(count: number): Promise<Received[]> {
    await until(() => this.engine.jobs.length >= count);
    return this.received;
  }

  async sender(): Promise<Sender> {
    const sender = new Sender(connect(this.port, '127.0.0.1'));
    await sender.connected;
    return sender;
  }
}

/** A connection, and what came back on it. */
export class Sender {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  readonly closed: Promise<void>;
  #text = '';

  constructor(socket: Socket) {
    this.socket = socket;
    this.connected = new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        resolve();
      });
    });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
    });
    cleanUp.push(() => socket.destroy());
  }

  get answers(): string[] {
    return this.#text.split('\r\n\r\n').filter((answer) => answer !== '');
  }

  send(text: string | Buffer): void {
    this.socket.write(text, 'latin1');
  }

  /** The answers, once there are so many. */
  async answered(count: number): Promise<string[]> {
    await until(() => this.answers.length >= count);
    return this.answers;
  }
}

/** Polls with a patience that no machine needs. */
export async function until(isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0';

export function valueIn(fields: readonly Field[], wanted: string): string | undefined {
  return fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
}
