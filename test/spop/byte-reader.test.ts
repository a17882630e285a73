import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../src/spop/index.ts';
import { bytes, name } from './arbitraries.ts';

const outOfBytes = expect.objectContaining({ code: 'SPOP_OUT_OF_BYTES', status: 4 });

describe('ByteReader', () => {
  it('refuses each kind of read that wants one byte more than there is', () => {
    const five = () => new ByteReader(Buffer.from([5, 1, 2, 3, 4]));
    expect(() => new ByteReader(Buffer.alloc(0)).uint8('x')).toThrow(outOfBytes);
    expect(() => new ByteReader(Buffer.alloc(3)).uint32('x')).toThrow(outOfBytes);
    expect(() => five().bytes(6, 'x')).toThrow(outOfBytes);
    expect(() => five().skip(6, 'x')).toThrow(outOfBytes);
    expect(() => five().prefixedBytes('x')).toThrow(outOfBytes);
    expect(() => five().skipPrefixedBytes('x')).toThrow(outOfBytes);
    expect(() => five().name('x')).toThrow(outOfBytes);
  });

  it('says what was read, how much it wanted and how much there was', () => {
    expect(() => new ByteReader(Buffer.alloc(12)).bytes(300, 'header name')).toThrow(
      'header name: 300 bytes wanted, 12 left',
    );
  });

  it('refuses a length of 2^64 - 1 as any other that is too long', () => {
    const reader = new ByteReader(Buffer.from('fff0fefefefefefefe0e00', 'hex'));
    expect(() => reader.prefixedBytes('x')).toThrow(outOfBytes);
  });

  it('stays inside a view, whatever surrounds it in memory', () => {
    const memory = Buffer.from([9, 9, 3, 1, 2, 9, 9]);
    expect(() => new ByteReader(memory.subarray(2, 5)).prefixedBytes('x')).toThrow(outOfBytes);
  });

  it('hands out views, not copies', () => {
    const memory = Buffer.from([2, 7, 8]);
    const view = new ByteReader(memory).prefixedBytes('x');
    memory[1] = 1;
    expect(view).toEqual(Buffer.from([1, 8]));
  });
});

describe('ByteWriter', () => {
  it('brings lists of names and bytes back through a reader', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, bytes), { maxLength: 20 }), (pairs) => {
        const writer = new ByteWriter();
        for (const [key, value] of pairs) {
          writer.name(key);
          writer.prefixedBytes(value);
        }
        const reader = new ByteReader(writer.take());
        for (const [key, value] of pairs) {
          expect(reader.name('name')).toBe(key);
          expect(reader.prefixedBytes('value')).toEqual(value);
        }
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('writes text as UTF-8 with its length in bytes', () => {
    const writer = new ByteWriter();
    writer.prefixedText('é€');
    expect(writer.take().toString('hex')).toBe('05c3a9e282ac');
  });

  it('refuses a name with a character that is no byte', () => {
    expect(() => new ByteWriter().name('€')).toThrow(RangeError);
  });

  it('forgets what was written after a mark', () => {
    const writer = new ByteWriter();
    writer.uint32(1);
    const mark = writer.length;
    writer.bytes(Buffer.alloc(5_000, 1));
    writer.truncate(mark);
    writer.uint8(7);
    expect(writer.take()).toEqual(Buffer.from([0, 0, 0, 1, 7]));
  });

  it('starts afresh after its bytes were taken, and leaves those alone', () => {
    const writer = new ByteWriter();
    writer.uint8(1);
    const first = writer.take();
    writer.uint8(2);
    expect([first, writer.take(), writer.length]).toEqual([Buffer.from([1]), Buffer.from([2]), 0]);
  });
});
