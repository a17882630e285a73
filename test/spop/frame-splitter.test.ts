import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameSplitter, SpopError, type SpopErrorCode } from '../../src/spop/index.ts';
import { growthOf, inProportion } from '../support/growth.ts';
import { cut, places } from './arbitraries.ts';
import { onTheWire } from './fixtures.ts';

const LIMIT = 2_000;
const frames = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: LIMIT }).map((array) => Buffer.from(array)),
  { maxLength: 12 },
);

/** Everything a splitter says about chunks: copies of its frames, then the code of its error. */
function split(
  chunks: readonly Buffer[],
  limit = LIMIT,
): { frames: Buffer[]; error: SpopErrorCode | undefined } {
  const splitter = new FrameSplitter(limit);
  const found: Buffer[] = [];
  try {
    for (const chunk of chunks) {
      splitter.push(chunk);
      for (let frame = splitter.next(); frame !== undefined; frame = splitter.next())
        found.push(Buffer.from(frame));
    }
  } catch (error) {
    if (!(error instanceof SpopError)) throw error;
    return { frames: found, error: error.code };
  }
  return { frames: found, error: undefined };
}

const byteByByte = (whole: Buffer) => Array.from(whole, (_, index) => whole.subarray(index, index + 1));

describe('FrameSplitter', () => {
  it('gives the same frames whole, byte by byte and cut anywhere', () => {
    fc.assert(
      fc.property(frames, places, (expected, where) => {
        const whole = Buffer.concat(expected.map(onTheWire));
        for (const chunks of [[whole], byteByByte(whole), cut(whole, where)]) {
          expect(split(chunks)).toEqual({ frames: expected, error: undefined });
        }
      }),
    );
  });

  it('gives the same frames and the same error for arbitrary bytes, however they are cut', () => {
    const lengths = fc.constantFrom(0, 1, 2, 3, 7, LIMIT, LIMIT + 1, 2 ** 32 - 1);
    const chunk = fc.tuple(lengths, fc.uint8Array({ maxLength: 20 })).map(([length, array]) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      return Buffer.concat([head, array]);
    });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), places, (parts, where) => {
        const whole = Buffer.concat(parts);
        const expected = split([whole]);
        expect(split(byteByByte(whole))).toEqual(expected);
        expect(split(cut(whole, where))).toEqual(expected);
      }),
    );
  });

  it('accepts a frame of exactly the limit and refuses one byte more, from its length alone', () => {
    expect(split([onTheWire(Buffer.alloc(300, 1))], 300).frames).toHaveLength(1);
    expect(split([Buffer.from([0, 0, 1, 45])], 300)).toEqual({ frames: [], error: 'SPOP_FRAME_TOO_BIG' });
  });

  it('says how large the frame is and how large it may be', () => {
    const splitter = new FrameSplitter(16_384);
    splitter.push(Buffer.from('GET / HTTP/1.1'));
    expect(() => splitter.next()).toThrow(
      expect.objectContaining({
        status: 3,
        message: 'a frame announces 1195725856 bytes, the limit is 16384',
      }),
    );
  });

  it('refuses a frame of zero bytes', () => {
    const splitter = new FrameSplitter(LIMIT);
    splitter.push(Buffer.alloc(4));
    expect(() => splitter.next()).toThrow(expect.objectContaining({ code: 'SPOP_FRAME_EMPTY', status: 4 }));
  });

  it('hands out the frames before a bad length first', () => {
    const good = Buffer.from([3, 1]);
    expect(split([Buffer.concat([onTheWire(good), onTheWire(good), Buffer.alloc(4)])])).toEqual({
      frames: [good, good],
      error: 'SPOP_FRAME_EMPTY',
    });
  });

  it('stays with its error: the place of the next frame is lost', () => {
    const splitter = new FrameSplitter(LIMIT);
    splitter.push(Buffer.alloc(4));
    expect(() => splitter.next()).toThrow(SpopError);
    splitter.push(onTheWire(Buffer.from([1])));
    expect(() => splitter.next()).toThrow(SpopError);
  });

  it('does not copy a frame that lies whole in one chunk', () => {
    const chunk = onTheWire(Buffer.from([1, 2, 3]));
    const splitter = new FrameSplitter(LIMIT);
    splitter.push(chunk);
    expect(splitter.next()?.buffer).toBe(chunk.buffer);
  });

  it('does copy a frame in pieces, so that a reused read buffer cannot change it', () => {
    const wire = onTheWire(Buffer.from([1, 2, 3, 4]));
    const splitter = new FrameSplitter(LIMIT);
    const reused = Buffer.from(wire.subarray(0, 6));
    splitter.push(reused);
    expect(splitter.next()).toBeUndefined();
    reused.fill(0);
    splitter.push(wire.subarray(6));
    expect(splitter.next()).toEqual(Buffer.from([1, 2, 3, 4]));
  });

  it('says how many bytes it has of an unfinished frame, and none between frames', () => {
    const wire = onTheWire(Buffer.alloc(10, 1));
    const splitter = new FrameSplitter(LIMIT);
    const pending = byteByByte(wire).map((byte) => {
      splitter.push(byte);
      splitter.next();
      return splitter.pendingBytes;
    });
    expect(pending).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0]);
  });

  it('applies a new limit to the next length it reads', () => {
    const splitter = new FrameSplitter(LIMIT);
    splitter.push(Buffer.concat([onTheWire(Buffer.alloc(100, 1)), onTheWire(Buffer.alloc(100, 2))]));
    expect(splitter.next()).toHaveLength(100);
    splitter.setLimits(99);
    expect(() => splitter.next()).toThrow(expect.objectContaining({ code: 'SPOP_FRAME_TOO_BIG' }));
  });

  it('hands out the beginning of a frame that is accepted and too large to be kept, however it is cut', () => {
    const kept = Buffer.alloc(1_500, 1);
    const tooLarge = Buffer.concat([Buffer.alloc(1_024, 2), Buffer.alloc(700, 3)]);
    const whole = Buffer.concat([kept, tooLarge, kept].map(onTheWire));
    fc.assert(
      fc.property(places, (where) => {
        for (const chunks of [[whole], byteByByte(whole), cut(whole, where)]) {
          const splitter = new FrameSplitter(LIMIT);
          splitter.setLimits(1_500, LIMIT);
          const found: [Buffer, number][] = [];
          for (const chunk of chunks) {
            splitter.push(chunk);
            for (let frame = splitter.next(); frame !== undefined; frame = splitter.next())
              found.push([Buffer.from(frame), splitter.droppedBytes]);
          }
          expect(found).toEqual([
            [kept, 0],
            [tooLarge.subarray(0, 1_024), 700],
            [kept, 0],
          ]);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('keeps what was pushed before the last chunk was used up', () => {
    const splitter = new FrameSplitter(LIMIT);
    splitter.push(onTheWire(Buffer.from([1])));
    splitter.push(onTheWire(Buffer.from([2])));
    expect([splitter.next(), splitter.next(), splitter.next()]).toEqual([
      Buffer.from([1]),
      Buffer.from([2]),
      undefined,
    ]);
  });

  it('keeps memory for what has arrived, not for what was announced', () => {
    const splitter = new FrameSplitter(2 ** 24);
    splitter.push(Buffer.from([0, 255, 0, 0, 7]));
    const before = process.memoryUsage().arrayBuffers;
    splitter.next();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect(splitter.pendingBytes).toBe(5);
  });

  it('copies each byte a bounded number of times when a large frame comes byte by byte', async () => {
    const work = (size: number): void => {
      const wire = onTheWire(Buffer.alloc(size, 7));
      const splitter = new FrameSplitter(size);
      let found: Buffer | undefined;
      for (let index = 0; index < wire.length; index += 1) {
        splitter.push(wire.subarray(index, index + 1));
        found = splitter.next();
      }
      expect(found).toHaveLength(size);
    };
    expect(await growthOf(work, 2 ** 15)).toBeLessThan(inProportion);
  });
});
