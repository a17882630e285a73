/**
 * A growing buffer for bytes that leave. Writing never fails for lack of room; what was written since a
 * mark can be taken back with `truncate`, so a frame that turns out too large leaves no trace.
 */
import { Buffer } from 'node:buffer';
import { checkUint64, type Uint64, VARINT_FIRST_LONG, VARINT_MAX_BYTES } from './varint.ts';

const FIRST_CAPACITY = 512;
const EMPTY = Buffer.alloc(0);

/** Collects bytes that leave; grows as needed. Writing throws RangeError for what the wire has no form for. */
export class ByteWriter {
  #bytes: Buffer = EMPTY;
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** Four bytes, network order. */
  uint32(value: number): void {
    this.#reserve(4);
    this.#bytes.writeUInt32BE(value, this.#length);
    this.#length += 4;
  }

  /** @throws RangeError if the value is no unsigned integer of 64 bits. */
  varint(value: Uint64): void {
    checkUint64(value);
    this.#reserve(VARINT_MAX_BYTES);
    if (typeof value === 'number' && value < VARINT_FIRST_LONG) {
      this.#bytes[this.#length] = value;
      this.#length += 1;
    } else if (typeof value === 'number' && value < 2 ** 31) {
      this.#smallVarint(value);
    } else {
      this.#bigVarint(BigInt(value));
    }
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A length (varint) and the bytes. */
  prefixedBytes(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  /** A length (varint) and the text as UTF-8. */
  prefixedText(value: string): void {
    const length = Buffer.byteLength(value, 'utf8');
    this.varint(length);
    this.#reserve(length);
    this.#bytes.write(value, this.#length, 'utf8');
    this.#length += length;
  }

  /**
   * A name, one byte a character, as `ByteReader.name` reads it.
   * @throws RangeError on a character above U+00FF, which has no such byte.
   */
  name(value: string): void {
    this.varint(value.length);
    this.#reserve(value.length);
    const bytes = this.#bytes;
    const start = this.#length;
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index);
      if (unit > 0xff) throw new RangeError(`name ${JSON.stringify(value)} has a character above U+00FF`);
      bytes[start + index] = unit;
    }
    this.#length = start + value.length;
  }

  /** Overwrites four bytes written earlier; how a frame gets its length once it is known. */
  patchUint32(position: number, value: number): void {
    this.#bytes.writeUInt32BE(value, position);
  }

  /** Forgets everything after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Takes out what stands from `start` to `end`; what follows moves up. */
  cut(start: number, end: number): void {
    this.#bytes.copyWithin(start, end, this.#length);
    this.#length -= end - start;
  }

  /** Hands over what was written and starts afresh; the writer keeps no claim on the bytes. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }

  #smallVarint(value: number): void {
    let position = this.#length;
    this.#bytes[position] = VARINT_FIRST_LONG | (value & 0x0f);
    let rest = (value - VARINT_FIRST_LONG) >>> 4;
    position += 1;
    for (; rest >= 128; rest = (rest - 128) >>> 7) {
      this.#bytes[position] = (rest & 0x7f) | 0x80;
      position += 1;
    }
    this.#bytes[position] = rest;
    this.#length = position + 1;
  }

  #bigVarint(value: bigint): void {
    let position = this.#length;
    this.#bytes[position] = VARINT_FIRST_LONG | Number(value & 0x0fn);
    let rest = (value - 240n) >> 4n;
    position += 1;
    for (; rest >= 128n; rest = (rest - 128n) >> 7n) {
      this.#bytes[position] = Number(rest & 0x7fn) | 0x80;
      position += 1;
    }
    this.#bytes[position] = Number(rest);
    this.#length = position + 1;
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(wanted, this.#bytes.length * 2, FIRST_CAPACITY));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
