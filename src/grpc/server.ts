import type { Socket } from 'node:net';
import { describeAddress, type ListenAddress, removeStaleSocket } from '../net/address.ts';
import { Listener } from '../net/listener.ts';
import type { TlsIdentity } from '../net/tls.ts';
import { Health } from './health.ts';
import { HeldMemory } from './held-memory.ts';
import type { GrpcMethod } from './method.ts';
import type { GrpcServerObserver, GrpcServerOptions } from './server-options.ts';
import { GrpcSession, type SessionHost } from './session.ts';

/** How often is looked for what takes too long: a fraction of the shortest time, but for very short and long ones. */
const sweepsPerTimeout = 4;
const [shortestSweepMs, longestSweepMs] = [10, 1_000] as const;

/** Listens, and serves methods and `grpc.health.v1` on every connection. */
export class GrpcServer implements SessionHost {
  readonly options: GrpcServerOptions;
  readonly observer: GrpcServerObserver;
  readonly memory: HeldMemory;
  readonly health: Health;
  readonly #methods: ReadonlyMap<string, GrpcMethod>;
  readonly #listener: Listener;
  readonly #sessions = new Set<GrpcSession>();
  readonly #sweeper: NodeJS.Timeout;
  #calls = 0;
  #everConnected = false;
  #whenEmpty: () => void = () => undefined;

  constructor(options: GrpcServerOptions, observer: GrpcServerObserver = {}) {
    this.options = options;
    this.observer = observer;
    this.memory = new HeldMemory(options.maxHeldBytes);
    this.health = new Health(options.services);
    this.#methods = new Map([...options.methods, ...this.health.methods]);
    this.#listener = new Listener(
      { ...options, alpnProtocols: ['h2'] },
      {
        accepted: (socket) => this.#accept(socket),
        refused: (reason, address) => observer.refused?.(reason, address),
        handshakeFailed: (cause, address) => observer.handshakeFailed?.(cause, address),
        failed: (cause) => observer.socketError?.(cause),
      },
    );
    const { helloTimeoutMs, idleTimeoutMs, maxConnectionAgeMs = idleTimeoutMs } = options;
    const shortestMs = Math.min(helloTimeoutMs, idleTimeoutMs, maxConnectionAgeMs);
    const everyMs = Math.min(longestSweepMs, Math.max(shortestSweepMs, shortestMs / sweepsPerTimeout));
    // After a moment in which this process stood still, what has arrived meanwhile is read first.
    this.#sweeper = setInterval(() => setImmediate(() => this.#sweep()), everyMs);
    this.#sweeper.unref();
  }

  get connections(): number {
    return this.#sessions.size;
  }

  /** Calls whose streams are open, health checks included. */
  get calls(): number {
    return this.#calls;
  }

  /**
   * Resolves with where it listens, for instance `127.0.0.1:443`. Once.
   * Rejects with Node's error (`code` EADDRINUSE, EACCES, ENOTFOUND, …).
   */
  async listen(address: ListenAddress): Promise<string> {
    if ('socketPath' in address) await removeStaleSocket(address.socketPath);
    await this.#listener.listen(address, this.options.socketMode);
    return describeAddress(this.#listener.address());
  }

  /** For connections from now on; nothing when TLS is off. */
  renewTls(identity: TlsIdentity): void {
    this.#listener.renewTls(identity);
  }

  /**
   * Leaves without losing a call: health checks say NOT_SERVING from now on, calls are served on. After `graceMs` clients
   * have had time to notice: the listener closes, every connection is said goodbye to and ends with its last call.
   * Resolves when none is left, at the latest after `deadlineMs`: then the rest is ended. Where nobody ever connected,
   * nobody has to notice.
   */
  async drain(graceMs: number, deadlineMs: number): Promise<void> {
    const deadlineAtMs = performance.now() + deadlineMs;
    this.health.setServing(false);
    if (this.#everConnected) await delay(Math.min(graceMs, deadlineMs));
    this.#listener.close();
    for (const session of this.#sessions) session.leave();
    await this.#untilEmpty(deadlineAtMs - performance.now());
    this.close();
  }

  /** At once. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const session of this.#sessions) session.destroy();
    this.#listener.destroy();
  }

  method(path: string): GrpcMethod | undefined {
    return this.#methods.get(path);
  }

  mayOpen(session: GrpcSession): boolean {
    const { maxCalls } = this.options;
    return this.#calls < maxCalls || session.calls < maxCalls / this.#sessions.size;
  }

  callOpened(): void {
    this.#calls += 1;
  }

  callClosed(): void {
    this.#calls -= 1;
  }

  sessionClosed(session: GrpcSession): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#whenEmpty();
  }

  #accept(socket: Socket): void {
    // It may have gone while it waited for its turn.
    if (socket.destroyed) return;
    this.#everConnected = true;
    this.observer.connected?.();
    this.#sessions.add(new GrpcSession(socket, this));
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions) session.sweep(nowMs);
  }

  async #untilEmpty(withinMs: number): Promise<void> {
    if (this.#sessions.size === 0 || withinMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#whenEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
