/** The promise of src/spop for the other side: whatever an agent sends, in whatever pieces, nothing throws. */
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  encodeAck,
  encodeAgentDisconnect,
  encodeAgentHello,
  FrameSplitter,
  HaproxyConnection,
} from '../../src/spop/index.ts';
import { action, cut, places, streamOf } from './arbitraries.ts';
import { onTheWire } from './fixtures.ts';

const HELLO = encodeAgentHello({
  version: '2.0',
  maxFrameSize: 8_192,
  capabilities: ['pipelining'],
  peer: { instance: '0123456789abcdef', proof: 'ab'.repeat(32) },
});

/** NOTIFYs that are sent as soon as the handshake is done: those with stream-ids 1 to 8. */
const SENT = 8;

const piece: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(HELLO) },
  { weight: 1, arbitrary: fc.constant(encodeAgentDisconnect(0, 'bye')) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: SENT + 1 }), fc.array(action, { maxLength: 3 }))
      .map(([streamId, actions]) => encodeAck(streamId, 1, actions)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 60 }).map(onTheWire) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)) },
);

const stream = streamOf(HELLO, piece);

/**
 * What the bytes meant, views copied, and what would be sent. The HELLO comes by itself, so that NOTIFYs are out when
 * the rest comes: an ACK in one piece with the HELLO would answer nothing.
 */
function run(greeted: boolean, chunks: readonly Buffer[]) {
  const connection = new HaproxyConnection({ maxFrameSize: 8_192 });
  connection.takeOutput();
  if (greeted) {
    connection.receive(HELLO);
    for (let count = 0; count < SENT; count += 1) connection.notify(Buffer.alloc(0));
    connection.takeOutput();
  }
  const events = chunks
    .flatMap((chunk) => connection.receive(chunk))
    .map((event) => {
      if (event.kind === 'error') return { kind: event.kind, text: String(event.error) };
      return event.kind === 'ack' ? { ...event, actions: Buffer.from(event.actions) } : event;
    });
  return {
    events,
    closed: connection.closed,
    inFlight: connection.inFlight,
    output: connection.takeOutput(),
  };
}

describe('any bytes of an agent', () => {
  it('mean the same however they are cut', () => {
    fc.assert(
      fc.property(fc.boolean(), stream, places, (greeted, bytes, where) => {
        const expected = run(greeted, [bytes]);
        expect(run(greeted, cut(bytes, where))).toEqual(expected);
        const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
        expect(run(greeted, single)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('answer each NOTIFY at most once, and close exactly on a goodbye or a violation', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const { events, closed, inFlight, output } = run(true, [bytes]);
        const answered = events.flatMap((event) => (event.kind === 'ack' ? [event.streamId] : []));
        expect(new Set(answered).size).toBe(answered.length);
        const last = events.at(-1)?.kind;
        expect(closed).toBe(last === 'error' || last === 'disconnect');
        expect(inFlight).toBe(closed ? 0 : SENT - answered.length);
        const splitter = new FrameSplitter(256);
        splitter.push(output ?? Buffer.alloc(0));
        const frame = splitter.next();
        expect(frame === undefined ? undefined : decodeFrame(frame).kind).toBe(
          last === 'error' ? 'haproxy-disconnect' : undefined,
        );
        expect(splitter.pendingBytes).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });
});
