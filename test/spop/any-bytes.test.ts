/**
 * The promise of src/spop: whatever bytes arrive, in whatever pieces, the connection stays in one piece. Events
 * and answers depend on the bytes alone, and no exception but SpopError exists for them.
 */
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AgentConnection,
  type AgentEvent,
  decodeFrame,
  decodeMessages,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeNotify,
  SpopError,
} from '../../src/spop/index.ts';
import { decodeAgentFrames, HEALTHCHECK_HELLO, TYPICAL_HELLO } from '../support/spop-client.ts';
import { cut, message, places, streamOf } from './arbitraries.ts';
import { CAPTURES, IDLE_DISCONNECT, onTheWire } from './fixtures.ts';

const HELLO = encodeHaproxyHello(TYPICAL_HELLO);

/** What HAProxy sends, what it never sends, and noise. */
const piece: fc.Arbitrary<Buffer> = fc.oneof(
  fc.constant(HELLO),
  fc.constant(encodeHaproxyHello(HEALTHCHECK_HELLO)),
  fc.constant(onTheWire(IDLE_DISCONNECT)),
  fc.constant(encodeHaproxyDisconnect(0, 'bye')),
  fc.constantFrom(...CAPTURES.map(({ notify }) => onTheWire(notify))),
  fc
    .tuple(fc.nat(3), fc.nat(3), fc.array(message, { maxLength: 3 }))
    .map(([streamId, frameId, messages]) => encodeNotify(streamId, frameId, messages)),
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map(onTheWire),
  fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array)),
);

const stream = streamOf(HELLO, piece);

/** A copy of what the connection said, with the views in it copied too, and what it would send. */
function run(chunks: readonly Buffer[]) {
  const connection = new AgentConnection({ maxFrameSize: 8_192 });
  const events: AgentEvent[] = chunks.flatMap((chunk) => connection.receive(chunk));
  const seen = events.map((event) => {
    if (event.kind === 'error')
      return { kind: event.kind, code: event.error.code, message: event.error.message };
    return event.kind === 'notify' ? { ...event, payload: Buffer.from(event.payload) } : event;
  });
  return { seen, closed: connection.closed, output: connection.takeOutput() };
}

describe('any bytes', () => {
  it('give the same events, state and answers however they are cut', () => {
    fc.assert(
      fc.property(stream, places, (bytes, where) => {
        const expected = run([bytes]);
        expect(run(cut(bytes, where))).toEqual(expected);
        expect(run(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('end in well-formed answers, the last of which is a DISCONNECT or an answered health check when closed', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const { seen, closed, output } = run([bytes]);
        const frames = decodeAgentFrames(output ?? Buffer.alloc(0));
        const last = seen.at(-1)?.kind;
        expect(closed).toBe(last === 'error' || last === 'disconnect' || last === 'healthcheck');
        if (last === 'error') expect(frames.at(-1)).toMatchObject({ kind: 'agent-disconnect' });
        if (last === 'disconnect') {
          expect(frames.at(-1)).toMatchObject({ kind: 'agent-disconnect', disconnect: { status: 0 } });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('never make a decoder throw anything but SpopError', () => {
    const nearly = fc
      .tuple(
        fc.constantFrom(...CAPTURES),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
      )
      .map(([capture, flips, length]) => {
        const frame = Buffer.from(capture.notify).subarray(0, length % (capture.notify.length + 1));
        for (const [place, value] of flips) if (frame.length > 0) frame[place % frame.length] = value;
        return frame;
      });
    fc.assert(
      fc.property(nearly, (bytes) => {
        try {
          const frame = decodeFrame(bytes);
          if (frame.kind !== 'unknown') decodeMessages(frame.payload);
        } catch (error) {
          expect(error).toBeInstanceOf(SpopError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
