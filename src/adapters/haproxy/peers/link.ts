import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import {
  type AgentHello,
  frameIdOfRoom,
  HaproxyConnection,
  type PeerGreeting,
  StatusCode,
} from '../../../spop/index.ts';
import type { PeerAddress } from './address.ts';
import { dialPeer } from './dial.ts';
import type { LinkEnd } from './observer.ts';
import { isProven } from './proof.ts';
import type { PeerTimings } from './timings.ts';

export interface LinkOptions {
  /** Our own. */
  readonly instance: string;
  readonly secret: string | undefined;
  readonly maxFrameSizeBytes: number;
  readonly timings: PeerTimings;
  /** Asked at each dialling: with our certificate for the peer, and the CA that its own must be of. None: no TLS. */
  readonly secureContext?: () => SecureContext | undefined;
}

export interface LinkHandlers {
  /** The peer is who it should be: `link.instance` is known and `relay` works. */
  opened(link: PeerLink): void;
  /** Exactly once, whether it was opened or not. All its relays have been answered. */
  ended(link: PeerLink, why: LinkEnd, detail: string): void;
}

/** With the actions of the ACK (a view, as src/spop hands it out), or undefined. Must not throw. */
export type RelayDone = (actions: Buffer | undefined) => void;

interface PendingRelay {
  readonly done: RelayDone;
  readonly sentAtMs: number;
  readonly deadlineAtMs: number;
  readonly maxActionsBytes: number;
}

/** NOTIFYs without an ACK, those given up included. A peer works off thousands a second: this many is a stalled one. */
const maxInFlight = 512;

/** What one turn of the event loop may add up to before it is written. */
const maxUnwrittenBytes = 1_048_576;

/** After our last frame, the peer has this long to close its side. */
const lingerMs = 2000;

/** A time-out may be longer than a timer of Node can be: then it is looked at in between. */
const longestSweepMs = 3_600_000;

/**
 * Our connection to one peer: HELLO first, then any number of relays at a time. All NOTIFYs of one turn of the event
 * loop leave in one write; while the peer does not take them, or owes too many answers, there are no further ones.
 * One timer stands for the deadlines of all relays: it is set to the earliest.
 */
export class PeerLink {
  readonly address: PeerAddress;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #greeting: PeerGreeting;
  readonly #connection: HaproxyConnection;
  readonly #socket: Socket;
  readonly #helloTimer: NodeJS.Timeout;
  readonly #pending = new Map<number, PendingRelay>();
  #instance: string | undefined;
  /** With TLS: after its handshake. */
  #connected = false;
  #inHandshake = false;
  #ended = false;
  #flushScheduled = false;
  #sweepTimer: NodeJS.Timeout | undefined;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #heardAtMs = 0;
  /** Since when something is owed and nothing came. */
  #silentSinceMs = Number.POSITIVE_INFINITY;

  constructor(address: PeerAddress, options: LinkOptions, handlers: LinkHandlers) {
    this.address = address;
    this.#options = options;
    this.#handlers = handlers;
    this.#greeting = { instance: options.instance, nonce: randomBytes(16).toString('hex') };
    this.#connection = new HaproxyConnection({
      maxFrameSize: options.maxFrameSizeBytes,
      peer: this.#greeting,
    });
    this.#helloTimer = setTimeout(() => {
      const detail = `no HELLO within ${options.timings.helloMs} ms`;
      this.#end(this.#connected ? 'no-hello' : this.#failure(), detail);
    }, options.timings.helloMs).unref();
    this.#socket = dialPeer(address, options.secureContext?.(), {
      reached: () => {
        this.#inHandshake = true;
      },
      connected: () => {
        this.#inHandshake = false;
        this.#connected = true;
        this.#flush();
      },
    });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('end', () => this.#end('closed', 'the peer closed the connection'));
    this.#socket.on('error', (cause) => this.#end(this.#failure(), cause.message));
    this.#socket.on('close', () => this.#end('closed', 'the connection was closed'));
  }

  /** Who is there; undefined before its HELLO. */
  get instance(): string | undefined {
    return this.#instance;
  }

  /** Relays that wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * @param payload of a NOTIFY; copied
   * @param maxActionsBytes what the asker can use: the peer is told, and an answer that exceeds it counts as none
   * @returns false, with `done` not called and nothing sent, if the link cannot take it now
   */
  relay(payload: Uint8Array, maxActionsBytes: number, timeoutMs: number, done: RelayDone): boolean {
    if (this.#ended || this.#instance === undefined || timeoutMs <= 0 || this.#isBusy()) return false;
    const streamId = this.#connection.notify(payload, frameIdOfRoom(maxActionsBytes));
    if (streamId === undefined) return false;
    const sentAtMs = performance.now();
    const deadlineAtMs = sentAtMs + timeoutMs;
    this.#pending.set(streamId, { done, sentAtMs, deadlineAtMs, maxActionsBytes });
    this.#sweepBy(deadlineAtMs);
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => this.#flush());
    }
    return true;
  }

  /** Says goodbye; what waits is answered with undefined. */
  stop(): void {
    this.#end('stopped', 'bye');
  }

  #failure(): LinkEnd {
    if (this.#inHandshake) return 'tls';
    return this.#connected ? 'closed' : 'unreachable';
  }

  #isBusy(): boolean {
    return (
      this.#socket.writableNeedDrain ||
      this.#connection.inFlight >= maxInFlight ||
      this.#connection.pendingOutputBytes >= maxUnwrittenBytes
    );
  }

  #flush(): void {
    this.#flushScheduled = false;
    const output = this.#connection.takeOutput();
    if (output !== undefined && this.#socket.writable) this.#socket.write(output);
  }

  #receive(chunk: Buffer): void {
    this.#heardAtMs = performance.now();
    for (const event of this.#connection.receive(chunk)) {
      if (this.#ended) return;
      switch (event.kind) {
        case 'hello':
          this.#greeted(event.hello);
          break;
        case 'ack':
          this.#answered(event.streamId, event.actions);
          break;
        case 'disconnect':
          this.#end('goodbye', `status ${event.status}: ${event.message}`);
          break;
        case 'error':
          this.#end('protocol', `${event.error.code}: ${event.error.message}`);
          break;
      }
    }
  }

  #greeted({ peer }: AgentHello): void {
    const { instance, secret } = this.#options;
    if (peer === undefined) {
      this.#end('not-a-peer', 'its HELLO names no instance');
    } else if (peer.instance === instance) {
      this.#end('self', 'this is our own address');
    } else if (secret !== undefined && !isProven(secret, this.#greeting, peer)) {
      this.#end('wrong-secret', peer.proof === undefined ? 'it has no secret' : 'it has another secret');
    } else {
      clearTimeout(this.#helloTimer);
      this.#instance = peer.instance;
      this.#handlers.opened(this);
    }
  }

  #answered(streamId: number, actions: Buffer): void {
    const relay = this.#pending.get(streamId);
    if (relay === undefined) return; // Given up before.
    this.#pending.delete(streamId);
    const usable = actions.length > 0 && actions.length <= relay.maxActionsBytes;
    relay.done(usable ? actions : undefined);
  }

  /** Makes sure that the timer goes off by then. */
  #sweepBy(atMs: number): void {
    if (atMs >= this.#sweepAtMs) return;
    clearTimeout(this.#sweepTimer);
    this.#sweepAtMs = atMs;
    const waitMs = Math.min(longestSweepMs, Math.max(1, atMs - performance.now()));
    this.#sweepTimer = setTimeout(() => this.#sweep(), waitMs).unref();
  }

  #sweep(): void {
    const nowMs = performance.now();
    let earliestMs = Number.POSITIVE_INFINITY;
    let silentSinceMs = Number.POSITIVE_INFINITY;
    for (const [streamId, relay] of this.#pending) {
      if (relay.deadlineAtMs > nowMs) {
        earliestMs = Math.min(earliestMs, relay.deadlineAtMs);
      } else {
        this.#pending.delete(streamId);
        silentSinceMs = Math.min(silentSinceMs, relay.sentAtMs);
        relay.done(undefined);
      }
    }
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    if (earliestMs < Number.POSITIVE_INFINITY) this.#sweepBy(earliestMs);
    this.#checkSilence(silentSinceMs, nowMs);
  }

  /** A peer that hangs, or whose machine is gone, must not cost every message its time-out for long. */
  #checkSilence(sentAtMs: number, nowMs: number): void {
    if (this.#heardAtMs > this.#silentSinceMs) this.#silentSinceMs = Number.POSITIVE_INFINITY;
    if (sentAtMs > this.#heardAtMs) this.#silentSinceMs = Math.min(this.#silentSinceMs, sentAtMs);
    const silentMs = nowMs - this.#silentSinceMs;
    if (silentMs >= this.#options.timings.silentMs) {
      this.#end('silent', `nothing heard for ${Math.round(silentMs)} ms`);
    } else if (this.#pending.size === 0 && this.#connection.inFlight >= maxInFlight) {
      this.#end('silent', `${maxInFlight} relays without an answer`);
    } else {
      // Perhaps nothing more can be sent that would bring us back here.
      this.#sweepBy(this.#silentSinceMs + this.#options.timings.silentMs);
    }
  }

  #end(why: LinkEnd, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#sweepTimer);
    this.#leave(why);
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done } of pending) done(undefined);
    this.#handlers.ended(this, why, detail);
  }

  /** Where somebody may still listen, the end is said before it comes. */
  #leave(why: LinkEnd): void {
    if (!this.#connected || why === 'silent') {
      this.#socket.destroy();
      return;
    }
    this.#connection.disconnect(StatusCode.NORMAL, why);
    this.#flush();
    this.#socket.destroySoon();
    const linger = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#socket.once('close', () => clearTimeout(linger));
  }
}
