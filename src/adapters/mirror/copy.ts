/*
 * A mirrored request as the bytes of a job, written while it arrives:
 *
 *   u32  head, u32 body, u32 trailers   bytes of each
 *   f64  size of the whole body, as far as it was announced or came
 *   u16  listener                       place in the setting of addresses
 *   u16  peer port
 *   u8   flags                          1: over TLS; 2: the body is whole; 4, 8: see Wire
 *   u8   peer address                   bytes
 *   then peer address, head, body, trailers
 *
 * The head is HTTP/1's, as it came; a request that came over HTTP/2 is written as one.
 */

/** What the connection knows. */
export interface CopyOrigin {
  /** Undefined: a unix socket. */
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
  /** Which of the addresses listened on, by its place in the setting. */
  readonly listener: number;
  readonly tls: boolean;
}

/** How the head came: HTTP/1; HTTP/2 with `:authority`, which is written as the first field `host`; or without it. */
export type Wire = 'http1' | 'http2' | 'http2-without-authority';

export interface CopyHead {
  /** HTTP/1's, as it came, or written like one. */
  readonly head: Buffer;
  readonly wire: Wire;
  /** Of the body, as it was announced; 0: there is none; undefined: nobody knows. */
  readonly bodyBytes: number | undefined;
}

export interface Copy extends CopyOrigin {
  readonly head: Buffer;
  readonly wire: Wire;
  /** What was kept of it. */
  readonly body: Buffer;
  /** Of the whole body, in bytes: what was announced, or came if that is more. */
  readonly bodySize: number;
  /** All of the body is there. */
  readonly whole: boolean;
  readonly trailers: Buffer;
}

const prefixBytes = 26;
const flagTls = 1;
const flagWhole = 2;
const wireFlags = { http1: 0, http2: 4, 'http2-without-authority': 8 } as const satisfies Record<
  Wire,
  number
>;
const nothing = Buffer.alloc(0);

/** Beyond this, room for a body is made as it comes: announcing one costs a sender nothing. */
const largestRoomAhead = 64 * 1024;

/** Writes one copy, in place. */
export class CopyWriter {
  #bytes: Buffer;
  readonly #headBytes: number;
  #length: number;
  #bodyBytes = 0;
  readonly #announcedBytes: number;

  /** @param keepsBody room is made for it. */
  constructor(origin: CopyOrigin, { head, wire, bodyBytes }: CopyHead, keepsBody: boolean) {
    const address = (origin.peerAddress ?? '').slice(0, 255);
    const fixed = prefixBytes + address.length + head.length;
    this.#announcedBytes = bodyBytes ?? 0;
    const ahead = keepsBody ? Math.min(this.#announcedBytes, largestRoomAhead) : 0;
    this.#headBytes = head.length;
    this.#bytes = Buffer.allocUnsafe(fixed + ahead);
    this.#bytes.writeUInt16BE(origin.listener, 20);
    this.#bytes.writeUInt16BE(origin.peerPort ?? 0, 22);
    this.#bytes.writeUInt8((origin.tls ? flagTls : 0) | wireFlags[wire], 24);
    this.#bytes.writeUInt8(address.length, 25);
    this.#bytes.write(address, prefixBytes, 'latin1');
    this.#bytes.set(head, prefixBytes + address.length);
    this.#length = fixed;
  }

  /** Bytes in use. */
  get length(): number {
    return this.#length;
  }

  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  addBody(piece: Uint8Array): void {
    this.#append(piece);
    this.#bodyBytes += piece.length;
  }

  /**
   * The copy. The writer is of no use afterwards.
   * @param seenBytes of the body: more than were kept, perhaps.
   * @param whole nothing of it is missing.
   */
  finish(seenBytes: number, whole: boolean, trailers: Buffer = nothing): Buffer {
    this.#append(trailers);
    const bytes = this.#bytes.subarray(0, this.#length);
    bytes.writeUInt32BE(this.#headBytes, 0);
    bytes.writeUInt32BE(this.#bodyBytes, 4);
    bytes.writeUInt32BE(trailers.length, 8);
    bytes.writeDoubleBE(whole ? seenBytes : Math.max(seenBytes, this.#announcedBytes), 12);
    if (whole) bytes.writeUInt8(bytes.readUInt8(24) | flagWhole, 24);
    return bytes;
  }

  #append(piece: Uint8Array): void {
    const wanted = this.#length + piece.length;
    if (wanted > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(wanted, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = wanted;
  }
}

/** Buffers are views of `bytes`. */
export function readCopy(bytes: Buffer): Copy {
  const [headBytes, bodyBytes] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  const addressBytes = bytes.readUInt8(25);
  const flags = bytes.readUInt8(24);
  const head = prefixBytes + addressBytes;
  const body = head + headBytes;
  const trailers = body + bodyBytes;
  return {
    peerAddress: addressBytes === 0 ? undefined : bytes.toString('latin1', prefixBytes, head),
    peerPort: bytes.readUInt16BE(22) || undefined,
    listener: bytes.readUInt16BE(20),
    tls: (flags & flagTls) !== 0,
    wire: wireOf(flags),
    head: bytes.subarray(head, body),
    body: bytes.subarray(body, trailers),
    bodySize: bytes.readDoubleBE(12),
    whole: (flags & flagWhole) !== 0,
    trailers: bytes.subarray(trailers, trailers + bytes.readUInt32BE(8)),
  };
}

function wireOf(flags: number): Wire {
  if ((flags & wireFlags.http2) !== 0) return 'http2';
  return (flags & wireFlags['http2-without-authority']) !== 0 ? 'http2-without-authority' : 'http1';
}
