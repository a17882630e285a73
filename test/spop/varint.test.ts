import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, SpopError } from '../../src/spop/index.ts';
import { toSigned64, toUnsigned64, varintSize } from '../../src/spop/varint.ts';
import { int64, uint64 } from './arbitraries.ts';

/** The rows of the table in SPOE.txt 3.1 at their ends, and beyond. Encoded by hand. */
const GOLDEN: readonly [value: number | bigint, hex: string][] = [
  [0, '00'],
  [1, '01'],
  [239, 'ef'],
  [240, 'f000'],
  [241, 'f100'],
  [255, 'ff00'],
  [256, 'f001'],
  [2_287, 'ff7f'],
  [2_288, 'f08000'],
  [264_431, 'ffff7f'],
  [264_432, 'f0808000'],
  [33_818_863, 'ffffff7f'],
  [33_818_864, 'f080808000'],
  [4_328_786_159, 'ffffffff7f'],
  [4_328_786_160, 'f08080808000'],
  [2n ** 64n - 1n, 'fff0fefefefefefefe0e'],
];

const encode = (value: number | bigint) => {
  const writer = new ByteWriter();
  writer.varint(value);
  return writer.take();
};
const decode = (bytes: Buffer) => new ByteReader(bytes).varint('test');
const errorOf = (act: () => unknown): unknown => {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('varint', () => {
  it.each(GOLDEN)('%s is encoded and decoded as in the table of SPOE.txt', (value, hex) => {
    expect(encode(value).toString('hex')).toBe(hex);
    expect(decode(Buffer.from(hex, 'hex'))).toBe(value);
    expect(varintSize(value)).toBe(hex.length / 2);
  });

  it('brings every unsigned 64-bit integer back exactly', () => {
    fc.assert(
      fc.property(uint64, (value) => {
        expect(decode(encode(value))).toBe(value);
      }),
    );
  });

  it('knows the size of what it writes', () => {
    fc.assert(
      fc.property(uint64, (value) => {
        expect(encode(value).length).toBe(varintSize(value));
      }),
    );
  });

  it('has one encoding for each value: what decodes is what would have been written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 11 }), (array) => {
        const reader = new ByteReader(Buffer.from(array));
        const error = errorOf(() => reader.varint('test'));
        if (error !== undefined) {
          expect(error).toBeInstanceOf(SpopError);
          return;
        }
        const value = decode(Buffer.from(array));
        expect(encode(value)).toEqual(Buffer.from(array.subarray(0, reader.position)));
      }),
    );
  });

  it('keeps integers beyond 2^53 exact, as bigint, and smaller ones as numbers', () => {
    expect(decode(encode(2n ** 53n))).toBe(2n ** 53n);
    expect(decode(encode(2n ** 53n - 1n))).toBe(2 ** 53 - 1);
  });

  it.each([
    ['the first value over 64 bits', 'f0f1fefefefefefefe0e'],
    ['a tenth byte that is too large', 'fffffffffffffffffe7f'],
    ['an eleventh byte', 'ffffffffffffffffffff00'],
    ['continuation without end', 'ff'.repeat(1_000)],
  ])('refuses %s', (_, hex) => {
    expect(errorOf(() => decode(Buffer.from(hex, 'hex')))).toMatchObject({
      name: 'SpopError',
      code: 'SPOP_BAD_VARINT',
      status: 4,
    });
  });

  it('looks at ten bytes of a varint without end, not more', () => {
    const reader = new ByteReader(Buffer.alloc(1_000, 0xff));
    errorOf(() => reader.varint('test'));
    expect(reader.position).toBe(10);
  });

  it.each(['', 'f0', 'f080', 'fffffffffffffffffe'])('says that %j is cut off', (hex) => {
    expect(errorOf(() => decode(Buffer.from(hex, 'hex')))).toMatchObject({
      code: 'SPOP_OUT_OF_BYTES',
      status: 4,
    });
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n])('refuses to write %s', (value) => {
    expect(() => encode(value)).toThrow(RangeError);
    expect(() => varintSize(value)).toThrow(RangeError);
  });

  it('brings signed integers through 64 bits of two’s complement', () => {
    fc.assert(
      fc.property(int64, (value) => {
        expect(toSigned64(toUnsigned64(value))).toBe(value);
      }),
    );
    expect(toUnsigned64(-1)).toBe(2n ** 64n - 1n);
    expect(() => toUnsigned64(2n ** 63n)).toThrow(RangeError);
    expect(() => toUnsigned64(-(2n ** 63n) - 1n)).toThrow(RangeError);
  });
});
