/** Frames with one thing wrong, and the status that docs/spop.md promises for each. */
import fc from 'fast-check';
import {
  ByteWriter,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeMessages,
  FrameType,
  type HaproxyHello,
  writeFrame,
} from '../src/spop/index.ts';
import { message, uint64 } from '../test/spop/arbitraries.ts';
import { TYPICAL_HELLO } from '../test/support/spop-client.ts';

export interface Wrong {
  readonly name: string;
  readonly bytes: Buffer;
  readonly status: number;
}

const nothing = Buffer.alloc(0);

export function frame(
  type: number,
  streamId: number | bigint,
  frameId: number | bigint,
  payload: Uint8Array,
  flags = 1,
): Buffer {
  const writer = new ByteWriter();
  writeFrame(writer, { type, streamId, frameId, flags }, () => writer.bytes(payload));
  return writer.take();
}

/** A payload of one message with one argument whose value is given as bytes. */
const oneValue = (...value: number[]): Buffer => Buffer.from([1, 0x6d, 1, 1, 0x61, ...value]);
const notify = (payload: Uint8Array): Buffer => frame(FrameType.NOTIFY, 1, 1_000_000, payload);
const tooLong = Buffer.from([0xff, ...Array(10).fill(0xff)]);
const raw = (...body: number[]): Buffer => Buffer.from([0, 0, 0, body.length, ...body]);
const helloWith = (changes: Partial<HaproxyHello>): Buffer =>
  encodeHaproxyHello({ ...TYPICAL_HELLO, ...changes });

/** As a frame after the handshake. */
export const wrongFrame: fc.Arbitrary<Wrong> = fc.oneof(
  fc.constantFrom<Wrong>(
    { name: 'length 0', bytes: Buffer.alloc(4), status: 4 },
    { name: 'HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), status: 3 },
    { name: 'length over the maximum', bytes: Buffer.from([0x10, 0, 0, 1]), status: 3 },
    { name: 'header cut off', bytes: raw(FrameType.NOTIFY, 0, 0), status: 4 },
    { name: 'stream-id over 64 bits', bytes: raw(FrameType.NOTIFY, 0, 0, 0, 1, ...tooLong, 1), status: 4 },
    { name: 'second HELLO', bytes: helloWith({}), status: 4 },
    { name: 'type UNSET', bytes: frame(FrameType.UNSET, 1, 1, nothing), status: 10 },
    { name: 'NOTIFY without FIN', bytes: frame(FrameType.NOTIFY, 1, 1, nothing, 0), status: 10 },
    { name: 'frame-id 0', bytes: frame(FrameType.NOTIFY, 1, 0, nothing), status: 4 },
    { name: 'value of type 10', bytes: notify(oneValue(10)), status: 4 },
    { name: 'string cut off', bytes: notify(oneValue(8, 200)), status: 4 },
    {
      name: 'int32 beyond 32 bits',
      bytes: notify(oneValue(2, 0xf0, 0xff, 0xff, 0xff, 0xff, 0x7f)),
      status: 4,
    },
    { name: 'integer over 64 bits', bytes: notify(oneValue(4, ...tooLong)), status: 4 },
    { name: 'argument missing', bytes: notify(Buffer.from([1, 0x6d, 2, 1, 0x61, 0])), status: 4 },
    {
      name: 'DISCONNECT without FIN',
      bytes: frame(FrameType.HAPROXY_DISCONNECT, 0, 0, nothing, 0),
      status: 10,
    },
    { name: 'DISCONNECT with ids', bytes: frame(FrameType.HAPROXY_DISCONNECT, 1, 1, nothing), status: 4 },
  ),
  fc
    .constantFrom(FrameType.AGENT_HELLO, FrameType.AGENT_DISCONNECT, FrameType.ACK)
    .map((type) => ({ name: `type ${type}`, bytes: frame(type, 0, 0, nothing), status: 4 })),
  // A list of messages that loses its last bytes: an end at a message would be a shorter list.
  fc
    .tuple(message, uint64)
    .map(([one, streamId]) => ({
      payload: encodeMessages([{ ...one, args: [...one.args, last] }]),
      streamId,
    }))
    .map(({ payload, streamId }) => ({
      name: 'messages cut off',
      bytes: frame(FrameType.NOTIFY, streamId, 1_000_000, payload.subarray(0, -1)),
      status: 4,
    })),
);
const last = { name: 'last', value: { type: 'string' as const, value: 'text' } };

/** In the place of a HELLO. */
export const wrongHello: fc.Arbitrary<Wrong> = fc.constantFrom<Wrong>(
  { name: 'NOTIFY first', bytes: notify(oneValue(0)), status: 4 },
  { name: 'goodbye first', bytes: encodeHaproxyDisconnect(0, 'bye'), status: 0 },
  { name: 'unknown type first', bytes: frame(77, 0, 0, nothing), status: 4 },
  { name: 'HELLO without items', bytes: frame(FrameType.HAPROXY_HELLO, 0, 0, nothing), status: 5 },
  { name: 'HELLO of 1.0', bytes: helloWith({ supportedVersions: ['1.0', '3.0'] }), status: 8 },
  { name: 'HELLO of 255 bytes', bytes: helloWith({ maxFrameSize: 255 }), status: 9 },
  { name: 'HELLO with ids', bytes: frame(FrameType.HAPROXY_HELLO, 1, 1, nothing), status: 4 },
  { name: 'HELLO without FIN', bytes: frame(FrameType.HAPROXY_HELLO, 0, 0, nothing, 0), status: 10 },
  {
    name: 'peer of another form',
    bytes: helloWith({ peer: { instance: 'G'.repeat(16), nonce: '0'.repeat(32) } }),
    status: 4,
  },
  {
    name: 'peer without a nonce',
    bytes: helloWith({ peer: { instance: '0'.repeat(16), nonce: '' } }),
    status: 4,
  },
  { name: 'TLS', bytes: Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), status: 3 },
);
