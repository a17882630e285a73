/** Conduct that takes many frames, many connections or time. None of it has an answer that is right; others must not feel it. */
import { connect } from 'node:net';
import {
  data,
  FrameFlag,
  FrameType,
  frame,
  grpcMessage,
  grpcRequest,
  headerBlock,
  headers,
  indexedBlock,
  ping,
  RawHttp2Client,
  reset,
  settings,
  windowUpdate,
} from '../../test/support/http2-frames.ts';
import type { GrpcTarget } from './target.ts';

type Scene = (target: GrpcTarget) => Promise<void>;

/** Bytes of a flood: enough to fill whatever might be filled, and over in seconds. */
const floodBytes = 4_000_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The same frames again and again, until enough of them are sent or the server has had enough. */
async function flood(target: GrpcTarget, unit: (round: number) => Buffer, reads = true): Promise<void> {
  const client = await RawHttp2Client.greet(target.address);
  if (!reads) client.socket.pause();
  let sent = 0;
  for (let round = 0; sent < floodBytes && !client.isOver; round += 1) {
    const part = unit(round);
    client.send(part);
    client.frames.length = 0;
    sent += part.length;
    // What the server does not take waits here: that is no test of it.
    if (client.socket.writableLength > 1_000_000) await Promise.race([drained(client), client.closed]);
    await turn();
  }
  client.socket.destroy();
  await client.closed;
}

function drained(client: RawHttp2Client): Promise<void> {
  return new Promise((resolve) => {
    client.socket.once('drain', resolve);
    // A server that reads no more has had enough.
    setTimeout(resolve, 2_000).unref();
  });
}

const many = (count: number, unit: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => unit));

function callsOf(round: number, perRound: number, of: (id: number) => Buffer[]): Buffer {
  const parts = Array.from({ length: perRound }, (_, index) => of(2 * (round * perRound + index) + 1));
  return Buffer.concat(parts.flat());
}

const floods: Readonly<Record<string, Scene>> = {
  settings: (target) => flood(target, () => many(200, settings([4, 70_000], [3, 5]))),
  'settings-unread': (target) => flood(target, () => many(200, settings([4, 70_000])), false),
  pings: (target) => flood(target, () => many(200, ping())),
  'pings-unread': (target) => flood(target, () => many(200, ping()), false),
  'window-updates': (target) => flood(target, () => many(200, windowUpdate(0, 1))),
  'empty-data': (target) =>
    flood(target, (round) =>
      round === 0 ? headers(1, grpcRequest(target.path)) : many(200, data(1, Buffer.alloc(0))),
    ),
  continuation: (target) =>
    flood(target, (round) =>
      round === 0
        ? frame(FrameType.HEADERS, 0, 1, headerBlock(grpcRequest(target.path)))
        : many(100, frame(FrameType.CONTINUATION, 0, 1, headerBlock([['x-more', 'y'.repeat(100)]]))),
    ),
  'rapid-reset': (target) =>
    flood(target, (round) =>
      callsOf(round, 50, (id) => [headers(id, grpcRequest(target.path)), reset(id, 8)]),
    ),
  'rapid-reset-with-message': (target) => {
    const [first] = target.conversation(2);
    const message = grpcMessage(first?.message ?? '');
    return flood(target, (round) =>
      callsOf(round, 20, (id) => [headers(id, grpcRequest(target.path)), data(id, message), reset(id, 8)]),
    );
  },
  // Resets that the server is made to send.
  'made-to-reset': (target) =>
    flood(target, (round) =>
      callsOf(round, 50, (id) => [headers(id, grpcRequest(target.path)), windowUpdate(id, 0)]),
    ),
  'unknown-paths': (target) =>
    flood(target, (round) => callsOf(round, 50, (id) => [headers(id, grpcRequest('/no.Such/Method'), true)])),
  'hpack-bomb': (target) => {
    const first = Buffer.concat([
      headerBlock(grpcRequest(target.path)),
      indexedBlock('x', 'b'.repeat(3_900)),
    ]);
    const bomb = Buffer.concat([headerBlock(grpcRequest(target.path)), Buffer.alloc(15_000, 0x80 | 62)]);
    return flood(target, (round) =>
      frame(FrameType.HEADERS, FrameFlag.END_HEADERS, 2 * round + 1, round === 0 ? first : bomb),
    );
  },
  'bad-prefixes': (target) =>
    flood(target, (round) =>
      callsOf(round, 50, (id) => [
        headers(id, grpcRequest(target.path)),
        data(id, grpcMessage('x', 77), true),
      ]),
    ),
};

/** Very many messages that never end, on several connections. */
async function halfMessages(target: GrpcTarget): Promise<void> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => RawHttp2Client.greet(target.address)));
  const [prefix, more] = [grpcMessage('', 0, target.maxMessageBytes), Buffer.alloc(16_000)];
  for (let index = 0; index < 200; index += 1) {
    const id = 2 * index + 1;
    for (const client of clients) {
      client.send(headers(id, grpcRequest(target.path)), data(id, prefix), data(id, more), data(id, more));
    }
    await turn();
  }
  await holdOpen(clients);
}

/** Connections that say nothing, or stop within their preface or a frame. */
async function halfSpoken(target: GrpcTarget): Promise<void> {
  const beginnings = [Buffer.alloc(0), Buffer.from('PRI * HTT'), Buffer.from([0, 0, 9])];
  const clients = await Promise.all(
    Array.from({ length: 90 }, async (_, index) => {
      const isGreeted = index % 3 === 2;
      const client = await (isGreeted
        ? RawHttp2Client.greet(target.address)
        : RawHttp2Client.connect(target.address));
      client.send(beginnings[index % 3] ?? Buffer.alloc(0));
      return client;
    }),
  );
  await holdOpen(clients);
}

/** As many calls as SETTINGS allow, each with a message, left open; and answers that nobody reads. */
async function openCalls(target: GrpcTarget): Promise<void> {
  const message = grpcMessage(target.conversation(1)[0]?.message ?? '');
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawHttp2Client.greet(target.address)));
  for (const [index, client] of clients.entries()) if (index % 2 === 0) client.socket.pause();
  for (let call = 0; call < 900; call += 1) {
    const id = 2 * call + 1;
    for (const client of clients) client.send(headers(id, grpcRequest(target.path)), data(id, message));
    if (call % 50 === 0) await turn();
  }
  await holdOpen(clients);
}

/** More connections than there may be, opened and dropped. */
async function connections(target: GrpcTarget): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    const sockets = Array.from({ length: 100 }, () => {
      const socket = connect(target.address);
      socket.on('error', () => undefined);
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      return socket;
    });
    await Promise.all(
      sockets.map((socket) => new Promise((resolve) => socket.once('ready', resolve).once('close', resolve))),
    );
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    await turn();
  }
}

async function holdOpen(clients: readonly RawHttp2Client[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const client of clients) client.socket.destroy();
  await Promise.all(clients.map(({ closed }) => closed));
}

export const scenes: ReadonlyMap<string, Scene> = new Map([
  ...Object.entries(floods),
  ['half-messages', halfMessages],
  ['half-spoken', halfSpoken],
  ['open-calls', openCalls],
  ['connections', connections],
]);
