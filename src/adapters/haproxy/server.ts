import type { Socket } from 'node:net';
import { describeAddress, type ListenAddress, removeStaleSocket } from '../../net/address.ts';
import { Listener, type ListenerOptions } from '../../net/listener.ts';
import { ReadTime } from '../../net/read-time.ts';
import type { TlsIdentity } from '../../net/tls.ts';
import { FrameMemory, StatusCode } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import { Connection, type ConnectionOptions, type ConnectionServices } from './connection.ts';
import type { NotifyAnswerer } from './notify.ts';
import type { ServerObserver } from './server-observer.ts';
import { failedActionsFor } from './unseen.ts';

export interface SpopServerOptions extends ConnectionOptions, ListenerOptions {
  /** Permissions of a unix socket; those that the process gives to its files if there are none. */
  readonly socketMode?: number | undefined;
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

/** HAProxy's way in: listens for its connections, and for those of other agents, and drains them. */
export class SpopServer {
  readonly #options: SpopServerOptions;
  readonly #observer: ServerObserver;
  readonly #listener: Listener;
  readonly #connections = new Set<Connection>();
  readonly #connectionOptions: ConnectionOptions;
  readonly #connectionServices: ConnectionServices;
  #draining = false;
  #everConnected = false;

  constructor(options: SpopServerOptions, answerer: NotifyAnswerer, observer: ServerObserver = {}) {
    this.#options = options;
    this.#observer = observer;
    const frameMemoryBytes = Math.max(leastFrameMemoryBytes, largestFramesAtOnce * options.maxFrameSizeBytes);
    this.#connectionOptions = { ...options, frameMemory: new FrameMemory(frameMemoryBytes) };
    this.#connectionServices = {
      answerer,
      failedAnswer: failedActionsFor,
      observer,
      readTime: new ReadTime(sharedNowMs),
    };
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
    const deadlineAtMs = sharedNowMs() + deadlineMs;
    this.#draining = true;
    for (const connection of this.#connections) connection.refuseHealthchecks();
    if (this.#everConnected) await delay(Math.min(graceMs, deadlineMs));
    this.#listener.close();
    while (this.#connections.size > 0 && sharedNowMs() < deadlineAtMs) {
      this.#sayGoodbyeToIdle(isAwaiting);
      this.#askToLeave(deadlineAtMs - lastCallMs - sharedNowMs());
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
    const nowMs = sharedNowMs();
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
      this.#connectionServices,
      this.#draining,
    );
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
