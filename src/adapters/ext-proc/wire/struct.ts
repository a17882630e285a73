import type { Buffer } from 'node:buffer';
import type { Range } from './envelope.ts';
import { FieldCursor, WireType } from './field-cursor.ts';
import { MapEntryField, MetadataField, StructField, ValueField } from './fields.ts';
import { textOf } from './headers.ts';
import type { ProtoWriter } from './proto-writer.ts';

/** Texts of a google.protobuf.Struct by name; numbers and booleans as text, all else is left out. */
export type FlatStruct = ReadonlyMap<string, string>;

/** Structs by the name they stand under: attributes by filter, metadata by namespace. */
export type NamedStructs = ReadonlyMap<string, FlatStruct>;

/** Names are attributes of a request or keys of an operator: nobody has more. */
const maxStructFields = 256;

/** The entries of `ProcessingRequest.attributes`. */
export function readAttributes(bytes: Buffer, entries: readonly Range[]): NamedStructs {
  const found = new Map<string, FlatStruct>();
  for (const entry of entries) addNamedStruct(bytes, entry, found);
  return found;
}

/** `ProcessingRequest.metadata_context`, of which `filter_metadata` counts. */
export function readMetadata(bytes: Buffer, range: Range | undefined): NamedStructs {
  const found = new Map<string, FlatStruct>();
  if (range === undefined) return found;
  const cursor = new FieldCursor(bytes, range.start, range.end);
  while (cursor.next()) {
    if (cursor.isBytes(MetadataField.filterMetadata)) addNamedStruct(bytes, cursor, found);
  }
  return found;
}

function addNamedStruct(bytes: Buffer, entry: Range, found: Map<string, FlatStruct>): void {
  const { key, value } = readMapEntry(bytes, entry);
  if (found.size < maxStructFields) found.set(key, readStruct(bytes, value));
}

function readMapEntry(bytes: Buffer, { start, end }: Range): { readonly key: string; readonly value: Range } {
  let key = '';
  let value: Range = { start: 0, end: 0 };
  const cursor = new FieldCursor(bytes, start, end);
  while (cursor.next()) {
    if (cursor.isBytes(MapEntryField.key)) key = textOf(bytes.subarray(cursor.start, cursor.end));
    else if (cursor.isBytes(MapEntryField.value)) value = { start: cursor.start, end: cursor.end };
  }
  return { key, value };
}

function readStruct(bytes: Buffer, { start, end }: Range): FlatStruct {
  const fields = new Map<string, string>();
  const cursor = new FieldCursor(bytes, start, end);
  while (cursor.next() && fields.size < maxStructFields) {
    if (!cursor.isBytes(StructField.fields)) continue;
    const { key, value } = readMapEntry(bytes, cursor);
    const text = readScalar(bytes, value);
    if (text !== undefined) fields.set(key, text);
  }
  return fields;
}

function readScalar(bytes: Buffer, { start, end }: Range): string | undefined {
  let text: string | undefined;
  const cursor = new FieldCursor(bytes, start, end);
  while (cursor.next()) {
    if (cursor.isBytes(ValueField.string)) text = textOf(bytes.subarray(cursor.start, cursor.end));
    else if (cursor.isVarint(ValueField.bool)) text = String(cursor.value !== 0);
    else if (cursor.number === ValueField.number && cursor.type === WireType.fixed64)
      text = String(bytes.readDoubleLE(cursor.start));
  }
  return text;
}

/** `{ [namespace]: { ...texts } }` as the Struct of field `field`. */
export function writeNamedTexts(
  writer: ProtoWriter,
  field: number,
  namespace: string,
  texts: Readonly<Record<string, string>>,
): void {
  const outer = writer.open(field);
  const entry = writer.open(StructField.fields);
  writer.text(MapEntryField.key, namespace);
  const value = writer.open(MapEntryField.value);
  const struct = writer.open(ValueField.struct);
  for (const [name, text] of Object.entries(texts)) {
    const inner = writer.open(StructField.fields);
    writer.text(MapEntryField.key, name);
    const innerValue = writer.open(MapEntryField.value);
    writer.text(ValueField.string, text);
    writer.close(innerValue);
    writer.close(inner);
  }
  for (const start of [struct, value, entry, outer]) writer.close(start);
}
