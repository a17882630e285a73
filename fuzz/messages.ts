/** Messages for NOTIFYs: those of haproxyconf/spoe.cfg with arguments that are right, odd or hostile, and any others. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { argumentNames, messageNames } from '../src/adapters/haproxy/contract.ts';
import { encodeHdrsBin } from '../src/adapters/haproxy/hdrs-bin.ts';
import type { SpoeMessageInput, TypedDataInput } from '../src/spop/index.ts';
import { message as anyMessage, typedData, uint64 } from '../test/spop/arbitraries.ts';
import { binary, int64, nothing, string } from '../test/support/spoe-messages.ts';

const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });

/** Of nobody, of somebody else, and of nearly the right form; `known` are instances of agents that there are. */
export function identityText(known: readonly string[]): fc.Arbitrary<string> {
  const instance = known.length === 0 ? hex(16) : fc.oneof(fc.constantFrom(...known), hex(16));
  const number = fc.oneof(uint64.map(String), fc.constantFrom('0', '1', '18446744073709551616', '-1', '1e3'));
  const thread = fc.constantFrom('0', '1', '2', '9999', '10000', '-1', '');
  const mark = fc.constantFrom('skipped', 'report', 'block', 'skipped.report');
  return fc.oneof(
    number,
    fc.tuple(number, hex(32), instance, thread).map((parts) => parts.join('.')),
    fc.tuple(number, hex(31), instance, thread).map((parts) => parts.join('.')),
    fc.tuple(number, hex(32), instance, thread, mark).map((parts) => parts.join('.')),
    mark,
    fc.string({ maxLength: 40 }),
    fc.constant('9'.repeat(5_000)),
  );
}

const nasty = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 60, unit: 'binary' }) },
  fc.constantFrom(
    'attack-block',
    'attack-report',
    '\0',
    '%00%ff%u0041',
    '../'.repeat(200),
    'a=1&'.repeat(2_000),
  ),
  fc.nat(40_000).map((length) => 'x'.repeat(length)),
  fc.nat(3_000).map((depth) => '['.repeat(depth) + '{"a":'.repeat(depth)),
);

const headers = fc.oneof(
  fc
    .array(
      fc.tuple(fc.oneof(fc.constantFrom('content-type', 'cookie', 'host', 'x-forwarded-for'), nasty), nasty),
      {
        maxLength: 12,
      },
    )
    .map((list) => encodeHdrsBin(list)),
  fc.constantFrom(
    encodeHdrsBin([['content-type', 'application/json']]),
    encodeHdrsBin([
      ['content-type', 'multipart/form-data; boundary=b'],
      ['content-encoding', 'gzip'],
    ]),
    encodeHdrsBin(Array.from({ length: 3_000 }, (_, index) => [`h${index}`, ''] as const)),
  ),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

const body = fc.oneof(
  nasty.map((text) => Buffer.from(text)),
  nasty.map((text) => gzipSync(text).subarray(0, 30_000)),
  fc.constant(gzipSync(Buffer.alloc(8_000_000))),
  fc
    .nat(800)
    .map((parts) => Buffer.from('--b\r\ncontent-disposition: form-data; name=a\r\n\r\nv\r\n'.repeat(parts))),
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
);

/** Of a transaction no longer than the target's TTL, and what is no time; text, for any integer is milliseconds. */
const time = fc.constantFrom('2s', '1', '500ms', '0', '2 s', '-5s', '9'.repeat(400), '');
const patience = fc.constantFrom('200ms', '1us', '10s', '0', 'soon');
const asText = (text: fc.Arbitrary<string>): fc.Arbitrary<TypedDataInput> => text.map(string);

/** Each argument is what it should be most of the time, and absent, null or of another type otherwise. */
function orOdd(value: fc.Arbitrary<TypedDataInput>): fc.Arbitrary<TypedDataInput> {
  return fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: typedData }, fc.constant(nothing));
}

export function spoeMessage(known: readonly string[]): fc.Arbitrary<SpoeMessageInput> {
  const values: Record<string, fc.Arbitrary<TypedDataInput>> = {
    [argumentNames.ip]: orOdd(asText(fc.constantFrom('203.0.113.7', '::1', 'nowhere'))),
    [argumentNames.method]: orOdd(asText(fc.constantFrom('GET', 'POST', ''))),
    [argumentNames.path]: orOdd(asText(nasty.map((text) => `/${text}`))),
    [argumentNames.headers]: orOdd(headers.map(binary)),
    [argumentNames.https]: orOdd(fc.boolean().map((value) => ({ type: 'boolean', value }))),
    [argumentNames.processingTimeout]: asText(patience),
    [argumentNames.body]: orOdd(body.map(binary)),
    [argumentNames.spanId]: orOdd(asText(identityText(known))),
    [argumentNames.status]: orOdd(fc.constantFrom(200, 404, 508, 0, -1, 99_999).map(int64)),
    [argumentNames.bodySize]: orOdd(fc.constantFrom(0, 10, 10_000_000).map(int64)),
    [argumentNames.stream]: orOdd(fc.boolean().map((value) => ({ type: 'boolean', value }) as const)),
    [argumentNames.configurationVersion]: orOdd(asText(nasty)),
    [argumentNames.service]: orOdd(asText(fc.string({ maxLength: 8 }))),
    [argumentNames.mode]: orOdd(asText(fc.constantFrom('report', 'protect'))),
  };
  const argument = fc
    .constantFrom(...Object.keys(values))
    .chain((name) => (values[name] ?? fc.constant(nothing)).map((value) => ({ name, value })));
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        name: fc.constantFrom(...Object.values(messageNames)),
        args: fc
          .tuple(fc.array(argument, { maxLength: 14 }), time)
          .map(([args, ttl]) => [...args, { name: argumentNames.timeout, value: string(ttl) }]),
      }),
    },
    // Not only random names, among which nothing is found: empty ones count.
    { weight: 1, arbitrary: anyMessage },
  );
}

/** How many bytes a payload may have, so that its frame is within the target's limit. */
export const payloadRoom = 131_072 - 32;
