import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageKinds } from '../../../../src/adapters/ext-proc/wire/kinds.ts';
import {
  encodeContinue,
  encodeImmediate,
  encodeMessageTimeout,
  encodeStreamedBody,
  plainContinue,
} from '../../../../src/adapters/ext-proc/wire/processing-response.ts';
import { decodeResponse, encodeResponse } from '../../../support/ext-proc-oracle.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const filled = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 });
const headers = fc.array(fc.tuple(filled, filled), { minLength: 1, maxLength: 12 });
const texts = fc.dictionary(
  filled.filter((name) => name !== '__proto__'),
  filled,
  { minKeys: 1, maxKeys: 5 },
);

const asMutation = (headers: readonly (readonly [string, string])[]) => ({
  set_headers: headers.map(([key, value]) => ({ header: { key, raw_value: Buffer.from(value) } })),
});
const asMetadata = (namespace: string, texts: Record<string, string>) => ({
  fields: {
    [namespace]: {
      struct_value: {
        fields: Object.fromEntries(
          Object.entries(texts).map(([name, text]) => [name, { string_value: text }]),
        ),
      },
    },
  },
});

describe('an answer', () => {
  it('that lets a message go on has the bytes that another codec writes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...messageKinds.slice(0, 4)),
        headers,
        fc.integer({ min: 1, max: 4 }),
        (kind, headers, mode) => {
          const ours = encodeContinue(kind, {
            setHeaders: headers,
            modeOverride: { requestBodyMode: mode, responseBodyMode: 3 },
          });
          const theirs = encodeResponse({
            [kind.replace('-', '_')]: { response: { header_mutation: asMutation(headers) } },
            mode_override: { request_body_mode: mode, response_body_mode: 3 },
          });
          expect(ours).toEqual(theirs);
        },
      ),
    );
  });

  it('to trailers has its fields where trailers have them', () => {
    const ours = decodeResponse(encodeContinue('response-trailers', { setHeaders: [['a', 'b']] }));
    expect(ours).toEqual({ response_trailers: { header_mutation: asMutation([['a', 'b']]) } });
  });

  it.each(messageKinds)('to %s is understood without anything else', (kind) => {
    expect(decodeResponse(plainContinue(kind))).toEqual({ [kind.replace('-', '_')]: {} });
    expect(plainContinue(kind)).toHaveLength(2);
  });

  it('carries texts for access logs and other filters', () => {
    fc.assert(
      fc.property(
        filled.filter((name) => name !== '__proto__'),
        texts,
        (namespace, texts) => {
          const ours = decodeResponse(
            encodeContinue('request-headers', { dynamicMetadata: { namespace, texts } }),
          );
          expect(ours).toEqual({ request_headers: {}, dynamic_metadata: asMetadata(namespace, texts) });
        },
      ),
    );
  });

  it('that blocks has the bytes that another codec writes', () => {
    const body = fc.uint8Array({ minLength: 1, maxLength: 5000 }).map((bytes) => Buffer.from(bytes));
    const grpc = fc.option(fc.integer({ min: 1, max: 16 }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 599 }),
        headers,
        body,
        grpc,
        filled,
        (status, headers, body, grpcStatus, details) => {
          const ours = encodeImmediate({ status, headers, body, grpcStatus, details });
          const theirs = encodeResponse({
            immediate_response: {
              status: { code: status },
              headers: asMutation(headers),
              body,
              ...(grpcStatus === undefined ? {} : { grpc_status: { status: grpcStatus } }),
              details,
            },
          });
          expect(ours).toEqual(theirs);
        },
      ),
    );
  });

  it('that sends a piece of a body back has the bytes that another codec writes', () => {
    const body = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(70_000).fill(7)));
    fc.assert(
      fc.property(
        fc.constantFrom('request-body' as const, 'response-body' as const),
        body,
        fc.boolean(),
        (kind, body, end) => {
          const ours = encodeStreamedBody(kind, body, end);
          const piece = {
            ...(body.length > 0 ? { body: Buffer.from(body) } : {}),
            ...(end ? { end_of_stream: true } : {}),
          };
          const theirs = encodeResponse({
            [kind.replace('-', '_')]: { response: { body_mutation: { streamed_response: piece } } },
          });
          expect(ours).toEqual(theirs);
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    [700, { nanos: 700_000_000 }],
    [2000, { seconds: 2 }],
    [1500, { seconds: 1, nanos: 500_000_000 }],
  ])('asks for %d ms more', (timeoutMs, duration) => {
    expect(decodeResponse(encodeMessageTimeout(timeoutMs))).toEqual({ override_message_timeout: duration });
  });

  it('is as long as it has to be, whatever the texts', () => {
    fc.assert(
      fc.property(text, text, (name, value) => {
        const bytes = encodeContinue('request-body', { setHeaders: [[name, value]] });
        expect(() => decodeResponse(bytes)).not.toThrow();
      }),
    );
  });
});
