import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeJob, decodeNotice, encodeJob, encodeNotice } from '../../../src/adapters/ext-proc/jobs.ts';
import { messageKinds } from '../../../src/adapters/ext-proc/wire/kinds.ts';

const stream = fc.nat({ max: 2 ** 48 - 1 });
const mode = fc.nat(7);
const protocolConfig = fc.option(
  fc.record({ requestBodyMode: mode, responseBodyMode: mode, sendsBodyUnasked: fc.constant(false) }),
  { nil: undefined },
);
const metadata = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { maxLength: 12 });

describe('a job', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(
        stream,
        protocolConfig,
        metadata,
        fc.uint8Array({ maxLength: 500 }),
        (number, config, texts, message) => {
          const facts = { stream: number, protocolConfig: config, metadata: texts };
          expect(decodeJob(encodeJob(facts, message))).toEqual({ ...facts, message: Buffer.from(message) });
        },
      ),
    );
  });

  it('whose metadata is longer than anybody needs goes without it', () => {
    const facts = {
      stream: 1,
      protocolConfig: undefined,
      metadata: ['x-appsec-service', 'x'.repeat(70_000)],
    };
    expect(decodeJob(encodeJob(facts, Buffer.from('m')))).toMatchObject({
      stream: 1,
      metadata: [],
      message: Buffer.from('m'),
    });
  });
});

describe('a notice', () => {
  it('is read as it was written', () => {
    const notice = fc.oneof(
      fc.record({
        kind: fc.constant('ended' as const),
        stream,
        reason: fc.constantFrom('aborted' as const, 'no-response' as const, 'complete' as const),
      }),
      fc.record({ kind: fc.constant('skipped' as const), stream, message: fc.constantFrom(...messageKinds) }),
    );
    fc.assert(
      fc.property(notice, (one) => {
        expect(decodeNotice(encodeNotice(one))).toEqual(one);
      }),
    );
  });
});
