import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeDisconnect,
  decodeFrame,
  encodeAgentDisconnect,
  encodeHaproxyDisconnect,
  MIN_FRAME_SIZE,
} from '../../src/spop/index.ts';
import { IDLE_DISCONNECT } from './fixtures.ts';

function payloadOf(frame: Buffer): Buffer {
  const decoded = decodeFrame(frame);
  if (decoded.kind === 'unknown') throw new Error('expected a known frame');
  return decoded.payload;
}

describe('DISCONNECT', () => {
  it('of HAProxy 2.6 after its idle time-out is understood', () => {
    expect(decodeFrame(IDLE_DISCONNECT)).toMatchObject({
      kind: 'haproxy-disconnect',
      streamId: 0,
      frameId: 0,
    });
    expect(decodeDisconnect(payloadOf(IDLE_DISCONNECT))).toEqual({
      status: 2,
      message: 'a timeout occurred',
    });
  });

  it('of HAProxy 2.6 is encoded to its very bytes', () => {
    expect(encodeHaproxyDisconnect(2, 'a timeout occurred').subarray(4)).toEqual(IDLE_DISCONNECT);
  });

  it('comes back with status and sentence', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.string({ maxLength: 60 }),
        (status, message) => {
          const frame = encodeAgentDisconnect(status, message).subarray(4);
          expect(decodeFrame(frame)).toMatchObject({ kind: 'agent-disconnect', fin: true });
          expect(decodeDisconnect(payloadOf(frame))).toEqual({ status, message });
        },
      ),
    );
  });

  it('fits the smallest frame there can be, however long the sentence, without half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 60, maxLength: 1_000 }), (message) => {
        const frame = encodeAgentDisconnect(2 ** 32 - 1, message).subarray(4);
        expect(frame.length).toBeLessThanOrEqual(MIN_FRAME_SIZE);
        const kept = decodeDisconnect(payloadOf(frame)).message;
        expect(message.startsWith(kept)).toBe(true);
        expect(Buffer.byteLength(kept)).toBeGreaterThanOrEqual(Math.min(Buffer.byteLength(message), 197));
      }),
    );
  });

  it('without its items is forgiven: the peer leaves anyway', () => {
    expect(decodeDisconnect(Buffer.alloc(0))).toEqual({ status: 99, message: '' });
  });

  it.each([
    ['a status code that is text', '0b7374617475732d636f6465080130'],
    ['a sentence that is a number', '076d6573736167650301'],
    ['a repeated item', '076d6573736167650800076d6573736167650800'],
  ])('with %s is refused', (_, hex) => {
    expect(() => decodeDisconnect(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_ITEM', status: 4 }),
    );
  });
});
