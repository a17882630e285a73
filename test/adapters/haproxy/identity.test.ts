import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatIdentity,
  generateInstance,
  markedIdentity,
  parseIdentity,
} from '../../../src/adapters/haproxy/identity.ts';

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const spanId = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String);
const owner = fc.record({ instance: hex(16), thread: fc.nat(9999) });

const span = '18446744073709551615';
const trace = '0123456789abcdef0123456789abcdef';
const instance = 'fedcba9876543210';

describe('an identity', () => {
  it('comes back as it was formatted', () => {
    fc.assert(
      fc.property(spanId, hex(32), owner, (id, traceId, where) => {
        const parsed = parseIdentity(formatIdentity(id, traceId, where));
        expect(parsed).toEqual({ spanId: id, traceId, owner: where, mark: undefined });
      }),
    );
  });

  it('may be a span id alone, as Datadog has it', () => {
    fc.assert(
      fc.property(spanId, (id) => {
        expect(parseIdentity(id)).toEqual({
          ...{ spanId: id, traceId: undefined, owner: undefined, mark: undefined },
        });
      }),
    );
  });

  it('of a trace with 64 bits is filled up to 128', () => {
    const text = formatIdentity('7', 'abc', { instance, thread: 3 });
    expect(text).toBe(`7.${'abc'.padStart(32, '0')}.${instance}.3`);
    expect(parseIdentity(text)?.traceId).toBe('abc'.padStart(32, '0'));
  });

  it('has an instance that was just drawn', () => {
    const drawn = Array.from({ length: 100 }, generateInstance);
    for (const one of drawn) {
      const identity = parseIdentity(formatIdentity('1', trace, { instance: one, thread: 0 }));
      expect(identity?.owner?.instance).toBe(one);
    }
    expect(new Set(drawn).size).toBe(100);
  });

  it.each([
    ['nothing', ''],
    ['a word', 'abc'],
    ['zero', '0'],
    ['a leading zero', '01'],
    ['a sign', '-1'],
    ['a space', ' 1'],
    ['a line feed at its end', `${span}\n`],
    ['digits of another script', '١٢٣'],
    ['a span id beyond 64 bits', '18446744073709551616'],
    ['a span id of 21 digits', '100000000000000000000'],
    ['an owned span id beyond 64 bits', `18446744073709551616.${trace}.${instance}.0`],
    ['an owned span id of zero', `0.${trace}.${instance}.0`],
    ['capital letters', `${span}.${trace.toUpperCase()}.${instance}.0`],
    ['a short trace id', `${span}.${trace.slice(1)}.${instance}.0`],
    ['a long instance', `${span}.${trace}.${instance}0.0`],
    ['an address for an instance', `${span}.${trace}.127.0.0.1:9000.0`],
    ['no thread', `${span}.${trace}.${instance}.`],
    ['a negative thread', `${span}.${trace}.${instance}.-1`],
    ['a thread of five digits', `${span}.${trace}.${instance}.10000`],
    ['a fifth part', `${span}.${trace}.${instance}.0.0`],
    ['a line feed at the end of the thread', `${span}.${trace}.${instance}.0\n`],
    ['two marks', `${span}.${trace}.${instance}.0.skipped.report`],
    ['a mark of nobody', `${span}.${trace}.${instance}.0.fine`],
    ['a mark and nothing before its point', '.skipped'],
    ['a line feed behind the mark', 'skipped\n'],
    ['a mark behind no identity', 'abc.skipped'],
    ['a second line', `${span}.${trace}.${instance}.0\n${span}`],
  ])('is none with %s', (_what, text) => {
    expect(parseIdentity(text)).toBeUndefined();
  });

  it('never throws, and what it accepts is in range', () => {
    const near = fc
      .tuple(spanId, hex(32), owner, fc.nat(80), fc.string({ maxLength: 3 }))
      .map(([id, traceId, where, at, noise]) => {
        const text = formatIdentity(id, traceId, where);
        return text.slice(0, at) + noise + text.slice(at + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        const identity = parseIdentity(text);
        if (identity?.spanId === undefined) return;
        expect(BigInt(identity.spanId)).toBeGreaterThan(0n);
        expect(BigInt(identity.spanId)).toBeLessThan(2n ** 64n);
        expect(text.startsWith(identity.spanId)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the mark of an identity', () => {
  const owned = formatIdentity(span, trace, { instance, thread: 3 });

  it.each([
    [owned, 'pass', owned],
    [owned, 'partial', `${owned}.partial`],
    [owned, 'skipped', `${owned}.skipped`],
    [`${owned}.skipped`, 'error', `${owned}.error`],
    [`${owned}.report`, 'skipped', `${owned}.report`],
    [`${span}.error`, 'pass', `${span}.error`],
    [span, 'report', `${span}.report`],
    ['', 'skipped', 'skipped'],
    ['error', 'skipped', 'error'],
    ['nonsense', 'error', 'error'],
    ['', 'pass', undefined],
  ] as const)('of %j, %s now, makes it %j', (text, standing, expected) => {
    expect(markedIdentity(parseIdentity(text), standing)).toBe(expected);
  });

  it('comes back with the rest', () => {
    expect(parseIdentity(`${owned}.report`)).toEqual({
      ...{ spanId: span, traceId: trace, owner: { instance, thread: 3 }, mark: 'report' },
    });
    expect(parseIdentity('skipped')).toEqual({
      ...{ spanId: undefined, traceId: undefined, owner: undefined, mark: 'skipped' },
    });
  });
});
