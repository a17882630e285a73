import type { Buffer } from 'node:buffer';
import { encodeStreamedBody } from './wire/processing-response.ts';

/** Bytes that streams hold, of the whole door: what one may not have, nobody else is asked for. */
export class HeldBytes {
  readonly #limit: number;
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False, without effect, when there is no room. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#limit) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly endOfStream: boolean;
}

/**
 * One direction of a stream in mode FULL_DUPLEX_STREAMED: Envoy has given away the body, and what is to go on has to be
 * sent back. Until there is a verdict the pieces, and the answer to the headers before them, are held here.
 */
export class HeldBody {
  readonly #kind: 'request-body' | 'response-body';
  readonly #memory: HeldBytes;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  #ended = false;

  constructor(kind: 'request-body' | 'response-body', memory: HeldBytes) {
    this.#kind = kind;
    this.#memory = memory;
  }

  /** Its last piece has been sent back. */
  get finished(): boolean {
    return this.#ended;
  }

  /** @returns false, without effect, when all streams together hold too much. */
  hold(bytes: Buffer, endOfStream: boolean): boolean {
    if (!this.#memory.take(bytes.length)) return false;
    this.#bytes += bytes.length;
    this.#pieces.push({ bytes, endOfStream });
    return true;
  }

  /** Sends on what was held. Call it after the answer to the headers. */
  release(send: (message: Uint8Array) => void): void {
    for (const { bytes, endOfStream } of this.#pieces) this.pass(bytes, endOfStream, send);
    this.drop();
  }

  /** One piece on its way. */
  pass(bytes: Buffer, endOfStream: boolean, send: (message: Uint8Array) => void): void {
    if (endOfStream) this.#ended = true;
    send(encodeStreamedBody(this.#kind, bytes, endOfStream));
  }

  /** The body ended without its last piece saying so. */
  end(): void {
    this.#ended = true;
  }

  /** Nothing of it will be sent. */
  drop(): void {
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
    this.#pieces.length = 0;
  }
}
