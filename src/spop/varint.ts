/**
 * SPOP's variable-length integers ("Peers encoding", SPOE.txt 3.1), up to 64 bits.
 *
 * Below 240 the value is its own byte. From 240 on, the first byte is 1111xxxx and carries the low four
 * bits; every further byte adds seven bits, counted from what the shorter encodings leave over, and has
 * bit 7 set when another byte follows. Every value therefore has exactly one encoding: there are no
 * overlong forms to refuse, only numbers beyond 64 bits, which take a tenth byte that is too large or an
 * eleventh byte. The readers and writers live in byte-reader.ts and byte-writer.ts; this file has the
 * arithmetic they share.
 */

/** An unsigned 64-bit integer: a number up to 2^53 - 1, a bigint above, never the other way round. */
export type Uint64 = number | bigint;

/** A signed 64-bit integer: a number when it is safe, a bigint otherwise. */
export type Int64 = number | bigint;

/** First byte from which more bytes follow, and first value that needs two. */
export const VARINT_FIRST_LONG = 240;

/** 4 + 9 * 7 bits cover 64: no varint of 64 bits takes more. */
export const VARINT_MAX_BYTES = 10;

export const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MIN = -(2n ** 63n);

/** The same integer as a number where that is exact. */
export function compactInteger(value: bigint): number | bigint {
  const asNumber = Number(value);
  return Number.isSafeInteger(asNumber) ? asNumber : value;
}

/** Reads an unsigned 64-bit pattern as two's complement. */
export function toSigned64(value: Uint64): Int64 {
  return typeof value === 'number' ? value : compactInteger(BigInt.asIntN(64, value));
}

/**
 * The 64-bit two's complement pattern of a signed integer.
 * @throws RangeError if the value is no integer of 64 bits.
 */
export function toUnsigned64(value: Int64): Uint64 {
  if (typeof value === 'number' && value >= 0) return checkUint64(value);
  const exact = BigInt(value);
  if (exact < INT64_MIN || exact > 2n ** 63n - 1n) {
    throw new RangeError(`${exact} does not fit a signed 64-bit integer`);
  }
  return compactInteger(BigInt.asUintN(64, exact));
}

/**
 * The number of bytes a value takes, 1 to 10.
 * @throws RangeError if the value is no unsigned integer of 64 bits, or an inexact number.
 */
export function varintSize(value: Uint64): number {
  checkUint64(value);
  if (value < 240) return 1;
  if (value < 2_288) return 2;
  if (value < 264_432) return 3;
  if (value < 33_818_864) return 4;
  if (value < 4_328_786_160) return 5;
  let size = 5;
  let rest = (BigInt(value) - 240n) >> 4n;
  for (let step = 0; step < 3; step += 1) rest = (rest - 128n) >> 7n;
  for (; rest >= 128n; size += 1) rest = (rest - 128n) >> 7n;
  return size;
}

/** Returns the value itself, or throws RangeError: encoding a wrong integer is our mistake, not the peer's. */
export function checkUint64(value: Uint64): Uint64 {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${value} is no exact unsigned integer; use a bigint beyond 2^53 - 1`);
    }
  } else if (value < 0n || value > UINT64_MAX) {
    throw new RangeError(`${value} does not fit an unsigned 64-bit integer`);
  }
  return value;
}
