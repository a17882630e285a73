import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  readTypedData,
  SpopError,
  type TypedDataInput,
  typedText,
} from '../../src/spop/index.ts';
import { skipTypedData, writeTypedData } from '../../src/spop/typed-data.ts';
import { typedBytes, typedData } from './arbitraries.ts';

/** By hand from the table of SPOE.txt 3.1. */
const GOLDEN: readonly [name: string, data: TypedDataInput, hex: string][] = [
  ['null', { type: 'null', value: null }, '00'],
  ['false', { type: 'boolean', value: false }, '01'],
  ['true', { type: 'boolean', value: true }, '11'],
  ['an int32', { type: 'int32', value: 80 }, '0250'],
  ['a negative int32', { type: 'int32', value: -1 }, '02fff0fefefefefefefe0e'],
  ['a uint32', { type: 'uint32', value: 16_380 }, '03fcf006'],
  ['an int64', { type: 'int64', value: 240 }, '04f000'],
  ['a negative int64', { type: 'int64', value: -1 }, '04fff0fefefefefefefe0e'],
  ['a uint64', { type: 'uint64', value: 2n ** 64n - 1n }, '05fff0fefefefefefefe0e'],
  ['an ipv4', { type: 'ipv4', value: '127.0.0.1' }, '067f000001'],
  ['an ipv6', { type: 'ipv6', value: '2001:db8::ff00:42:8329' }, '0720010db8000000000000ff0000428329'],
  ['a string', { type: 'string', value: Buffer.from('/café') }, '08062f636166c3a9'],
  ['an empty string', { type: 'string', value: Buffer.alloc(0) }, '0800'],
  ['a binary', { type: 'binary', value: Buffer.from([0, 255]) }, '090200ff'],
];

const encode = (data: TypedDataInput) => {
  const writer = new ByteWriter();
  writeTypedData(writer, data);
  return writer.take();
};
const fromHex = (hex: string) => new ByteReader(Buffer.from(hex, 'hex'));

/** How many bytes are left, or the code of the error. */
function outcomeOf(step: (reader: ByteReader) => unknown, bytes: Buffer): number | string {
  const reader = new ByteReader(bytes);
  try {
    step(reader);
    return reader.remaining;
  } catch (error) {
    if (error instanceof SpopError) return error.code;
    throw error;
  }
}

describe('typed data', () => {
  it.each(GOLDEN)('%s is encoded and decoded as in the table of SPOE.txt', (_, data, hex) => {
    expect(encode(data).toString('hex')).toBe(hex);
    expect(readTypedData(fromHex(hex))).toEqual(data);
  });

  it('brings every value of every type back', () => {
    fc.assert(
      fc.property(typedData, (data) => {
        expect(readTypedData(new ByteReader(encode(data)))).toEqual(data);
      }),
    );
  });

  it('skips exactly what it would read', () => {
    fc.assert(
      fc.property(typedData, (data) => {
        const reader = new ByteReader(encode(data));
        skipTypedData(reader);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it.each([10, 11, 12, 13, 14, 15])('refuses the reserved type %i, read or skipped', (type) => {
    const reserved = expect.objectContaining({ code: 'SPOP_UNKNOWN_DATA_TYPE', status: 4 });
    expect(() => readTypedData(new ByteReader(Buffer.from([type, 0])))).toThrow(reserved);
    expect(() => skipTypedData(new ByteReader(Buffer.from([type | 0xf0, 0])))).toThrow(reserved);
  });

  it('refuses every value that is cut off, at every byte', () => {
    fc.assert(
      fc.property(typedData, fc.nat(), (data, seed) => {
        const whole = encode(data);
        const part = whole.subarray(0, seed % whole.length);
        expect(() => readTypedData(new ByteReader(part))).toThrow(SpopError);
        expect(() => skipTypedData(new ByteReader(part))).toThrow(SpopError);
      }),
    );
  });

  it('reads only the first flag of a boolean and ignores flags elsewhere', () => {
    expect(readTypedData(fromHex('e1'))).toEqual({ type: 'boolean', value: false });
    expect(readTypedData(fromHex('f1'))).toEqual({ type: 'boolean', value: true });
    expect(readTypedData(fromHex('f250'))).toEqual({ type: 'int32', value: 80 });
  });

  it.each([
    ['an int32 of 2^31', '02f0f1feffff06'],
    ['a uint32 of -1', '03fff0fefefefefefefe0e'],
  ])('refuses %s on the wire, read or skipped', (_, hex) => {
    const outOfRange = expect.objectContaining({ code: 'SPOP_INTEGER_OUT_OF_RANGE', status: 4 });
    expect(() => readTypedData(fromHex(hex))).toThrow(outOfRange);
    expect(() => skipTypedData(fromHex(hex))).toThrow(outOfRange);
  });

  it('skips what can be read, as far, and refuses what cannot, for the same reason', () => {
    fc.assert(
      fc.property(typedBytes, (bytes) => {
        expect(outcomeOf(skipTypedData, bytes)).toEqual(outcomeOf(readTypedData, bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  it.each<TypedDataInput>([
    { type: 'int32', value: 2 ** 31 },
    { type: 'uint32', value: -1 },
    { type: 'uint64', value: -1 },
    { type: 'int64', value: 2n ** 63n },
    { type: 'int64', value: 1.5 },
    { type: 'ipv4', value: '1.2.3' },
    { type: 'ipv6', value: '1::2::3' },
  ])('refuses to write %o', (data) => {
    expect(() => encode(data)).toThrow(RangeError);
  });

  it('writes a string given as text in UTF-8', () => {
    expect(encode({ type: 'string', value: 'é' }).toString('hex')).toBe('0802c3a9');
  });
});

describe('typedText', () => {
  it('reads valid UTF-8 as such, and other bytes one character a byte, losing none', () => {
    expect(typedText({ type: 'string', value: Buffer.from('é') })).toBe('é');
    expect(typedText({ type: 'binary', value: Buffer.from([0x2f, 0xe9]) })).toBe('/\u00e9');
    fc.assert(
      fc.property(fc.uint8Array(), (array) => {
        const bytes = Buffer.from(array);
        const text = typedText({ type: 'string', value: bytes }) ?? '';
        expect([Buffer.from(text, 'utf8'), Buffer.from(text, 'latin1')]).toContainEqual(bytes);
      }),
    );
  });

  it('has no text for other types', () => {
    expect(typedText({ type: 'int64', value: 1 })).toBeUndefined();
    expect(typedText({ type: 'null', value: null })).toBeUndefined();
  });
});
