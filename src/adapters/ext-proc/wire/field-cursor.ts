import type { Buffer } from 'node:buffer';

/** What is wrong with the bytes of a message. The codes are stable. */
export type WireErrorCode = 'WIRE_OUT_OF_BYTES' | 'WIRE_BAD_VARINT' | 'WIRE_BAD_TAG';

export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Wire types of protobuf's encoding ("Encoding", Message Structure). */
export const WireType = {
  varint: 0,
  fixed64: 1,
  bytes: 2,
  groupStart: 3,
  groupEnd: 4,
  fixed32: 5,
} as const;

/** A varint of 64 bits. */
const maxVarintBytes = 10;

/** Groups in groups; nobody has written any for many years. */
const maxGroups = 32;

const maxFieldNumber = 2 ** 29 - 1;

/**
 * Walks over the fields of one message in bytes that came from a peer. Nothing outside the range it was made for is ever
 * touched. It does not throw: what is wrong ends the walk and stands in `problem`. A field of bytes that is cut off
 * is handed out as far as it is there, once, for what came is inspected.
 *
 * A nested message is walked by a cursor of its own over `start` to `end`, so it cannot leave its range either.
 */
export class FieldCursor {
  readonly #bytes: Buffer;
  #position: number;
  #limit: number;
  /** Of the current field. */
  number = 0;
  type = 0;
  /** Of a varint; exact up to 2^53, and 0 only when it is 0. */
  value = 0;
  /** Where its bytes are; of fixed64 and fixed32 too. */
  start = 0;
  end = 0;
  problem: WireError | undefined;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#position = start;
    this.#limit = end;
  }

  /** Walks over another message of the same bytes. A problem that was found stands. */
  over(start: number, end: number): this {
    this.#position = start;
    this.#limit = end;
    return this;
  }

  /** Goes on to the next field; groups are passed over. False after the last one. */
  next(): boolean {
    for (;;) {
      if (this.#position >= this.#limit || !this.#readTag()) return false;
      if (this.type === WireType.groupStart) {
        if (!this.#skipGroup()) return false;
      } else if (this.type === WireType.groupEnd) {
        return this.#fail('WIRE_BAD_TAG', 'a group ends that was not begun');
      } else {
        return this.#readValue();
      }
    }
  }

  /** Whether the current field is `number` with a varint in it. */
  isVarint(number: number): boolean {
    return this.number === number && this.type === WireType.varint;
  }

  /** Whether the current field is `number` with bytes, a text or a message in it. */
  isBytes(number: number): boolean {
    return this.number === number && this.type === WireType.bytes;
  }

  #readTag(): boolean {
    if (!this.#readVarint()) return false;
    this.number = Math.floor(this.value / 8);
    this.type = this.value % 8;
    if (this.number < 1 || this.number > maxFieldNumber || this.type > WireType.fixed32)
      return this.#fail('WIRE_BAD_TAG', `no field has the tag ${this.value}`);
    return true;
  }

  #readValue(): boolean {
    switch (this.type) {
      case WireType.varint:
        return this.#readVarint();
      case WireType.fixed64:
        return this.#take(8);
      case WireType.fixed32:
        return this.#take(4);
      default:
        return this.#readVarint() && this.#takeWhatIsThere(this.value);
    }
  }

  #take(length: number): boolean {
    if (length > this.#limit - this.#position) {
      const left = this.#limit - this.#position;
      return this.#fail('WIRE_OUT_OF_BYTES', `field ${this.number}: ${length} bytes wanted, ${left} left`);
    }
    this.start = this.#position;
    this.end = this.start + length;
    this.#position = this.end;
    return true;
  }

  #takeWhatIsThere(length: number): true {
    const start = this.#position;
    if (!this.#take(length)) {
      this.start = start;
      this.end = this.#limit;
    }
    return true;
  }

  #readVarint(): boolean {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < maxVarintBytes; count += 1) {
      if (this.#position >= this.#limit) return this.#fail('WIRE_OUT_OF_BYTES', 'a varint is cut off');
      const byte = this.#bytes[this.#position] ?? 0;
      this.#position += 1;
      if (byte < 0x80) {
        this.value = value + byte * factor;
        return true;
      }
      value += (byte & 0x7f) * factor;
      factor *= 128;
    }
    return this.#fail('WIRE_BAD_VARINT', 'a varint has more than 64 bits');
  }

  /** A field in a group may be a group. */
  #skipGroup(): boolean {
    let depth = 1;
    while (depth > 0) {
      if (this.#position >= this.#limit) return this.#fail('WIRE_OUT_OF_BYTES', 'a group does not end');
      if (!this.#readTag()) return false;
      if (this.type === WireType.groupStart) depth += 1;
      else if (this.type === WireType.groupEnd) depth -= 1;
      else if (!this.#readValue() || this.problem !== undefined) return false;
      if (depth > maxGroups) return this.#fail('WIRE_BAD_TAG', `more than ${maxGroups} groups in each other`);
    }
    return true;
  }

  #fail(code: WireErrorCode, message: string): false {
    this.problem ??= new WireError(code, message);
    this.#position = this.#limit;
    return false;
  }
}
