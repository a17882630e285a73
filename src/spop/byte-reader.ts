/**
 * A cursor over bytes that came from a peer. No read can leave the range the cursor was made for: each
 * one passes through `#advance`, which compares what is wanted with what is left before anything is
 * touched. A nested structure gets a reader of its own, so it cannot read past its own end.
 *
 * Buffers handed out are views, not copies. See frame-splitter.ts for how long they stay valid.
 */
import type { Buffer } from 'node:buffer';
import { nameText } from './name-text.ts';
import { SpopError } from './spop-error.ts';
import { compactInteger, UINT64_MAX, type Uint64, VARINT_FIRST_LONG, VARINT_MAX_BYTES } from './varint.ts';

/** Reads bytes of a peer from first to last, and never beyond them. Every read throws SpopError when too little is left. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #position: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#position = 0;
    this.#end = bytes.length;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#position;
  }

  /** Offset of the next byte from the start of this reader. */
  get position(): number {
    return this.#position;
  }

  /** @throws SpopError SPOP_OUT_OF_BYTES, as every read does when too little is left. */
  uint8(what: string): number {
    return this.#bytes[this.#advance(1, what)] ?? 0;
  }

  /** Four bytes, network order. */
  uint32(what: string): number {
    return this.#bytes.readUInt32BE(this.#advance(4, what));
  }

  /**
   * An unsigned 64-bit varint.
   * @throws SpopError SPOP_BAD_VARINT beyond 64 bits, SPOP_OUT_OF_BYTES when it is cut off.
   */
  varint(what: string): Uint64 {
    const first = this.uint8(what);
    return first < VARINT_FIRST_LONG ? first : this.#longVarint(first, what);
  }

  /** The next `length` bytes, as a view. */
  bytes(length: number, what: string): Buffer {
    const start = this.#advance(length, what);
    return this.#bytes.subarray(start, start + length);
  }

  /** Everything that is left, as a view. */
  rest(): Buffer {
    return this.bytes(this.remaining, 'rest');
  }

  /** A length (varint) and that many bytes, as a view. */
  prefixedBytes(what: string): Buffer {
    return this.bytes(this.#length(what), what);
  }

  /** As `prefixedBytes`, without making anything of them: they are those before `position`. Returns how many. */
  skipPrefixedBytes(what: string): number {
    const length = this.#length(what);
    this.#advance(length, what);
    return length;
  }

  skip(length: number, what: string): void {
    this.#advance(length, what);
  }

  /**
   * A name: a length and that many bytes, one character a byte (latin1), so that no byte is lost and two
   * names are the same string only if they are the same bytes.
   */
  name(what: string): string {
    const length = this.#length(what);
    const start = this.#advance(length, what);
    return nameText(this.#bytes, start, length);
  }

  #length(what: string): number {
    const length = this.varint(what);
    if (typeof length === 'bigint') {
      throw new SpopError(
        'SPOP_OUT_OF_BYTES',
        `${what}: length ${length} exceeds the ${this.remaining} bytes left`,
      );
    }
    return length;
  }

  #advance(length: number, what: string): number {
    const start = this.#position;
    if (length > this.#end - start) {
      throw new SpopError('SPOP_OUT_OF_BYTES', `${what}: ${length} bytes wanted, ${this.#end - start} left`);
    }
    this.#position = start + length;
    return start;
  }

  /** The bytes after the first. The first six are added as numbers, which stay exact below 2^47. */
  #longVarint(first: number, what: string): Uint64 {
    let low = first;
    let factor = 16;
    for (let count = 1; count <= 6; count += 1) {
      const byte = this.uint8(what);
      low += byte * factor;
      if (byte < 128) return low;
      factor *= 128;
    }
    let value = BigInt(low);
    let shift = 46n;
    for (let count = 7; count < VARINT_MAX_BYTES; count += 1) {
      const byte = this.uint8(what);
      value += BigInt(byte) << shift;
      if (byte < 128) {
        if (value > UINT64_MAX) break;
        return compactInteger(value);
      }
      shift += 7n;
    }
    throw new SpopError('SPOP_BAD_VARINT', `${what}: a variable-length integer exceeds 64 bits`);
  }
}
