import { lstatSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { FrameMemory, type SpopError, StatusCode } from '../../spop/index.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { Listener, type ListenerOptions, type RefusalReason } from './listener.ts';
import type { NotifyAnswerer } from './notify.ts';
import type { TlsIdentity } from './tls.ts';
import { failedActionsFor } from './unseen.ts';

export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export interface SpopServerOptions extends ConnectionOptions, ListenerOptions {
  /** Permissions of a unix socket; those that the process gives to its files if there are none. */
  readonly socketMode?: number | undefined;
}

/** Told what happens on the sockets. Must not throw. */
export interface ServerObserver {
  connected?(): void;
  /** Closed unread: more connections than allowed, or an address that is not. */
  refused?(reason: RefusalReason, address: string | undefined): void;
  /** It never got as far as a connection. */
  handshakeFailed?(cause: Error, address: string | undefined): void;
  /** @param peer the instance of another agent that connected in the place of HAProxy */
  hello?(maxFrameSizeBytes: number, engineId: string | undefined, peer: string | undefined): void;
  disconnected?(status: number, message: string): void;
  /** The peer broke the protocol and was told. */
  protocolError?(error: SpopError): void;
  /** The stream ended inside a frame. */
  truncatedFrame?(pendingBytes: number): void;
  timedOut?(which: 'hello' | 'idle'): void;
  socketError?(cause: Error): void;
  /** Our mistake, contained: the frame was acknowledged without analysis. */
  frameFailed?(cause: unknown): void;
}

/** How often a draining server looks for connections that have become idle. */
const drainPollMs = 50;

/** An ACK must have reached HAProxy before the goodbye does: 3.1.0 forgets it otherwise. */
const quietBeforeGoodbyeMs = 100;

/**
 * So long before the deadline, busy connections get their goodbye together with an answer. Not earlier: our HAProxy
 * files stop asking once the health check has failed, and HAProxy 2.6 can spin for ever when its last connection goes
 * while messages wait for one.
 */
const lastCallMs = 1000;

/**
 * Connections of HAProxy that are never idle leave one after the other, in this time before the last call: HAProxy opens
 * others, to other agents, for a new message only. Up to 3.0 it leaves those that wait in its queue to their time-out
 * when all its connections go at once.
 */
const leavingMs = 3000;

const goodbye = 'shutting down';

/** For frames that came in part, of all connections together: some of the largest, or very many usual ones. */
const leastFrameMemoryBytes = 64 * 1024 * 1024;
const largestFramesAtOnce = 4;

export class SpopServer {
  readonly #options: SpopServerOptions;
  readonly #answerer: NotifyAnswerer;
  readonly #observer: ServerObserver;
  readonly #listener: Listener;
  readonly #connections = new Set<Connection>();
  readonly #connectionOptions: ConnectionOptions;
  #draining = false;
  #everConnected = false;

  constructor(options: SpopServerOptions, answerer: NotifyAnswerer, observer: ServerObserver = {}) {
    this.#options = options;
    this.#answerer = answerer;
    this.#observer = observer;
    const frameMemoryBytes = Math.max(leastFrameMemoryBytes, largestFramesAtOnce * options.maxFrameSizeBytes);
    this.#connectionOptions = { ...options, frameMemory: new FrameMemory(frameMemoryBytes) };
    this.#listener = new Listener(options, {
      accepted: (socket) => this.#accept(socket),
      refused: (reason, address) => this.#observer.refused?.(reason, address),
      handshakeFailed: (cause, address) => this.#observer.handshakeFailed?.(cause, address),
      failed: (cause) => this.#observer.socketError?.(cause),
    });
  }

  get connections(): number {
    return this.#connections.size;
  }

  get inFlight(): number {
    let frames = 0;
    for (const connection of this.#connections) frames += connection.inFlight;
    return frames;
  }

  /**
   * Resolves with where it listens, for instance `127.0.0.1:3000`.
   * Rejects with Node's error (`code` EADDRINUSE, EACCES, ENOTFOUND, …).
   */
  async listen(address: ListenAddress): Promise<string> {
    if ('socketPath' in address) await removeStaleSocket(address.socketPath);
    await this.#listener.listen(address, this.#options.socketMode);
    return describeAddress(this.#listener.address());
  }

  /** For connections from now on; nothing when TLS is off. */
  renewTls(identity: TlsIdentity): void {
    this.#listener.renewTls(identity);
  }

  /**
   * Leaves without losing a message: health checks fail from now on, messages are served on. After `graceMs`, HAProxy
   * has had time to notice: connections are said goodbye to as they become idle, at last together with an answer, and
   * the listener closes. Resolves when none is left, at the latest after `deadlineMs`. Where nobody ever connected,
   * nobody has to notice.
   *
   * Other agents are said goodbye to last: they go on to relay what belongs to transactions of ours, after HAProxy has
   * turned to them. They stay as long as a connection of HAProxy does, or anything is under analysis, or `isAwaiting`
   * says that a message may still come for a transaction of ours.
   */
  async drain(graceMs: number, deadlineMs: number, isAwaiting: () => boolean = () => false): Promise<void> {
    const deadlineAtMs = performance.now() + deadlineMs;
    this.#draining = true;
    for (const connection of this.#connections) connection.refuseHealthchecks();
    if (this.#everConnected) await delay(Math.min(graceMs, deadlineMs));
    this.#listener.close();
    while (this.#connections.size > 0 && performance.now() < deadlineAtMs) {
      this.#sayGoodbyeToIdle(isAwaiting);
      this.#askToLeave(deadlineAtMs - lastCallMs - performance.now());
      await delay(drainPollMs);
    }
    this.close();
  }

  /** At once. */
  close(): void {
    for (const connection of this.#connections) {
      connection.disconnect(StatusCode.NORMAL, goodbye);
      connection.destroy();
    }
    this.#listener.destroy();
  }

  /** @param untilLastCallMs negative from the last call on */
  #askToLeave(untilLastCallMs: number): void {
    if (untilLastCallMs > leavingMs) return;
    const staying = [...this.#connections].filter(
      ({ leaving, peer }) => !leaving && (peer === undefined || untilLastCallMs <= 0),
    );
    const turns = Math.max(1, Math.floor(untilLastCallMs / drainPollMs));
    for (const connection of staying.slice(0, Math.ceil(staying.length / turns))) {
      connection.leaveWithAnswer(goodbye);
    }
  }

  #sayGoodbyeToIdle(isAwaiting: () => boolean): void {
    const nowMs = performance.now();
    const onlyPeers = [...this.#connections].every(({ peer }) => peer !== undefined);
    const peersMayGo = onlyPeers && this.inFlight === 0 && !isAwaiting();
    for (const connection of this.#connections) {
      if (connection.peer !== undefined && !peersMayGo) continue;
      if (connection.inFlight > 0 || nowMs - connection.lastAckAtMs < quietBeforeGoodbyeMs) continue;
      connection.disconnect(StatusCode.NORMAL, goodbye);
    }
  }

  #accept(socket: Socket): void {
    this.#everConnected = true;
    this.#observer.connected?.();
    const connection = new Connection(
      socket,
      this.#connectionOptions,
      this.#answerer,
      failedActionsFor,
      this.#observer,
      this.#draining,
    );
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function describeAddress(address: AddressInfo | string | null): string {
  if (address === null) return 'nowhere';
  if (typeof address === 'string') return address;
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}

/** A socket file that nobody answers on is left from a process that was killed. A live one stays: listening fails. */
async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    // Any other error (a full backlog, no permission) says that somebody may be there.
    probe.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code === 'ECONNREFUSED'));
  });
  if (stale) unlinkSync(path);
}
