import { Buffer } from 'node:buffer';
import { WireType } from './field-cursor.ts';

const firstCapacity = 256;

/** Bytes of a varint. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** A growing buffer for one message in protobuf's encoding, in its canonical form: lengths as short as can be. */
export class ProtoWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = firstCapacity) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** An unsigned integer up to 2^53, an enumeration or a boolean. */
  varint(field: number, value: number): void {
    this.#tag(field, WireType.varint);
    this.#varint(value);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, WireType.bytes);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** As UTF-8. */
  text(field: number, value: string): void {
    const size = Buffer.byteLength(value);
    this.#tag(field, WireType.bytes);
    this.#varint(size);
    this.#reserve(size);
    this.#bytes.write(value, this.#length, 'utf8');
    this.#length += size;
  }

  /** Tag and length of a field whose bytes the caller writes next, field by field. */
  header(field: number, length: number): void {
    this.#tag(field, WireType.bytes);
    this.#varint(length);
  }

  /** Begins a nested message. Returns what `close` wants. */
  open(field: number): number {
    this.#tag(field, WireType.bytes);
    this.#reserve(1);
    this.#length += 1;
    return this.#length;
  }

  /** Ends the nested message that began at `start`: only now is its length known. */
  close(start: number): void {
    const size = this.#length - start;
    const lengthBytes = varintSize(size);
    if (lengthBytes > 1) {
      this.#reserve(lengthBytes - 1);
      this.#bytes.copyWithin(start + lengthBytes - 1, start, this.#length);
    }
    this.#length = start - 1;
    this.#varint(size);
    this.#length += size;
  }

  /** What was written. The writer is not to be used afterwards. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) {
      this.#bytes[this.#length] = (rest % 128) | 0x80;
      this.#length += 1;
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(wanted, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
