import { constants, type ServerHttp2Stream } from 'node:http2';
import type { HeldMemory, Holder } from './held-memory.ts';
import { MessageError, MessageSplitter } from './message-splitter.ts';
import type { CallEnd, GrpcCall, GrpcCallHandler, GrpcMethod } from './method.ts';
import { Outgoing, type OutgoingOwner } from './outgoing.ts';
import type { GrpcStatus } from './status.ts';
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

const nobody: GrpcCallHandler = { message: () => undefined, closed: () => undefined };

/**
 * A stream of HTTP/2 as a gRPC call. The states: open, ended by us (what comes is discarded), closed (its handler was told).
 * Its stream may outlive the last: a client that was given a status has yet to close its side.
 */
export class Call implements GrpcCall, Holder, OutgoingOwner {
  readonly path: string;
  readonly metadata: readonly string[];
  readonly openedAtMs: number;
  readonly #stream: ServerHttp2Stream;
  readonly #method: GrpcMethod;
  readonly #host: CallHost;
  readonly #splitter: MessageSplitter;
  readonly #outgoing: Outgoing;
  #handler: GrpcCallHandler = nobody;
  #endedAtMs: number | undefined;
  #isClosed = false;
  #isPaused = false;
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
    this.#outgoing = new Outgoing(stream, this);
  }

  get peerAddress(): string | undefined {
    return this.#host.peerAddress;
  }

  get unsentBytes(): number {
    return this.#stream.writableLength;
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
    this.#contained(() => {
      this.#handler = this.#method.open(this);
    });
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', () => {
      this.#isHalfClosed = true;
      this.#tellHalfClosed();
    });
  }

  /** Ends a call that no handler is asked for. */
  refuse(trouble: CallTrouble, detail: string): void {
    this.#stream.on('close', () => this.#streamClosed());
    this.trouble(trouble, detail);
    this.#stream.resume();
  }

  send(message: Uint8Array): void {
    this.#unanswered = 0;
    if (this.#isOpen) this.#outgoing.send(message);
  }

  end(status: GrpcStatus, message?: string): void {
    if (!this.#isOpen) return;
    this.#endedAtMs = performance.now();
    this.#discard();
    this.#outgoing.end(status, message);
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
    if (this.#isOpen) this.#contained(() => this.#handler.leaving?.());
  }

  /** Ends the call with what its method wants for `trouble`. */
  trouble(trouble: CallTrouble, detail: string): void {
    if (!this.#isOpen) return;
    this.#host.troubled(this.path, trouble, detail);
    this.end(this.#method.statusOf?.(trouble) ?? defaultStatusOf(trouble), detail);
    this.#close(trouble);
  }

  /** Of all calls, this one is to give back memory. */
  letGo(): void {
    const hadBacklog = this.#outgoing.backlogBytes > 0;
    this.trouble('memory', 'what is held of all calls takes too much memory');
    this.#release();
    // What waits goes only with its stream.
    if (hadBacklog) this.abandonStream();
  }

  /** Gives up on a client that has its status and does not close its side. */
  abandonStream(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  backlogChanged(): void {
    if (this.#outgoing.isBlocked) this.#regulate();
    else if (!this.#isDelivering) this.#account();
  }

  drained(): void {
    this.#account();
    if (!this.#isOpen) return;
    this.#contained(() => this.#handler.drained?.());
    this.#regulate();
  }

  /** Neither ended by us nor closed. */
  get #isOpen(): boolean {
    return this.#endedAtMs === undefined && !this.#isClosed;
  }

  /** Messages wait, for the method or for the client. */
  get #isHeld(): boolean {
    return this.#isPaused || this.#outgoing.isBlocked;
  }

  #receive(chunk: Buffer): void {
    if (!this.#isOpen) return;
    this.#splitter.push(chunk);
    this.#deliver();
  }

  /** Hands over what is complete, unless told to wait. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (this.#isOpen && !this.#isHeld) {
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

  /** A call that is not read from may yet receive a whole window: that counts as held. */
  #account(): void {
    const waiting = this.#isOpen && this.#isHeld ? this.#host.windowBytes : 0;
    const bytes = this.#splitter.heldBytes + waiting + this.#outgoing.backlogBytes;
    if (bytes > 0) {
      this.#isHolding = true;
      this.#host.memory.hold(this, bytes);
    } else this.#release();
  }

  #release(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#host.memory.release(this);
  }

  #regulate(): void {
    if (!this.#isOpen) return;
    if (this.#isHeld) {
      this.#stream.pause();
      if (!this.#isDelivering) this.#account();
      return;
    }
    this.#deliver();
    if (this.#isOpen && !this.#isHeld) this.#stream.resume();
  }

  #tellHalfClosed(): void {
    if (!this.#isOpen || this.#isHeld) return;
    this.#isHalfClosed = false;
    if (!this.#splitter.isEmpty) this.trouble('malformed', 'the stream ends within a message');
    else this.#contained(() => this.#handler.halfClosed?.());
  }

  /** Nothing more is handed over, and what still comes is read only to be forgotten. */
  #discard(): void {
    this.#splitter.clear();
    this.#account();
    if (this.#stream.readableFlowing !== true) this.#stream.resume();
  }

  #streamClosed(): void {
    this.#close(this.#host.isLost ? 'lost' : 'reset');
    this.#release();
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
