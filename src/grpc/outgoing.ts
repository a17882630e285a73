import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { withPrefix } from './message-splitter.ts';
import type { GrpcStatus } from './status.ts';
import { trailersOf } from './trailers.ts';

/** Whose messages are sent. */
export interface OutgoingOwner {
  /** `isBlocked` or `backlogBytes` may have changed. */
  backlogChanged(): void;
  /** All has left, after the client had not taken what was sent. */
  drained(): void;
}

const headers: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };
const beforeTrailers = { waitForTrailers: true, sendDate: false };
const instead = { endStream: true, sendDate: false };

/** A message that is never more than node:http2 lets wait. It is told of those only that are larger, or not alone. */
const smallBytes = 8_192;

/** The server's half of a stream: header list, messages, trailers. */
export class Outgoing {
  readonly #stream: ServerHttp2Stream;
  readonly #owner: OutgoingOwner;
  #isBlocked = false;
  #awaitsDrain = false;
  /** More waits to be sent than one small message. */
  #hasBacklog = false;

  constructor(stream: ServerHttp2Stream, owner: OutgoingOwner) {
    this.#stream = stream;
    this.#owner = owner;
  }

  /** The client does not take what was sent: as much waits as node:http2 wants to wait. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** What waits to be sent, unless it is a single small message that may yet leave with this turn of the event loop. */
  get backlogBytes(): number {
    return this.#hasBacklog ? this.#stream.writableLength : 0;
  }

  /** @param message not looked at after the return */
  send(message: Uint8Array): void {
    const stream = this.#stream;
    if (stream.closed) return;
    if (!stream.headersSent) stream.respond(headers, beforeTrailers);
    const framed = withPrefix(message);
    if (stream.writableLength > 0 || framed.length > smallBytes) this.#queue(framed);
    else stream.write(framed);
  }

  /** In trailers, or in the header list when no message was sent. */
  end(status: GrpcStatus, message: string | undefined): void {
    const stream = this.#stream;
    if (stream.closed) return;
    const trailers = trailersOf(status, message);
    if (stream.headersSent) {
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end();
    } else stream.respond({ ...headers, ...trailers }, instead);
  }

  #queue(framed: Buffer): void {
    this.#hasBacklog = true;
    const goesOn = this.#stream.write(framed, () => {
      if (this.#stream.destroyed) return;
      if (this.#stream.writableLength === 0) this.#hasBacklog = false;
      this.#owner.backlogChanged();
    });
    if (goesOn) this.#owner.backlogChanged();
    else this.#block();
  }

  #block(): void {
    this.#isBlocked = true;
    this.#hasBacklog = true;
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true;
      this.#stream.on('drain', () => {
        this.#isBlocked = false;
        this.#hasBacklog = false;
        this.#owner.drained();
      });
    }
    this.#owner.backlogChanged();
  }
}
