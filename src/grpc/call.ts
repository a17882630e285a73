import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { HeldMemory, Holder } from './held-memory.ts';
import { MessageError, MessageSplitter, withPrefix } from './message-splitter.ts';
import type { CallEnd, GrpcCall, GrpcCallHandler, GrpcMethod } from './method.ts';
import { GrpcStatus } from './status.ts';
import { type CallTrouble, defaultStatusOf } from './trouble.ts';

/** The connection of a call, as the call sees it. */
export interface CallHost {
  readonly peerAddress: string | undefined;
  readonly memory: HeldMemory;
  readonly maxMessageBytes: number;
  /** What may arrive of a stream that is not read from. */
  readonly windowBytes: number;
  /** The connection is gone, or going, and not only a stream of it. */
  readonly isLost: boolean;
  methodFailed(path: string, cause: unknown): void;
  troubled(path: string, trouble: CallTrouble, detail: string): void;
  /** Once, before the handler is told. */
  callClosed(call: Call, how: CallEnd): void;
  /** Once, after `callClosed`: nothing is left of its stream. */
  streamClosed(call: Call): void;
}

const headers: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };
const beforeTrailers = { waitForTrailers: true, sendDate: false };
const instead = { endStream: true, sendDate: false };

/** The longest message beside a status, in bytes on the wire; others may have read no more of a header list. */
const longestStatusMessage = 1_024;

const nobody: GrpcCallHandler = { message: () => undefined, closed: () => undefined };

/**
 * A stream of HTTP/2 as a gRPC call. The states: open, ended by us (what comes is discarded), closed (its handler was told).
 * Its stream may outlive the last: a client that was given a status has yet to close its side.
 */
export class Call implements GrpcCall, Holder {
  readonly path: string;
  readonly metadata: readonly string[];
  readonly openedAtMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #method: GrpcMethod;
  readonly #host: CallHost;
  readonly #splitter: MessageSplitter;
  #handler: GrpcCallHandler = nobody;
  #isOpened = false;
  #endedAtMs: number | undefined;
  #trailers: OutgoingHttpHeaders | undefined;
  #isClosed = false;
  #isPaused = false;
  #isBlocked = false;
  #awaitsDrain = false;
  #isHalfClosed = false;
  #isDelivering = false;
  #isHolding = false;
  #messages = 0;
  /** Messages since the last answer. */
  #unanswered = 0;

  constructor(
    stream: ServerHttp2Stream,
    path: string,
    metadata: readonly string[],
    method: GrpcMethod,
    host: CallHost,
    nowMs: number,
  ) {
    this.#stream = stream;
    this.path = path;
    this.metadata = metadata;
    this.#method = method;
    this.#host = host;
    this.openedAtMs = nowMs;
    this.#splitter = new MessageSplitter(host.maxMessageBytes);
  }

  get peerAddress(): string | undefined {
    return this.#host.peerAddress;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** When `end` was called; undefined before. */
  get endedAtMs(): number | undefined {
    return this.#endedAtMs;
  }

  /** A complete message has come. */
  get hasSpoken(): boolean {
    return this.#messages > 0;
  }

  /** The handler was given something that it has not answered, and the call was not ended. */
  get isOwed(): boolean {
    return this.#unanswered > 0;
  }

  /** Asks the method for a handler and begins to read. */
  open(): void {
    const stream = this.#stream;
    stream.on('aborted', () => this.#close(this.#host.isLost ? 'lost' : 'reset'));
    stream.on('close', () => this.#streamClosed());
    stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers ?? {}));
    this.#contained(() => {
      this.#handler = this.#method.open(this);
    });
    this.#isOpened = true;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', () => this.#halfClosed());
  }

  /** Ends a call that no handler is asked for. */
  refuse(trouble: CallTrouble, detail: string): void {
    this.#stream.on('close', () => this.#streamClosed());
    this.trouble(trouble, detail);
    this.#stream.resume();
  }

  send(message: Uint8Array): void {
    const stream = this.#stream;
    this.#unanswered = 0;
    if (this.#endedAtMs !== undefined || this.#isClosed || stream.closed) return;
    if (!stream.headersSent) stream.respond(headers, beforeTrailers);
    if (!stream.write(withPrefix(message))) this.#block();
  }

  end(status: GrpcStatus, message?: string): void {
    if (this.#endedAtMs !== undefined || this.#isClosed) return;
    this.#endedAtMs = performance.now();
    this.#discard();
    const stream = this.#stream;
    if (stream.closed) return;
    const trailers = trailersOf(status, message);
    if (stream.headersSent) {
      this.#trailers = trailers;
      stream.end();
    } else stream.respond({ ...headers, ...trailers }, instead);
  }

  pause(): void {
    this.#isPaused = true;
    this.#regulate();
  }

  resume(): void {
    this.#isPaused = false;
    this.#regulate();
  }

  /** The connection ends with its last call. */
  leave(): void {
    if (this.#endedAtMs === undefined && !this.#isClosed) this.#contained(() => this.#handler.leaving?.());
  }

  /** Ends the call with what its method wants for `trouble`. */
  trouble(trouble: CallTrouble, detail: string): void {
    if (this.#endedAtMs !== undefined || this.#isClosed) return;
    this.#host.troubled(this.path, trouble, detail);
    this.end(this.#method.statusOf?.(trouble) ?? defaultStatusOf(trouble), detail);
    this.#close(trouble);
  }

  /** Of all calls, this one is to give back memory. */
  letGo(): void {
    this.trouble('memory', 'messages that came in part take too much memory');
    this.#discard();
  }

  /** Gives up on a client that has its status and does not close its side. */
  abandonStream(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #receive(chunk: Buffer): void {
    if (this.#endedAtMs !== undefined) return;
    this.#splitter.push(chunk);
    this.#deliver();
  }

  /** Hands over what is complete, unless told to wait. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (!this.#mustWait) {
        const message = this.#splitter.next();
        if (message === undefined) break;
        this.#messages += 1;
        this.#unanswered += 1;
        this.#handler.message(message);
      }
    } catch (cause) {
      if (cause instanceof MessageError) this.trouble(cause.trouble, cause.message);
      else this.#failed(cause);
    } finally {
      this.#isDelivering = false;
    }
    this.#account();
    if (this.#isHalfClosed) this.#tellHalfClosed();
  }

  get #mustWait(): boolean {
    return (
      this.#isPaused || this.#isBlocked || this.#endedAtMs !== undefined || this.#isClosed || !this.#isOpened
    );
  }

  /** A call that is not read from may yet receive a whole window: that counts as held. */
  #account(): void {
    if (this.#endedAtMs !== undefined || this.#isClosed) return;
    const waiting = this.#isPaused || this.#isBlocked ? this.#host.windowBytes : 0;
    const bytes = this.#splitter.heldBytes + waiting;
    if (bytes > 0) {
      this.#isHolding = true;
      this.#host.memory.hold(this, bytes);
    } else if (this.#isHolding) this.#release();
  }

  #release(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#host.memory.release(this);
  }

  /** The client does not take what was sent. */
  #block(): void {
    this.#isBlocked = true;
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true;
      this.#stream.on('drain', () => {
        this.#isBlocked = false;
        this.#regulate();
      });
    }
    this.#regulate();
  }

  #regulate(): void {
    if (this.#endedAtMs !== undefined || this.#isClosed) return;
    if (this.#isPaused || this.#isBlocked) {
      this.#stream.pause();
      if (!this.#isDelivering) this.#account();
      return;
    }
    this.#deliver();
    if (!this.#mustWait) this.#stream.resume();
  }

  #halfClosed(): void {
    this.#isHalfClosed = true;
    this.#tellHalfClosed();
  }

  #tellHalfClosed(): void {
    if (this.#mustWait) return;
    this.#isHalfClosed = false;
    if (!this.#splitter.isEmpty) this.trouble('malformed', 'the stream ends within a message');
    else this.#contained(() => this.#handler.halfClosed?.());
  }

  /** Nothing more is handed over, and what still comes is read only to be forgotten. */
  #discard(): void {
    this.#splitter.clear();
    this.#release();
    this.#stream.resume();
  }

  #streamClosed(): void {
    this.#close(this.#host.isLost ? 'lost' : 'reset');
    this.#host.streamClosed(this);
  }

  #close(otherwise: CallEnd): void {
    if (this.#isClosed) return;
    const how = this.#endedAtMs === undefined || isTrouble(otherwise) ? otherwise : 'ended';
    this.#isClosed = true;
    this.#host.callClosed(this, how);
    this.#discard();
    const handler = this.#handler;
    this.#handler = nobody;
    try {
      handler.closed(how);
    } catch (cause) {
      this.#host.methodFailed(this.path, cause);
    }
  }

  #contained(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.#host.methodFailed(this.path, cause);
    this.trouble('failed', 'the method failed');
  }
}

function isTrouble(how: CallEnd): how is CallTrouble {
  return how !== 'ended' && how !== 'reset' && how !== 'lost';
}

const okTrailers: OutgoingHttpHeaders = { 'grpc-status': String(GrpcStatus.OK) };

function trailersOf(status: GrpcStatus, message: string | undefined): OutgoingHttpHeaders {
  if (message === undefined || message === '') {
    return status === GrpcStatus.OK ? okTrailers : { 'grpc-status': String(status) };
  }
  return { 'grpc-status': String(status), 'grpc-message': percentEncoded(message) };
}

/** "Status-Message" of gRPC over HTTP2: UTF-8, all but printable ASCII and the percent sign itself. */
function percentEncoded(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message)) {
    const printable = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    const next = printable
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (encoded.length + next.length > longestStatusMessage) break;
    encoded += next;
  }
  return encoded;
}
