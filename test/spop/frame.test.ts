import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteWriter,
  decodeFrame,
  FrameFlag,
  FrameType,
  SpopError,
  writeFrame,
} from '../../src/spop/index.ts';
import { bytes, uint64 } from './arbitraries.ts';
import { CAPTURES } from './fixtures.ts';

const KINDS = [
  [FrameType.UNSET, 'unset'],
  [FrameType.HAPROXY_HELLO, 'haproxy-hello'],
  [FrameType.HAPROXY_DISCONNECT, 'haproxy-disconnect'],
  [FrameType.NOTIFY, 'notify'],
  [FrameType.AGENT_HELLO, 'agent-hello'],
  [FrameType.AGENT_DISCONNECT, 'agent-disconnect'],
  [FrameType.ACK, 'ack'],
] as const;

describe('a frame', () => {
  it('comes back with its kind, flags, ids and payload, after its length', () => {
    const type = fc.constantFrom(...KINDS);
    fc.assert(
      fc.property(
        type,
        uint64,
        uint64,
        bytes,
        fc.nat(3),
        ([number, kind], streamId, frameId, payload, flags) => {
          const writer = new ByteWriter();
          const size = writeFrame(writer, { type: number, streamId, frameId, flags }, () =>
            writer.bytes(payload),
          );
          const wire = writer.take();
          expect(wire.readUInt32BE()).toBe(wire.length - 4);
          expect(size).toBe(wire.length - 4);
          expect(decodeFrame(wire.subarray(4))).toEqual({
            kind,
            fin: (flags & FrameFlag.FIN) !== 0,
            abort: (flags & FrameFlag.ABORT) !== 0,
            streamId,
            frameId,
            payload,
          });
        },
      ),
    );
  });

  it('reads its flags from the low bits and ignores the reserved ones', () => {
    expect(decodeFrame(Buffer.from('03fffffffc0101', 'hex'))).toMatchObject({ fin: false, abort: false });
    expect(decodeFrame(Buffer.from('03800000030101', 'hex'))).toMatchObject({ fin: true, abort: true });
  });

  it('of an unknown type is told by its type, and nothing more is asked of it', () => {
    expect(decodeFrame(Buffer.from([42]))).toEqual({ kind: 'unknown', type: 42 });
    expect(decodeFrame(Buffer.from([100, 255, 255]))).toEqual({ kind: 'unknown', type: 100 });
  });

  it('is refused when it ends inside its flags or ids', () => {
    const whole = Buffer.from('0300000001f08001f08001', 'hex');
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeFrame(whole.subarray(0, length))).toThrow(SpopError);
    }
    expect(decodeFrame(whole)).toMatchObject({ kind: 'notify' });
  });

  it.each(CAPTURES)('as HAProxy $version sends it is understood', ({ notify, notifyStreamId }) => {
    expect(decodeFrame(notify)).toMatchObject({
      kind: 'notify',
      fin: true,
      streamId: notifyStreamId,
      frameId: 1,
    });
  });
});
