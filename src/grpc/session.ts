import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { Call, type CallHost } from './call.ts';
import type { HeldMemory } from './held-memory.ts';
import type { CallEnd, GrpcMethod } from './method.ts';
import { readRequest, refuse, unimplemented } from './request-check.ts';
import { expectResets } from './resets.ts';
import type { GrpcServerObserver, GrpcServerOptions } from './server-options.ts';
import { TokenBucket } from './token-bucket.ts';
import type { CallTrouble } from './trouble.ts';

/** What all connections of a server share. */
export interface SessionHost {
  readonly options: GrpcServerOptions;
  readonly observer: GrpcServerObserver;
  readonly memory: HeldMemory;
  /** What may not be exceeded by `session`: calls of all connections, or its share of them. */
  mayOpen(session: GrpcSession): boolean;
  method(path: string): GrpcMethod | undefined;
  callOpened(): void;
  callClosed(): void;
  sessionClosed(session: GrpcSession): void;
}

/**
 * What no gRPC client does often: resets of streams on which no complete message had come, prefixes that are none, requests
 * that are no call of ours. So many at once, so many a second; then the connection is ended. nghttp2 has the same bound for
 * resets of any kind, and it cannot be kept: Envoy ends every stream with a reset. It opens none, though, before it has a
 * message.
 */
const offences = { burst: 1_000, perSecond: 33 } as const;

/** As good as none: sessions must not end for what an Envoy does with every stream, or when it has very many. */
const noLimit = 1e9;

/** May arrive of a stream before it is read; what arrives is read at once unless its call waits. */
export const streamWindowBytes = 256 * 1024;
/** Of a connection. What is held of its streams is bounded by their windows and by `maxHeldBytes`. */
const sessionWindowBytes = 16 * 1024 * 1024;

/** Metadata is a handful of short fields; Envoy's is below 1 KiB. */
const maxHeaderListBytes = 16 * 1024;
const maxHeaderFields = 128;

/** Node refuses streams beyond it. What is held of streams is bounded by `maxHeldBytes`, and their number by SETTINGS. */
const maxSessionMegabytes = 1_024;

/** A client that was given its status has so long to close its side of the stream. */
const streamLingerMs = 30_000;
/** Likewise while its connection leaves, which waits for it, and of a connection without streams. */
const leavingLingerMs = 2_000;

/** Told as a protocol error: nghttp2 would have called it one. */
class FloodError extends Error {
  override readonly name = 'FloodError';
}

/** One connection: its streams as calls, and what bounds it. */
export class GrpcSession implements CallHost {
  readonly peerAddress: string | undefined;
  readonly windowBytes = streamWindowBytes;
  readonly #socket: Socket;
  readonly #host: SessionHost;
  readonly #session: ServerHttp2Session;
  readonly #calls = new Set<Call>();
  readonly #offences = new TokenBucket(offences.burst, offences.perSecond);
  /** Calls that were reset while an answer to them was due: the work goes on though their streams are gone. */
  readonly #abandoned: TokenBucket;
  readonly #openedAtMs = performance.now();
  readonly #leaveAtMs: number;
  readonly #leaveAtLatestMs: number;
  #isGreeted = false;
  #leftAtMs: number | undefined;
  #lostAtMs: number | undefined;
  #bytesRead = 0;
  #heardAtMs = this.#openedAtMs;
  /** Since when there has been no call. */
  #quietSinceMs = this.#openedAtMs;
  /** When it was last asked whether it lives, and has not been heard of since. */
  #pingedAtMs: number | undefined;

  constructor(socket: Socket, host: SessionHost) {
    const { maxConcurrentStreams, maxConnectionAgeMs } = host.options;
    this.#socket = socket;
    this.#host = host;
    this.peerAddress = socket.remoteAddress;
    this.#abandoned = new TokenBucket(maxConcurrentStreams, maxConcurrentStreams);
    this.#leaveAtMs =
      maxConnectionAgeMs === undefined
        ? Number.POSITIVE_INFINITY
        : this.#openedAtMs + maxConnectionAgeMs * (0.9 + Math.random() / 10);
    this.#leaveAtLatestMs = this.#leaveAtMs + (maxConnectionAgeMs ?? 0) / 10;
    this.#session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams,
        initialWindowSize: streamWindowBytes,
        maxHeaderListSize: maxHeaderListBytes,
      },
      maxHeaderListPairs: maxHeaderFields,
      maxSessionMemory: maxSessionMegabytes,
      // A connection may last for months, and Node counts from its beginning.
      maxSessionRejectedStreams: noLimit,
      streamResetBurst: noLimit,
      streamResetRate: noLimit,
    });
    this.#session.setLocalWindowSize(sessionWindowBytes);
    this.#listen();
  }

  get calls(): number {
    return this.#calls.size;
  }

  get isLost(): boolean {
    return this.#session.destroyed || this.#socket.destroyed;
  }

  get memory(): HeldMemory {
    return this.#host.memory;
  }

  get maxMessageBytes(): number {
    return this.#host.options.maxMessageBytes;
  }

  /**
   * GOAWAY; the connection ends with its last call. Streams that cross it are refused by its stream-id: Envoy asks again
   * where `grpc_service.retry_policy` has `refused-stream`. RFC 9113, 6.8, has a notice that would spare them, and
   * node:http2 no call for it. Whoever writes its frame to the socket ends the process: node:http2 asserts that every
   * write that completes there is its own.
   */
  leave(): void {
    if (this.#leftAtMs !== undefined || this.isLost) return;
    this.#leftAtMs = performance.now();
    this.#session.close();
    for (const call of this.#calls) call.leave();
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  /** To be called every now and then: what takes too long is ended. */
  sweep(nowMs: number): void {
    if (this.isLost) {
      this.#lostAtMs ??= nowMs;
      if (nowMs - this.#lostAtMs > leavingLingerMs) this.#socket.destroy();
      return;
    }
    const { helloTimeoutMs } = this.#host.options;
    if (!this.#isGreeted && nowMs - this.#openedAtMs > helloTimeoutMs) this.#timedOut('hello');
    else {
      const lingerMs = this.#leftAtMs === undefined ? streamLingerMs : leavingLingerMs;
      for (const call of this.#calls) sweepCall(call, nowMs, helloTimeoutMs, lingerMs);
      this.#sweepQuiet(nowMs);
      this.#sweepAge(nowMs);
    }
  }

  methodFailed(path: string, cause: unknown): void {
    this.#host.observer.methodFailed?.(path, cause);
  }

  troubled(path: string, trouble: CallTrouble, detail: string): void {
    this.#host.observer.callTroubled?.(path, trouble, detail);
  }

  callClosed(call: Call, how: CallEnd): void {
    this.#host.observer.callEnded?.(call.path, how);
    if (how === 'malformed' || how === 'compressed') this.#offend('prefixes of messages are none');
    else if (how !== 'reset') return;
    else if (!call.hasSpoken) this.#offend('streams are reset before a message of them has come');
    else if (call.isOwed) this.#abandoned.take(performance.now());
  }

  streamClosed(call: Call): void {
    if (!this.#calls.delete(call)) return;
    this.#host.callClosed();
    if (this.#calls.size > 0) return;
    this.#quietSinceMs = performance.now();
    // Not on the stack of nghttp2.
    if (this.#quietSinceMs >= this.#leaveAtMs) setImmediate(() => this.#sweepAge(performance.now()));
  }

  #listen(): void {
    const session = this.#session;
    session.on('stream', (stream, _headers, _flags, list) => this.#accept(stream, list));
    session.once('remoteSettings', () => {
      this.#isGreeted = true;
    });
    session.on('error', (cause: NodeJS.ErrnoException) => {
      const { observer } = this.#host;
      if (cause.code?.startsWith('ERR_HTTP2') === true || cause instanceof FloodError) {
        observer.protocolError?.(cause, this.peerAddress);
      } else observer.socketError?.(cause);
    });
    session.on('close', () => this.#host.sessionClosed(this));
  }

  #accept(stream: ServerHttp2Stream, list: readonly string[]): void {
    expectResets(stream);
    if (stream.closed) {
      // It was opened and reset in one read. Bytes of it say that a message may have come.
      if (stream.readableLength === 0) this.#offend('streams are reset before a message of them has come');
      return;
    }
    const request = readRequest(list);
    const method = 'path' in request ? this.#host.method(request.path) : undefined;
    if ('path' in request && method !== undefined) this.#open(stream, request.path, list, method);
    else {
      refuse(stream, 'path' in request ? unimplemented(request.path) : request.refusal, streamLingerMs);
      this.#offend('requests are for no method that there is');
    }
  }

  #open(stream: ServerHttp2Stream, path: string, list: readonly string[], method: GrpcMethod): void {
    const nowMs = performance.now();
    const call = new Call(stream, path, list, method, this, nowMs);
    const isBusy = method.isNeverBusy !== true && !this.#mayOpen(nowMs);
    this.#calls.add(call);
    this.#host.callOpened();
    if (isBusy) call.refuse('busy', 'as many calls are under way as there may be');
    else call.open();
    if (this.#leftAtMs !== undefined) call.leave();
  }

  #mayOpen(nowMs: number): boolean {
    const { maxConcurrentStreams } = this.#host.options;
    return this.#calls.size + this.#abandoned.used(nowMs) < maxConcurrentStreams && this.#host.mayOpen(this);
  }

  #offend(what: string): void {
    if (this.isLost || this.#offences.take(performance.now())) return;
    this.#session.destroy(new FloodError(`too often, ${what}`), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #sweepQuiet(nowMs: number): void {
    const { idleTimeoutMs, helloTimeoutMs } = this.#host.options;
    const { bytesRead } = this.#socket;
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead;
      this.#heardAtMs = nowMs;
      this.#pingedAtMs = undefined;
    }
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs > helloTimeoutMs) this.#timedOut('idle');
    } else if (this.#leftAtMs !== undefined) {
      // A session that is closed sends no PING. Its calls may take their time, unless nothing more is heard of it.
      if (nowMs - this.#heardAtMs > idleTimeoutMs) this.#timedOut('idle');
    } else if (this.#calls.size === 0 && nowMs - this.#quietSinceMs > idleTimeoutMs) this.leave();
    else if (nowMs - this.#heardAtMs > idleTimeoutMs) this.#ping();
  }

  /** At its age, in a moment without a call, for there is least to cross; without such a moment, a little later. */
  #sweepAge(nowMs: number): void {
    const isDue = this.#calls.size === 0 ? nowMs >= this.#leaveAtMs : nowMs >= this.#leaveAtLatestMs;
    if (isDue) this.leave();
  }

  #ping(): void {
    this.#pingedAtMs = performance.now();
    // Whatever comes, an answer or another frame, shows in the bytes read.
    this.#session.ping(() => undefined);
  }

  #timedOut(which: 'hello' | 'idle'): void {
    this.#host.observer.timedOut?.(which, this.peerAddress);
    this.destroy();
  }
}

function sweepCall(call: Call, nowMs: number, firstMessageMs: number, lingerMs: number): void {
  const { endedAtMs } = call;
  if (endedAtMs !== undefined) {
    if (nowMs - endedAtMs > lingerMs) call.abandonStream();
  } else if (!call.hasSpoken && nowMs - call.openedAtMs > firstMessageMs) {
    call.trouble('silent', `no complete message within ${firstMessageMs} ms`);
  }
}
