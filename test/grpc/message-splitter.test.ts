import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageError, MessageSplitter, withPrefix } from '../../src/grpc/index.ts';
import { cut, places } from '../spop/arbitraries.ts';
import { grpcMessage } from '../support/http2-frames.ts';

const limit = 2_000;
const messages = fc.array(
  fc.uint8Array({ maxLength: limit }).map((array) => Buffer.from(array)),
  { maxLength: 12 },
);

interface Found {
  readonly messages: readonly Buffer[];
  readonly trouble: string | undefined;
  readonly isEmpty: boolean;
}

/** Everything a splitter says about chunks: copies of its messages, then its error. */
function split(chunks: readonly Buffer[], maxBytes = limit): Found {
  const splitter = new MessageSplitter(maxBytes);
  const found: Buffer[] = [];
  try {
    for (const chunk of chunks) {
      splitter.push(chunk);
      for (let next = splitter.next(); next !== undefined; next = splitter.next()) {
        found.push(Buffer.from(next));
      }
    }
  } catch (cause) {
    if (!(cause instanceof MessageError)) throw cause;
    return { messages: found, trouble: cause.trouble, isEmpty: splitter.isEmpty };
  }
  return { messages: found, trouble: undefined, isEmpty: splitter.isEmpty };
}

const byteByByte = (whole: Buffer): Buffer[] =>
  Array.from(whole, (_, index) => whole.subarray(index, index + 1));

describe('MessageSplitter', () => {
  it('gives the same messages whole, byte by byte and cut anywhere', () => {
    fc.assert(
      fc.property(messages, places, (expected, where) => {
        const whole = Buffer.concat(expected.map(withPrefix));
        for (const chunks of [[whole], byteByByte(whole), cut(whole, where)]) {
          expect(split(chunks)).toEqual({ messages: expected, trouble: undefined, isEmpty: true });
        }
      }),
    );
  });

  it('gives the same messages and the same error for arbitrary bytes, however they are cut', () => {
    const flag = fc.constantFrom(0, 0, 0, 0, 1, 2, 255);
    const length = fc.constantFrom(0, 1, 2, 7, limit, limit + 1, 2 ** 32 - 1);
    const part = fc
      .tuple(flag, length, fc.uint8Array({ maxLength: 20 }))
      .map(([flagged, announced, bytes]) => grpcMessage(bytes, flagged, announced));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), places, (parts, where) => {
        const whole = Buffer.concat(parts);
        const expected = split([whole]);
        expect(split(byteByByte(whole))).toEqual(expected);
        expect(split(cut(whole, where))).toEqual(expected);
      }),
    );
  });

  it('writes the prefix of the gRPC documentation', () => {
    expect(withPrefix(Buffer.from('abc')).toString('hex')).toBe('0000000003616263');
  });

  it.each([
    ['of exactly the limit', grpcMessage(Buffer.alloc(300)), undefined],
    ['of a byte more, from the prefix alone', grpcMessage('', 0, 301), 'too-large'],
    ['that is compressed', grpcMessage('x', 1), 'compressed'],
    ['that is compressed and too large', grpcMessage('', 1, 301), 'compressed'],
    ['with a flag that there is not', grpcMessage('x', 2), 'malformed'],
  ])('judges a message %s', (_, wire, trouble) => {
    expect(split([wire], 300).trouble).toBe(trouble);
  });

  it('says how large the message is and how large it may be', () => {
    const splitter = new MessageSplitter(16_384);
    splitter.push(Buffer.concat([Buffer.from([0]), Buffer.from('GET ')]));
    expect(() => splitter.next()).toThrow('a message announces 1195725856 bytes, the limit is 16384');
  });

  it('hands out the messages before a bad prefix first, then stays with its error', () => {
    const splitter = new MessageSplitter(limit);
    splitter.push(Buffer.concat([grpcMessage('good'), grpcMessage('bad', 9), grpcMessage('lost')]));
    expect(splitter.next()?.toString()).toBe('good');
    expect(() => splitter.next()).toThrow(MessageError);
    splitter.push(grpcMessage('good again'));
    expect(() => splitter.next()).toThrow(MessageError);
  });

  it('does not copy a message that lies whole in one chunk', () => {
    const chunk = grpcMessage('abc');
    const splitter = new MessageSplitter(limit);
    splitter.push(chunk);
    expect(splitter.next()?.buffer).toBe(chunk.buffer);
  });

  it('does copy a message in pieces, so that a small piece does not keep a large chunk', () => {
    const splitter = new MessageSplitter(limit);
    const chunk = Buffer.from(grpcMessage('abcd').subarray(0, 7));
    splitter.push(chunk);
    expect(splitter.next()).toBeUndefined();
    chunk.fill(0);
    splitter.push(Buffer.from('cd'));
    expect(splitter.next()?.toString()).toBe('abcd');
  });

  it('holds memory for what has arrived, not for what was announced, and none between messages', () => {
    const splitter = new MessageSplitter(2 ** 24);
    splitter.push(grpcMessage('abc', 0, 2 ** 24));
    splitter.next();
    expect(splitter.heldBytes).toBeLessThan(2_000);
    splitter.push(Buffer.alloc(100_000));
    splitter.next();
    expect(splitter.heldBytes).toBeGreaterThanOrEqual(100_003);
    expect(splitter.heldBytes).toBeLessThan(210_000);
    splitter.push(Buffer.alloc(2 ** 24 - 100_003));
    expect(splitter.next()).toHaveLength(2 ** 24);
    expect(splitter.heldBytes).toBe(0);
  });

  it('counts what nobody has asked for', () => {
    const splitter = new MessageSplitter(limit);
    splitter.push(Buffer.concat([grpcMessage('one'), grpcMessage('two')]));
    splitter.next();
    expect(splitter.heldBytes).toBe(8);
    splitter.push(grpcMessage('three'));
    expect(splitter.heldBytes).toBe(18);
    splitter.clear();
    expect(splitter.heldBytes).toBe(0);
  });

  it('copies each byte a bounded number of times when a large message comes byte by byte', () => {
    const size = 2 ** 20;
    const wire = grpcMessage(Buffer.alloc(size, 7));
    const splitter = new MessageSplitter(size);
    const startedMs = performance.now();
    let found: Buffer | undefined;
    for (const byte of byteByByte(wire)) {
      splitter.push(byte);
      found = splitter.next();
    }
    expect(found).toHaveLength(size);
    // Quadratic copying would move 512 GiB.
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });
});
