/** Structure-aware: whole sessions of frames that are right, with at most one thing wrong, cut at any places. */
import fc from 'fast-check';
import { encodeHaproxyHello, encodeMessages, FrameType, type HaproxyHello } from '../src/spop/index.ts';
import { cut, places, uint64 } from '../test/spop/arbitraries.ts';
import { payloadRoom, spoeMessage } from './messages.ts';
import { endings, type Session } from './session.ts';
import { frame, type Wrong, wrongFrame, wrongHello } from './wrong.ts';

const digits = (count: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: count, maxLength: count });

/** Most of the time undefined. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

/** HAProxy's, a health check's, and what a process that is no agent of ours says to be taken for one. */
const hello: fc.Arbitrary<HaproxyHello> = fc.record({
  supportedVersions: fc.constantFrom(['2.0'], ['1.0', '2.0'], ['2.7', '9.9']),
  maxFrameSize: fc.constantFrom(256, 257, 1_000, 16_380, 65_532, 2 ** 31 - 1),
  capabilities: fc.constantFrom([], ['pipelining'], ['pipelining', 'async', 'fragmentation', 'x']),
  healthcheck: fc.integer({ min: 0, max: 19 }).map((die) => die === 0),
  engineId: fc.option(fc.string({ maxLength: 50 }), { nil: undefined }),
  peer: rarely(fc.record({ instance: digits(16), nonce: digits(32) }), 5),
});

/** A frame after HELLO; its frame-id is its place in the session, so that no two are the same. */
function goodFrame(known: readonly string[]): fc.Arbitrary<(index: number) => Buffer> {
  const notify = fc
    .tuple(uint64, fc.array(spoeMessage(known), { maxLength: 4 }), fc.constantFrom(0, 0xffff_fffe))
    .map(([streamId, messages, moreFlags]) => {
      const payload = encodeMessages(messages);
      const sent = payload.length > payloadRoom ? Buffer.alloc(0) : payload;
      return (index: number) => frame(FrameType.NOTIFY, streamId, index + 1, sent, (moreFlags | 1) >>> 0);
    });
  const unknown = fc.tuple(fc.constantFrom(4, 50, 100, 104, 255), fc.uint8Array({ maxLength: 50 })).map(
    ([type, payload]) =>
      () =>
        frame(type, 0, 0, payload),
  );
  return fc.oneof({ weight: 9, arbitrary: notify }, { weight: 1, arbitrary: unknown });
}

/** Whole, byte by byte, or cut anywhere. */
function chunked(bytes: Buffer, where: readonly number[], bytewise: boolean): Buffer[] {
  if (bytewise && bytes.length < 3_000)
    return Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
  return cut(bytes, where).filter(({ length }) => length > 0);
}

/** @param known instances of agents, for forged identities */
export function structuredSession(known: readonly string[]): fc.Arbitrary<Session> {
  return fc
    .record({
      hello,
      first: rarely(wrongHello, 12),
      frames: fc.array(goodFrame(known), { maxLength: 14, size: 'max' }),
      wrong: rarely(wrongFrame, 2),
      after: fc.array(goodFrame(known), { maxLength: 3 }),
      places,
      bytewise: fc.integer({ min: 0, max: 9 }).map((die) => die === 0),
      ending: fc.constantFrom(...endings),
    })
    .map(({ hello: greeting, first, frames, wrong, after, places: where, bytewise, ending }) => {
      const pieces = frames.map((make, index) => make(index));
      if (wrong !== undefined) pieces.push(wrong.bytes);
      pieces.push(...after.map((make, index) => make(1_000 + index)));
      const bytes = Buffer.concat([first?.bytes ?? encodeHaproxyHello(greeting), ...pieces]);
      const theWrong = first ?? (greeting.healthcheck ? undefined : wrong);
      const session: Session = {
        plan: planOf(greeting, frames.length, theWrong, after.length),
        chunks: chunked(bytes, where, bytewise),
        ending,
      };
      return theWrong === undefined ? session : { ...session, wrongStatus: theWrong.status };
    });
}

function planOf(greeting: HaproxyHello, frames: number, wrong: Wrong | undefined, after: number): string {
  return `${JSON.stringify(greeting)}, ${frames} frames, ${wrong?.name ?? 'nothing wrong'}, ${after} more`;
}
