import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEnvelope } from '../../../../src/adapters/ext-proc/wire/envelope.ts';
import { FieldCursor } from '../../../../src/adapters/ext-proc/wire/field-cursor.ts';
import { decodeHeaders } from '../../../../src/adapters/ext-proc/wire/headers.ts';
import { type MessageKind, messageKinds } from '../../../../src/adapters/ext-proc/wire/kinds.ts';
import { readAttributes, readMetadata } from '../../../../src/adapters/ext-proc/wire/struct.ts';
import { decodeRequest, encodeRequest, headerMap } from '../../../support/ext-proc-oracle.ts';

const fieldOf = (kind: MessageKind): string => kind.replace('-', '_');

const name = fc.stringMatching(/^[:!#$%&'*+.^_`|~0-9a-z-]{1,20}$/);
const value = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const fields = fc.array(fc.tuple(name, value), { maxLength: 30 });
const structName = fc
  .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
  .filter((text) => text !== '__proto__');
const structs = fc.dictionary(
  structName,
  fc.dictionary(structName, fc.string({ unit: 'grapheme' }), { maxKeys: 5 }),
  {
    maxKeys: 4,
  },
);

const content = fc.oneof(
  fc
    .record({
      kind: fc.constantFrom<MessageKind>('request-headers', 'response-headers'),
      fields,
      end: fc.boolean(),
    })
    .map(({ kind, fields, end }) => ({
      kind,
      end,
      message: { [fieldOf(kind)]: { headers: headerMap(fields), end_of_stream: end } },
    })),
  fc
    .record({ kind: fc.constantFrom<MessageKind>('request-body', 'response-body'), value, end: fc.boolean() })
    .map(({ kind, value, end }) => ({
      kind,
      end,
      message: { [fieldOf(kind)]: { body: value, end_of_stream: end } },
    })),
  fc
    .record({ kind: fc.constantFrom<MessageKind>('request-trailers', 'response-trailers'), fields })
    .map(({ kind, fields }) => ({
      kind,
      end: true,
      message: { [fieldOf(kind)]: { trailers: headerMap(fields) } },
    })),
);

const asStructs = (named: Record<string, Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(named).map(([key, texts]) => [
      key,
      {
        fields: Object.fromEntries(
          Object.entries(texts).map(([name, text]) => [name, { string_value: text }]),
        ),
      },
    ]),
  );
const asMaps = (named: Record<string, Record<string, string>>) =>
  new Map(Object.entries(named).map(([key, texts]) => [key, new Map(Object.entries(texts))]));

/** As the reader is meant to read them. */
const asTexts = (fields: readonly (readonly [string, Buffer])[]) =>
  fields.map(([name, bytes]) => {
    const text = bytes.toString('utf8');
    return [name, Buffer.from(text).equals(bytes) ? text : bytes.toString('latin1')];
  });

describe('a ProcessingRequest', () => {
  it('is read as another codec wrote it', () => {
    fc.assert(
      fc.property(
        content,
        fc.boolean(),
        structs,
        structs,
        fc.nat(4),
        fc.nat(4),
        (what, observability, attributes, metadata, request, response) => {
          const bytes = encodeRequest({
            ...what.message,
            observability_mode: observability,
            attributes: asStructs(attributes),
            metadata_context: { filter_metadata: asStructs(metadata) },
            protocol_config: { request_body_mode: request, response_body_mode: response },
          });
          const envelope = readEnvelope(bytes);
          expect(envelope).toMatchObject({
            kind: what.kind,
            endOfStream: what.end,
            observability,
            protocolConfig: { requestBodyMode: request, responseBodyMode: response, sendsBodyUnasked: false },
            problem: undefined,
          });
          expect(readAttributes(bytes, envelope.attributes)).toEqual(asMaps(attributes));
          expect(readMetadata(bytes, envelope.metadataContext)).toEqual(asMaps(metadata));
        },
      ),
    );
  });

  it('has its fields in the order received, bytes and all', () => {
    fc.assert(
      fc.property(fields, fc.constantFrom('request_headers', 'response_headers'), (fields, field) => {
        const bytes = encodeRequest({ [field]: { headers: headerMap(fields) } });
        expect(decodeHeaders(bytes, readEnvelope(bytes))).toEqual({
          headers: asTexts(fields),
          problem: undefined,
        });
      }),
    );
  });

  it('has the bytes of its body where the range says', () => {
    fc.assert(
      fc.property(value, fc.constantFrom('request_body', 'response_body'), (value, field) => {
        const bytes = encodeRequest({ [field]: { body: value } });
        const { body } = readEnvelope(bytes);
        expect(bytes.subarray(body.start, body.end)).toEqual(value);
      }),
    );
  });

  it('takes a value from `value` where `raw_value` is missing', () => {
    const headers = { headers: [{ key: 'Accept', value: 'text/html' }] };
    const bytes = encodeRequest({ request_headers: { headers } });
    expect(decodeHeaders(bytes, readEnvelope(bytes)).headers).toEqual([['accept', 'text/html']]);
  });

  it('is read past fields that nobody knows, in each of its messages', () => {
    const unknown = Buffer.from([
      0xf8, 0x7f, 0x05, 0xfa, 0x7f, 0x02, 0x01, 0x02, 0xfb, 0x7f, 0x08, 0x01, 0xfc, 0x7f,
    ]);
    const fixed = Buffer.concat([
      Buffer.from([0xf9, 0x7f]),
      Buffer.alloc(8, 1),
      Buffer.from([0xfd, 0x7f, 1, 2, 3, 4]),
    ]);
    const within = (field: number, bytes: Buffer): Buffer =>
      Buffer.concat([unknown, Buffer.from([field * 8 + 2, bytes.length]), bytes, fixed]);
    const headerValue = Buffer.concat([unknown, Buffer.from([0x0a, 1, 0x61, 0x1a, 1, 0x62]), fixed]);
    const bytes = within(2, Buffer.concat([within(1, within(1, headerValue)), Buffer.from([0x18, 1])]));
    const envelope = readEnvelope(bytes);
    expect(envelope).toMatchObject({ kind: 'request-headers', endOfStream: true, problem: undefined });
    expect(decodeHeaders(bytes, envelope)).toEqual({ headers: [['a', 'b']], problem: undefined });
  });

  it('has no kind when it carries nothing that is known', () => {
    expect(readEnvelope(Buffer.alloc(0))).toMatchObject({ kind: undefined, problem: undefined });
    expect(readEnvelope(encodeRequest({ observability_mode: true })).kind).toBeUndefined();
  });

  it('counts the last of several contents', () => {
    const bytes = Buffer.concat([
      encodeRequest({ request_body: { body: Buffer.from('x') } }),
      encodeRequest({ response_headers: {} }),
    ]);
    expect(readEnvelope(bytes).kind).toBe('response-headers');
    expect(decodeRequest(bytes)).toHaveProperty('response_headers');
  });

  it('that is cut off anywhere keeps what came before', () => {
    const fields = Array.from(
      { length: 5 },
      (_, index) => [`x-${index}`, Buffer.from('v'.repeat(20))] as const,
    );
    const bytes = encodeRequest({ request_headers: { headers: headerMap(fields), end_of_stream: true } });
    for (let length = 3; length < bytes.length; length += 1) {
      const cut = bytes.subarray(0, length);
      const envelope = readEnvelope(cut);
      expect(envelope.kind).toBe('request-headers');
      expect(envelope.problem?.code).toBe('WIRE_OUT_OF_BYTES');
      const { headers } = decodeHeaders(cut, envelope);
      expect(headers.length).toBeGreaterThanOrEqual(Math.floor((length - 6) / 29));
    }
  });
});

describe('any bytes', () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    content.map(({ message }) => encodeRequest(message)),
    fc.tuple(content, fc.nat(), fc.uint8Array({ maxLength: 4 })).map(([{ message }, at, change]) => {
      const bytes = encodeRequest(message);
      bytes.set(change.subarray(0, bytes.length), at % Math.max(1, bytes.length - change.length));
      return bytes;
    }),
  );

  it('are read without an exception, and nothing outside of them is looked at', () => {
    fc.assert(
      fc.property(noise, (array) => {
        const bytes = Buffer.from(array);
        const envelope = readEnvelope(bytes);
        for (const { start, end } of [envelope.content, envelope.body, ...envelope.attributes]) {
          expect(start).toBeLessThanOrEqual(end);
          expect(end).toBeLessThanOrEqual(bytes.length);
        }
        const { headers } = decodeHeaders(bytes, envelope);
        expect(headers.length).toBeLessThanOrEqual(bytes.length);
        readAttributes(bytes, envelope.attributes);
        readMetadata(bytes, envelope.metadataContext);
      }),
      { numRuns: 2000 },
    );
  });

  it('that another codec takes for a message, ours takes for the same', () => {
    fc.assert(
      fc.property(noise, (array) => {
        const bytes = Buffer.from(array);
        let theirs: Record<string, unknown>;
        try {
          theirs = decodeRequest(bytes);
        } catch {
          return;
        }
        const envelope = readEnvelope(bytes);
        if (envelope.problem !== undefined) return;
        const present = messageKinds.filter((kind) => fieldOf(kind) in theirs);
        if (envelope.kind !== undefined) expect(present).toContain(envelope.kind);
        else expect(present).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a varint that goes on', [0x50, ...Array(11).fill(0x80)], 'WIRE_BAD_VARINT'],
    ['a field of number 0', [0x02, 0x00], 'WIRE_BAD_TAG'],
    ['a wire type that is none', [0x17], 'WIRE_BAD_TAG'],
    ['a group that ends before it began', [0x14], 'WIRE_BAD_TAG'],
    ['a group that does not end', [0x13], 'WIRE_OUT_OF_BYTES'],
    ['groups in groups in groups', Array(100).fill(0x13), 'WIRE_BAD_TAG'],
    ['a length beyond the end', [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], 'WIRE_OUT_OF_BYTES'],
  ])('%s is named', (_what, bytes, code) => {
    expect(readEnvelope(Buffer.from(bytes)).problem?.code).toBe(code);
  });

  it('end where the range ends, whatever a field says', () => {
    const cursor = new FieldCursor(Buffer.from([0x0a, 0x05, 1, 2, 3, 4, 5]), 0, 4);
    expect(cursor.next()).toBe(true);
    expect([cursor.start, cursor.end]).toEqual([2, 4]);
    expect(cursor.next()).toBe(false);
  });
});
