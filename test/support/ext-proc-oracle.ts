/**
 * Messages of ext_proc by a codec that is not ours: protobufjs, as dd-trace brings it along, over ext-proc.proto. Tests
 * take it for Envoy's side, and for the oracle of our reader and writer.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface MessageType {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  fromObject(object: object): object;
  toObject(message: object, options: object): Record<string, unknown>;
}

interface Namespace {
  readonly nested?: Readonly<Record<string, Namespace>>;
  /** Of a message. */
  readonly fields?: Readonly<Record<string, { readonly id: number }>>;
}

interface Protobufjs {
  parse(
    source: string,
    options: object,
  ): { readonly root: { lookupType(name: string): MessageType; lookup(name: string): Namespace } };
}

const require = createRequire(import.meta.url);
const protobufjs: Protobufjs = require('dd-trace/vendor/dist/protobufjs/index.js');
const { root } = protobufjs.parse(readFileSync(new URL('./ext-proc.proto', import.meta.url), 'utf8'), {
  keepCase: true,
});

function typeOf(name: string): MessageType {
  return root.lookupType(`ext_proc.${name}`);
}

/** Names as in the .proto. */
export function encodeRequest(message: object): Buffer {
  const type = typeOf('ProcessingRequest');
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

export function encodeResponse(message: object): Buffer {
  const type = typeOf('ProcessingResponse');
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

export function decodeRequest(bytes: Uint8Array): Record<string, unknown> {
  const type = typeOf('ProcessingRequest');
  return type.toObject(type.decode(bytes), { bytes: Buffer, enums: String, longs: Number, defaults: false });
}

/** Fields that are not set are absent; bytes are Buffers. */
export function decodeResponse(bytes: Uint8Array): Record<string, unknown> {
  const type = typeOf('ProcessingResponse');
  return type.toObject(type.decode(bytes), { bytes: Buffer, enums: String, longs: Number, defaults: false });
}

/** As Envoy writes fields: bytes in `raw_value`. */
export function headerMap(headers: readonly (readonly [name: string, value: string | Buffer])[]): object {
  return { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) };
}

/** Numbers of all fields of the .proto, by `Message.field`. */
export function protoFields(): ReadonlyMap<string, number> {
  const messages = Object.entries(root.lookup('ext_proc').nested ?? {});
  return new Map(
    messages.flatMap(([message, { fields = {} }]) =>
      Object.entries(fields).map(([field, { id }]) => [`${message}.${field}`, id] as const),
    ),
  );
}
