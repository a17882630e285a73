/**
 * SPOP's typed data (SPOE.txt 3.1): one byte, type in the low nibble and flags in the high one, then the
 * value.
 *
 * - Integers are varints of 64 bits whatever their type says, negative ones in two's complement (ten
 *   bytes). A number where that is exact, a bigint beyond 2^53. HAProxy sends every integer as int64.
 * - A *string* is decoded to its bytes, as is a *binary*: what HAProxy calls a string (a path, a header)
 *   may hold any byte, and none may be lost. `typedText` turns either into text. Both are views of
 *   the frame. For encoding, a string may also be given as text, which leaves as UTF-8.
 * - Addresses are text, in one form each, so that equal addresses are equal strings.
 * - The flags mean something only for booleans (bit 0); elsewhere they are ignored, as HAProxy does.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { ipv4FromText, ipv4ToText, ipv6FromText, ipv6ToText } from './ip-text.ts';
import { SpopError } from './spop-error.ts';
import { type Int64, toSigned64, toUnsigned64, type Uint64 } from './varint.ts';

/** The type nibble of each kind of value. */
export const DataType = {
  null: 0,
  boolean: 1,
  int32: 2,
  uint32: 3,
  int64: 4,
  uint64: 5,
  ipv4: 6,
  ipv6: 7,
  string: 8,
  binary: 9,
} as const;
export type DataType = (typeof DataType)[keyof typeof DataType];

/** A value as it is decoded. */
export type TypedData =
  | { readonly type: 'null'; readonly value: null }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'int32'; readonly value: number }
  | { readonly type: 'uint32'; readonly value: number }
  | { readonly type: 'int64'; readonly value: Int64 }
  | { readonly type: 'uint64'; readonly value: Uint64 }
  | { readonly type: 'ipv4'; readonly value: string }
  | { readonly type: 'ipv6'; readonly value: string }
  | { readonly type: 'string'; readonly value: Buffer }
  | { readonly type: 'binary'; readonly value: Buffer };

/** A value as it can be encoded: strings also as text, bytes as any Uint8Array. */
export type TypedDataInput =
  | TypedData
  | { readonly type: 'string'; readonly value: string | Uint8Array }
  | { readonly type: 'binary'; readonly value: Uint8Array };

const FLAG_TRUE = 0x10;
const NULL_DATA: TypedData = { type: 'null', value: null };
const TRUE_DATA: TypedData = { type: 'boolean', value: true };
const FALSE_DATA: TypedData = { type: 'boolean', value: false };

/** @throws SpopError on an unknown type, a value that is cut off, or an integer out of its type's range. */
export function readTypedData(reader: ByteReader): TypedData {
  const head = reader.uint8('type of a value');
  switch (head & 0x0f) {
    case DataType.null:
      return NULL_DATA;
    case DataType.boolean:
      return (head & FLAG_TRUE) === 0 ? FALSE_DATA : TRUE_DATA;
    case DataType.int32:
      return { type: 'int32', value: int32From(reader) };
    case DataType.uint32:
      return { type: 'uint32', value: uint32From(reader) };
    case DataType.int64:
      return { type: 'int64', value: toSigned64(reader.varint('int64')) };
    case DataType.uint64:
      return { type: 'uint64', value: reader.varint('uint64') };
    case DataType.ipv4:
      return { type: 'ipv4', value: ipv4ToText(reader.bytes(4, 'ipv4')) };
    case DataType.ipv6:
      return { type: 'ipv6', value: ipv6ToText(reader.bytes(16, 'ipv6')) };
    case DataType.string:
      return { type: 'string', value: reader.prefixedBytes('string') };
    case DataType.binary:
      return { type: 'binary', value: reader.prefixedBytes('binary') };
    default:
      throw unknownType(head);
  }
}

/**
 * Moves past one value without making anything of it. Throws as `readTypedData` does, and never otherwise: what could
 * be skipped can be read.
 */
export function skipTypedData(reader: ByteReader): void {
  const head = reader.uint8('type of a value');
  switch (head & 0x0f) {
    case DataType.null:
    case DataType.boolean:
      return;
    case DataType.int32:
      int32From(reader);
      return;
    case DataType.uint32:
      uint32From(reader);
      return;
    case DataType.int64:
    case DataType.uint64:
      reader.varint('integer');
      return;
    case DataType.ipv4:
      reader.skip(4, 'ipv4');
      return;
    case DataType.ipv6:
      reader.skip(16, 'ipv6');
      return;
    case DataType.string:
    case DataType.binary:
      reader.skipPrefixedBytes('string or binary');
      return;
    default:
      throw unknownType(head);
  }
}

/** @throws RangeError on an integer or address that its type cannot hold. */
export function writeTypedData(writer: ByteWriter, data: TypedDataInput): void {
  writer.uint8(data.type === 'boolean' && data.value ? DataType.boolean | FLAG_TRUE : DataType[data.type]);
  switch (data.type) {
    case 'null':
    case 'boolean':
      break;
    case 'int32':
      checkRange(data.value, -(2 ** 31), 2 ** 31 - 1, 'int32');
      writer.varint(toUnsigned64(data.value));
      break;
    case 'uint32':
      checkRange(data.value, 0, 2 ** 32 - 1, 'uint32');
      writer.varint(data.value);
      break;
    case 'int64':
      writer.varint(toUnsigned64(data.value));
      break;
    case 'uint64':
      writer.varint(data.value);
      break;
    case 'ipv4':
      writer.bytes(ipv4FromText(data.value));
      break;
    case 'ipv6':
      writer.bytes(ipv6FromText(data.value));
      break;
    case 'string':
    case 'binary':
      if (typeof data.value === 'string') writer.prefixedText(data.value);
      else writer.prefixedBytes(data.value);
      break;
  }
}

/**
 * The text of a string or binary value, undefined for every other type. Bytes that are valid UTF-8 are
 * read as UTF-8, all others as latin1, one character a byte: nothing becomes U+FFFD, nothing is lost.
 */
export function typedText(data: TypedDataInput): string | undefined {
  if (data.type !== 'string' && data.type !== 'binary') return undefined;
  return typeof data.value === 'string' ? data.value : textOfBytes(data.value);
}

/** As `typedText`, for bytes taken from elsewhere. */
export function textOfBytes(bytes: Uint8Array): string {
  const view =
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.toString(isUtf8(view) ? 'utf8' : 'latin1');
}

function unknownType(head: number): SpopError {
  return new SpopError('SPOP_UNKNOWN_DATA_TYPE', `typed data of type ${head & 0x0f}; the types are 0 to 9`);
}

function int32From(reader: ByteReader): number {
  return ranged(toSigned64(reader.varint('int32')), -(2 ** 31), 2 ** 31 - 1, 'int32');
}

function uint32From(reader: ByteReader): number {
  return ranged(reader.varint('uint32'), 0, 2 ** 32 - 1, 'uint32');
}

function ranged(value: number | bigint, min: number, max: number, type: string): number {
  if (typeof value === 'bigint' || value < min || value > max) {
    throw new SpopError('SPOP_INTEGER_OUT_OF_RANGE', `${value} does not fit ${type}`);
  }
  return value;
}

function checkRange(value: number, min: number, max: number, type: string): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${value} does not fit ${type}`);
  }
}
