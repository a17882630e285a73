/**
 * Frames of HTTP/2 in any order, right ones and wrong ones, some of their bytes changed: nothing is expected of the
 * connection but that it ends when its client has gone.
 */
import fc from 'fast-check';
import {
  data,
  FrameFlag,
  FrameType,
  frame,
  grpcMessage,
  grpcRequest,
  headerBlock,
  headers,
  ping,
  preface,
  RawHttp2Client,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from '../../test/support/http2-frames.ts';
import { drip } from '../drip.ts';
import { Finding } from '../session.ts';
import type { GrpcTarget } from './target.ts';

export interface FrameSession {
  readonly frames: readonly Buffer[];
  readonly ending: 'fin' | 'reset';
  /** Bytes to change in all of them together: where, as a share, and by what. */
  readonly changes: readonly (readonly [where: number, by: number])[];
  /** With the preface and SETTINGS before them. */
  readonly greets: boolean;
  /** Sizes of writes. */
  readonly writes: readonly number[];
}

const id = fc.oneof(
  { weight: 8, arbitrary: fc.nat({ max: 7 }).map((index) => 2 * index + 1) },
  { weight: 1, arbitrary: fc.constantFrom(0, 2, 2 ** 31 - 1, 2 ** 31 + 1) },
);
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** @param path of the method */
export function frameSession(path: string): fc.Arbitrary<FrameSession> {
  const request = grpcRequest(path);
  const list = fc.oneof(
    { weight: 4, arbitrary: fc.constant(request) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        grpcRequest('/no.Such/Method'),
        grpcRequest('/grpc.health.v1.Health/Check'),
        grpcRequest('/grpc.health.v1.Health/Watch'),
        [...request, ['connection', 'close'] as const],
        [...request, ['content-length', '3'] as const],
        [...request.slice(1), [':method', 'CONNECT'] as const],
        request.slice(0, 2),
        [['Upper-Case', 'x'] as const, ...request],
      ),
    },
  );
  const part = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(id, list, fc.boolean()).map(([on, fields, end]) => headers(on, fields, end)),
    },
    {
      weight: 8,
      arbitrary: fc
        .tuple(id, bytes(300), fc.constantFrom(0, 0, 0, 0, 1, 7), fc.boolean())
        .map(([on, message, flag, end]) => data(on, grpcMessage(message, flag), end)),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(id, bytes(40), fc.boolean()).map(([on, raw, end]) => data(on, raw, end)),
    },
    { weight: 3, arbitrary: fc.tuple(id, fc.nat({ max: 14 })).map(([on, code]) => reset(on, code)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.nat({ max: 9 }), fc.constantFrom(0, 1, 16_383, 16_384, 65_535, 2 ** 31 - 1, 2 ** 32 - 1))
        .map((entry) => settings(entry)),
    },
    { weight: 1, arbitrary: fc.constantFrom(ping(), ping('12345678', true), settingsAck) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(id, fc.constantFrom(0, 1, 65_535, 2 ** 31 - 1))
        .map(([on, increment]) => windowUpdate(on, increment)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(id, fc.nat({ max: 60 }))
        .map(([on, at]) => splitHeaders(on, headerBlock(request), at)),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.nat({ max: 12 }), fc.nat({ max: 255 }), id, bytes(30), fc.option(fc.nat({ max: 20_000 })))
        .map(([type, flags, on, payload, length]) =>
          frame(type, flags, on, payload, length === null ? payload.length : length),
        ),
    },
  );
  return fc.record({
    frames: fc.array(part, { minLength: 1, maxLength: 30 }),
    ending: fc.constantFrom('fin', 'reset'),
    changes: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      {
        weight: 1,
        arbitrary: fc.array(
          fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 255 })),
          {
            maxLength: 5,
          },
        ),
      },
    ),
    greets: fc.oneof(
      { weight: 9, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    ),
    writes: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 6 }),
  });
}

function splitHeaders(on: number, block: Buffer, at: number): Buffer {
  return Buffer.concat([
    frame(FrameType.HEADERS, 0, on, block.subarray(0, at)),
    frame(FrameType.CONTINUATION, FrameFlag.END_HEADERS, on, block.subarray(at)),
  ]);
}

/** Longer than what the server itself takes to give up on a client. */
const patienceMs = 30_000;

/** @throws Finding */
export async function playFrames(session: FrameSession, target: GrpcTarget): Promise<void> {
  const client = await RawHttp2Client.connect(target.address);
  const whole = Buffer.concat([...(session.greets ? [preface, settings()] : []), ...session.frames]);
  for (const [where, by] of session.changes) {
    const index = Math.min(whole.length - 1, Math.floor(where * whole.length));
    whole[index] = ((whole[index] ?? 0) + by) % 256;
  }
  try {
    await drip(client.socket, chunksOf(whole, session.writes));
    if (session.ending === 'reset') {
      client.socket.resetAndDestroy();
      return;
    }
    client.socket.end();
    const isClosed = await Promise.race([client.closed.then(() => true), later(patienceMs)]);
    if (isClosed !== true) throw new Finding('a connection stays open after its client has ended it');
  } finally {
    client.socket.destroy();
  }
}

function chunksOf(whole: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let rest = whole;
  for (const size of sizes) {
    chunks.push(rest.subarray(0, size));
    rest = rest.subarray(size);
  }
  return [...chunks, rest].filter(({ length }) => length > 0);
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}

export function showFrames({ frames, ending, changes, greets }: FrameSession): string {
  const shown = frames.map((one) => one.toString('hex')).join(' ');
  return `${greets ? 'greeted' : 'no preface'}, then ${ending}, changed ${JSON.stringify(changes)}: ${shown}`;
}
