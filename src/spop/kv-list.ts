/** Lists of named values, the payload of HELLO and DISCONNECT frames (SPOE.txt 3.2). */
import type { Buffer } from 'node:buffer';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { SpopError } from './spop-error.ts';
import {
  readTypedData,
  skipTypedData,
  type TypedData,
  type TypedDataInput,
  typedText,
  writeTypedData,
} from './typed-data.ts';

/** One named value. */
export interface KvItem {
  readonly name: string;
  readonly value: TypedDataInput;
}

/**
 * Reads the items with the given names. Others are skipped, as HAProxy skips what it does not know.
 * @throws SpopError if the list is malformed or has one of the names twice: two answers to one question
 *   are none, and nobody sends them.
 */
export function readKvList<Name extends string>(
  payload: Buffer,
  names: readonly Name[],
): Map<Name, TypedData> {
  const reader = new ByteReader(payload);
  const items = new Map<Name, TypedData>();
  while (reader.remaining > 0) {
    const name = reader.name('item name');
    const known = names.find((candidate) => candidate === name);
    if (known === undefined) {
      skipTypedData(reader);
    } else if (items.has(known)) {
      throw new SpopError('SPOP_BAD_ITEM', `item ${known} appears twice`);
    } else {
      items.set(known, readTypedData(reader));
    }
  }
  return items;
}

/** Appends the items in this order. */
export function writeKvList(writer: ByteWriter, items: readonly KvItem[]): void {
  for (const { name, value } of items) {
    writer.name(name);
    writeTypedData(writer, value);
  }
}

/** An item whose value is a string. */
export function stringItem(name: string, value: string): KvItem {
  return { name, value: { type: 'string', value } };
}

/**
 * The text of the item `name`.
 * @throws SpopError SPOP_BAD_ITEM if it is no string
 */
export function stringOf(data: TypedData, name: string): string {
  const text = data.type === 'string' ? typedText(data) : undefined;
  if (text === undefined)
    throw new SpopError('SPOP_BAD_ITEM', `item ${name} is ${data.type}, expected string`);
  return text;
}
