import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  decodeMessages,
  encodeMessages,
  encodeNotify,
  MessageCursor,
  SpopError,
} from '../../src/spop/index.ts';
import { message, uint64 } from './arbitraries.ts';
import { CAPTURES } from './fixtures.ts';

const messages = fc.array(message, { maxLength: 6 });

function payloadOf(frame: Buffer): Buffer {
  const decoded = decodeFrame(frame);
  if (decoded.kind === 'unknown') throw new Error('expected a known frame');
  return decoded.payload;
}

describe('messages', () => {
  it('come back, none, one or several, with any number of arguments', () => {
    fc.assert(
      fc.property(messages, (list) => {
        expect(decodeMessages(encodeMessages(list))).toEqual(list);
      }),
    );
  });

  it('come back from a whole NOTIFY frame with its ids', () => {
    fc.assert(
      fc.property(uint64, uint64, messages, (streamId, frameId, list) => {
        const frame = decodeFrame(encodeNotify(streamId, frameId, list).subarray(4));
        expect(frame).toMatchObject({ kind: 'notify', fin: true, streamId, frameId });
        expect(decodeMessages(frame.kind === 'unknown' ? Buffer.alloc(0) : frame.payload)).toEqual(list);
      }),
    );
  });

  it('are two when the first one’s argument count says so', () => {
    const payload = Buffer.from('0161010178000162020179000011', 'hex');
    expect(decodeMessages(payload)).toEqual([
      { name: 'a', args: [{ name: 'x', value: { type: 'null', value: null } }] },
      {
        name: 'b',
        args: [
          { name: 'y', value: { type: 'null', value: null } },
          { name: '', value: { type: 'boolean', value: true } },
        ],
      },
    ]);
  });

  it('may have 255 arguments, and cannot be written with more', () => {
    const args = Array.from({ length: 255 }, () => ({
      name: 'n',
      value: { type: 'null', value: null } as const,
    }));
    expect(decodeMessages(encodeMessages([{ name: 'm', args }]))[0]?.args).toHaveLength(255);
    expect(() => encodeMessages([{ name: 'm', args: [...args, ...args] }])).toThrow(RangeError);
  });

  it('are refused when the payload ends before the counted arguments do, at every byte', () => {
    const first = encodeMessages([
      { name: 'm', args: [{ name: 'a', value: { type: 'string', value: 'value' } }] },
    ]);
    for (let length = 1; length < first.length; length += 1) {
      expect(() => decodeMessages(first.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'SPOP_OUT_OF_BYTES', status: 4 }),
      );
    }
  });

  it('of arbitrary bytes decode or are refused with SpopError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
        try {
          decodeMessages(Buffer.from(array));
        } catch (error) {
          expect(error).toBeInstanceOf(SpopError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(CAPTURES)('of HAProxy $version are decoded, with a value of every type it sends', (capture) => {
    const host = capture.notifyHost;
    const headers = `\x04host\x0f${host}\x0auser-agent\x0bcurl/7.88.1\x06accept\x03*/*\x05x-odd\x04a: b\0\0`;
    expect(decodeMessages(payloadOf(capture.notify))).toEqual([
      {
        name: 'one',
        args: [
          { name: 'ip', value: { type: 'ipv4', value: '127.0.0.1' } },
          { name: 'path', value: { type: 'string', value: Buffer.from('/caf%C3%A9') } },
          { name: 'neg', value: { type: 'int64', value: -1 } },
          { name: 'big', value: { type: 'int64', value: 9_007_199_254_740_993n } },
          { name: 'yes', value: { type: 'boolean', value: true } },
          { name: 'no', value: { type: 'boolean', value: false } },
          { name: 'hdrs', value: { type: 'binary', value: Buffer.from(headers, 'latin1') } },
          { name: 'missing', value: { type: 'null', value: null } },
          { name: '', value: { type: 'string', value: Buffer.from('GET') } },
        ],
      },
      {
        name: 'two',
        args: [
          { name: 'v6', value: { type: 'ipv6', value: '2001:db8::ff00:42:8329' } },
          { name: '', value: { type: 'string', value: Buffer.from('unnamed') } },
        ],
      },
    ]);
  });

  it.each(CAPTURES)('of HAProxy $version are encoded to its very bytes', ({ notify, notifyStreamId }) => {
    const encoded = encodeNotify(notifyStreamId, 1, decodeMessages(payloadOf(notify)));
    expect(encoded.subarray(4).toString('hex')).toBe(notify.toString('hex'));
  });
});

describe('MessageCursor', () => {
  it('skips the values and arguments that nobody asks for', () => {
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.boolean()), (list, wanted) => {
        const cursor = new MessageCursor(encodeMessages(list));
        const wants = () => wanted.next().value === true;
        for (const { name, args } of list) {
          expect(cursor.nextMessage()).toBe(true);
          expect(cursor.messageName).toBe(name);
          for (const argument of args) {
            if (!wants()) break;
            expect(cursor.nextArgument()).toBe(true);
            expect(cursor.argumentName).toBe(argument.name);
            if (wants()) expect(cursor.value()).toEqual(argument.value);
          }
        }
        expect(cursor.nextMessage()).toBe(false);
      }),
    );
  });

  it('refuses to read a value twice, or before there is one', () => {
    const cursor = new MessageCursor(Buffer.from('0161010178000000', 'hex'));
    expect(() => cursor.value()).toThrow(RangeError);
    cursor.nextMessage();
    cursor.nextArgument();
    cursor.value();
    expect(() => cursor.value()).toThrow(RangeError);
  });
});
