// Clients that mean harm, and an honest one beside them that must not notice.
import { afterEach, describe, expect, it } from 'vitest';
import type { GrpcServerOptions } from '../../src/grpc/index.ts';
import { GrpcClient } from '../support/grpc-client.ts';
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
  preface,
  RawHttp2Client,
  type ReceivedFrame,
  reset,
  settings,
  uint32,
  windowUpdate,
} from '../support/http2-frames.ts';
import { EchoCall, echoPath, startServer, type TestServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const [protocolError, enhanceYourCalm] = [1, 11];
const request = grpcRequest(echoPath);
const oddIds = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, index) => 2 * (from + index) + 1);
const isAnswer = (streamId: number) => (frame: ReceivedFrame) =>
  frame.type === FrameType.DATA && frame.streamId === streamId;

interface Scene extends TestServer {
  readonly honest: GrpcClient;
  readonly hostile: RawHttp2Client;
}

/** A server, a hostile client after its preface, and an honest one. */
async function begin(
  changes: Partial<GrpcServerOptions> = {},
  echo?: Parameters<typeof startServer>[1],
): Promise<Scene> {
  const started = await startServer(changes, echo);
  cleanUp.push(() => started.server.close());
  const hostile = await RawHttp2Client.greet({ port: started.port, host: '127.0.0.1' });
  cleanUp.push(() => hostile.socket.destroy());
  const honest = await GrpcClient.connect({ port: started.port });
  cleanUp.push(() => honest.close());
  return { ...started, honest, hostile };
}

/** The honest client is served, and nothing is left of the other once it has gone. */
async function expectUnharmed({ honest, hostile, server }: Scene): Promise<void> {
  expect(await honest.unary(echoPath, 'honest')).toMatchObject({
    status: 0,
    messages: [Buffer.from('honest')],
  });
  hostile.socket.destroy();
  await expect.poll(() => server.connections, { timeout: 15_000 }).toBe(1);
  await expect.poll(() => server.calls, { timeout: 15_000 }).toBe(0);
  expect(server.memory.heldBytes).toBe(0);
}

describe('a flood of resets', () => {
  it('of streams without a message ends the connection with ENHANCE_YOUR_CALM', async () => {
    const scene = await begin({ maxConcurrentStreams: 4_000 });
    for (const id of oddIds(1_500)) scene.hostile.send(headers(id, request), reset(id));
    expect(await scene.hostile.goaway()).toBe(enhanceYourCalm);
    expect(scene.seen).toContainEqual(expect.stringContaining('streams are reset before a message'));
    await expectUnharmed(scene);
  });

  it('of streams without a message, one at a time, does too', async () => {
    const scene = await begin();
    for (let round = 0; round < 12 && !scene.hostile.isOver; round += 1) {
      const ids = oddIds(100, round * 100);
      scene.hostile.send(...ids.map((id) => headers(id, request)), ping());
      const acks = round + 1;
      const isAck = ({ type, flags }: ReceivedFrame): boolean => type === FrameType.PING && flags === 1;
      await expect
        .poll(() => scene.hostile.isOver || scene.hostile.count(isAck) === acks, { timeout: 15_000 })
        .toBe(true);
      scene.hostile.send(...ids.map((id) => reset(id)));
    }
    expect(await scene.hostile.goaway()).toBe(enhanceYourCalm);
    await expectUnharmed(scene);
  });

  it('of few streams without a message is nothing', async () => {
    const scene = await begin();
    for (const id of oddIds(900)) scene.hostile.send(headers(id, request), reset(id));
    scene.hostile.send(headers(2_001, request), data(2_001, grpcMessage('x')));
    await scene.hostile.until(isAnswer(2_001));
    await expectUnharmed(scene);
  });

  it('of streams whose answers are due opens no more calls than may be under way', async () => {
    class Slow extends EchoCall {
      override message(message: Buffer): void {
        this.told.push(message.toString());
      }
    }
    const startedMs = performance.now();
    const scene = await begin({ maxConcurrentStreams: 50 }, (call) => new Slow(call));
    for (let round = 0; round < 10; round += 1) {
      const ids = oddIds(40, round * 40);
      scene.hostile.send(...ids.flatMap((id) => [headers(id, request), data(id, grpcMessage('x'))]), ping());
      const acks = round + 1;
      const isAck = ({ type, flags }: ReceivedFrame): boolean => type === FrameType.PING && flags === 1;
      await expect.poll(() => scene.hostile.count(isAck), { timeout: 15_000 }).toBe(acks);
      scene.hostile.send(...ids.map((id) => reset(id)));
    }
    // 50 at once, and as many again for every second that this took; Node itself refuses some of the others.
    const busy = scene.seen.filter((line) => line.startsWith('busy: ')).length;
    const tookSeconds = (performance.now() - startedMs) / 1_000;
    expect(busy).toBeGreaterThan(0);
    expect(scene.calls.length).toBeGreaterThanOrEqual(40);
    expect(scene.calls.length).toBeLessThanOrEqual(51 + 50 * tookSeconds);
    expect(scene.hostile.isOver).toBe(false);
  });
});

describe('a flood of calls that are none', () => {
  it.each([
    ['to a path that there is not', (id: number) => [headers(id, grpcRequest('/no.Such/Method'), true)]],
    ['by GET', (id: number) => [headers(id, [[':method', 'GET'], ...request.slice(1)], true)]],
    [
      'with a flag that there is not',
      (id: number) => [headers(id, request), data(id, grpcMessage('x', 9), true)],
    ],
    ['that are compressed', (id: number) => [headers(id, request), data(id, grpcMessage('x', 1), true)]],
  ])('%s ends the connection', async (_, of) => {
    const scene = await begin();
    scene.hostile.send(...oddIds(900).flatMap(of), ping());
    const pings = (): number => scene.hostile.count(({ type }) => type === FrameType.PING);
    await expect.poll(pings, { timeout: 15_000 }).toBe(1);
    for (const id of oddIds(600, 900)) scene.hostile.send(...of(id));
    expect(await scene.hostile.goaway()).toBe(enhanceYourCalm);
    expect(scene.seen).toContainEqual(expect.stringContaining('protocol error: too often, '));
    await expectUnharmed(scene);
  });
});

describe('a message that never ends', () => {
  it('is given up for others when all together hold too much', async () => {
    const scene = await begin({ maxHeldBytes: 3_000_000, maxConcurrentStreams: 100 });
    const half = Buffer.alloc(16_000);
    for (const id of oddIds(60)) {
      scene.hostile.send(headers(id, request), data(id, grpcMessage(half, 0, 900_000)));
      for (let sent = 0; sent < 5; sent += 1) scene.hostile.send(data(id, half));
    }
    await expect
      .poll(() => scene.seen.filter((line) => line.startsWith('memory: ')).length)
      .toBeGreaterThan(10);
    expect(scene.server.memory.heldBytes).toBeLessThanOrEqual(3_000_000);
    const large = Buffer.alloc(800_000, 'h');
    expect((await scene.honest.unary(echoPath, large)).messages).toEqual([large]);
    expect(await scene.calls[0]?.ended).toBe('memory');
    await expectUnharmed(scene);
  });

  it('or that never begins ends its call after a while', async () => {
    const scene = await begin({ helloTimeoutMs: 100 });
    scene.hostile.send(headers(1, request), data(1, grpcMessage('x', 0, 10)), headers(3, request));
    await scene.opened(2);
    expect(await Promise.all(scene.calls.map(({ ended }) => ended))).toEqual(['silent', 'silent']);
    await expectUnharmed(scene);
  });
});

describe('answers that nobody reads', () => {
  it('are counted, and given up for others when all together are too many', async () => {
    const scene = await begin({ maxHeldBytes: 2_000_000 });
    scene.hostile.socket.pause();
    const messages = Buffer.concat(Array.from({ length: 30 }, () => grpcMessage(Buffer.alloc(500))));
    // More than socket buffers take.
    for (const id of oddIds(900)) scene.hostile.send(headers(id, request), data(id, messages));
    await expect
      .poll(() => scene.seen.filter((line) => line.startsWith('memory: ')).length, { timeout: 15_000 })
      .toBeGreaterThan(100);
    expect(scene.server.memory.heldBytes).toBeLessThanOrEqual(2_000_000);
    await expectUnharmed(scene);
  });

  it('of calls that were ended are counted until they have left', async () => {
    const scene = await begin();
    scene.hostile.socket.pause();
    const messages = Buffer.concat(Array.from({ length: 30 }, () => grpcMessage(Buffer.alloc(500))));
    for (const id of oddIds(900)) scene.hostile.send(headers(id, request), data(id, messages, true));
    await expect.poll(() => scene.calls.at(-1)?.told.at(-1), { timeout: 15_000 }).toBe('half-closed');
    expect(scene.calls).toHaveLength(900);
    expect(scene.server.memory.heldBytes).toBeGreaterThan(1_000_000);
    scene.hostile.socket.resume();
    scene.hostile.send(windowUpdate(0, 2 ** 30));
    await expect.poll(() => scene.server.memory.heldBytes, { timeout: 15_000 }).toBe(0);
    await expectUnharmed(scene);
  });
});

describe('very many calls', () => {
  it('leave others their share of what the server may have', async () => {
    const scene = await begin({ maxCalls: 20, maxConcurrentStreams: 1_000 });
    for (const id of oddIds(100)) scene.hostile.send(headers(id, request), data(id, grpcMessage('x')));
    await expect
      .poll(() => scene.seen.filter((line) => line.startsWith('busy: ')).length, { timeout: 15_000 })
      .toBe(80);
    const own = Array.from({ length: 10 }, () => scene.honest.call(echoPath).send('x'));
    await Promise.all(own.map((call) => call.received(1)));
    await Promise.all(own.map((call) => call.end().done));
    expect(await scene.honest.unary('/grpc.health.v1.Health/Check')).toMatchObject({ status: 0 });
    await expectUnharmed(scene);
  });

  it('of one connection beyond what SETTINGS allow end it', async () => {
    const scene = await begin({ maxConcurrentStreams: 10 });
    for (const id of oddIds(11)) scene.hostile.send(headers(id, request), data(id, grpcMessage('x')));
    expect(await scene.hostile.goaway()).toBe(protocolError);
    await expectUnharmed(scene);
  });

  it('that were opened and reset while this process stood still are no reason to end a connection', async () => {
    const scene = await begin();
    for (let round = 0; round < 5; round += 1) {
      const ids = oddIds(2_000, round * 2_000);
      const parts = ids.flatMap((id) => [headers(id, request), data(id, grpcMessage('x')), reset(id, 8)]);
      scene.hostile.send(...parts);
    }
    scene.hostile.send(headers(20_001, request), data(20_001, grpcMessage('x')), ping());
    const pings = (): number => scene.hostile.count(({ type }) => type === FrameType.PING);
    await expect.poll(pings, { timeout: 15_000 }).toBe(1);
    scene.hostile.send(headers(20_003, request), data(20_003, grpcMessage('still there')));
    await scene.hostile.until(isAnswer(20_003));
    await expectUnharmed(scene);
  });
});

describe('a header list', () => {
  const bigField = (index: number): [string, string] => [`x-${index}`, 'v'.repeat(1_000)];

  it('larger than SETTINGS allow does not become a call', async () => {
    const scene = await begin();
    const list = [...request, ...Array.from({ length: 15 }, (_, index) => bigField(index))];
    const larger = [...list, ...Array.from({ length: 3 }, (_, index) => bigField(index + 100))];
    scene.hostile.send(headers(1, list), data(1, grpcMessage('x')));
    await scene.hostile.until(isAnswer(1));
    const block = headerBlock(larger);
    scene.hostile.send(
      frame(FrameType.HEADERS, 0, 3, block.subarray(0, 16_000)),
      frame(FrameType.CONTINUATION, FrameFlag.END_HEADERS, 3, block.subarray(16_000)),
    );
    await scene.hostile.until(({ type, streamId }) => type === FrameType.RST_STREAM && streamId === 3);
    expect(scene.calls).toHaveLength(1);
    await expectUnharmed(scene);
  });

  it('that is small on the wire and large when read is not kept', async () => {
    const scene = await begin();
    const filled = Buffer.concat([headerBlock(request), indexedBlock('x-bomb', 'b'.repeat(3_900))]);
    scene.hostile.send(frame(FrameType.HEADERS, FrameFlag.END_HEADERS, 1, filled));
    await scene.opened(1);
    // A byte for each 4 KB: 16,000 of them are 62 MB.
    const bomb = Buffer.concat([headerBlock(request), Buffer.alloc(16_000, 0x80 | 62)]);
    const before = process.memoryUsage().rss;
    for (const id of oddIds(20, 1))
      scene.hostile.send(frame(FrameType.HEADERS, FrameFlag.END_HEADERS, id, bomb));
    scene.hostile.send(ping());
    await expect
      .poll(() => scene.hostile.isOver || scene.hostile.count(({ type }) => type === FrameType.PING) > 0, {
        timeout: 15_000,
      })
      .toBe(true);
    expect(scene.calls).toHaveLength(1);
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
    await expectUnharmed(scene);
  });

  it('that goes on for ever ends the connection', async () => {
    const scene = await begin();
    scene.hostile.send(frame(FrameType.HEADERS, 0, 1, headerBlock(request)));
    const more = frame(FrameType.CONTINUATION, 0, 1, headerBlock([['x-more', 'and more']]));
    for (let sent = 0; sent < 10_000 && !scene.hostile.isOver; sent += 100) {
      scene.hostile.send(...Array.from({ length: 100 }, () => more));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await scene.hostile.closed;
    expect(scene.calls).toEqual([]);
    await expectUnharmed(scene);
  });
});

describe('a flood of', () => {
  /** A client that reads nothing of what comes back. */
  async function flood(scene: Scene, unit: Buffer): Promise<void> {
    scene.hostile.socket.pause();
    const burst = Buffer.concat(Array.from({ length: 2_000 }, () => unit));
    for (let sent = 0; sent < 60 && !scene.hostile.isOver; sent += 1) {
      scene.hostile.send(burst);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it.each([
    ['SETTINGS', settings([4, 70_000])],
    ['PING', ping()],
    ['WINDOW_UPDATE', windowUpdate(0, 1)],
    ['PRIORITY', frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(5))],
    ['resets of a stream that there is not', reset(1)],
    ['unknown frames', frame(99, 0, 0, Buffer.alloc(4))],
  ])('%s is bounded, and the honest client served meanwhile', async (_, unit) => {
    const scene = await begin();
    const before = process.memoryUsage().rss;
    const flooding = flood(scene, unit);
    for (let asked = 0; asked < 20; asked += 1) {
      expect(await scene.honest.unary(echoPath, 'meanwhile')).toMatchObject({ status: 0 });
    }
    await flooding;
    expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000);
    await expectUnharmed(scene);
  });

  it('empty DATA ends the connection', async () => {
    const scene = await begin();
    scene.hostile.send(headers(1, request));
    const empty = Buffer.concat(Array.from({ length: 2_000 }, () => data(1, Buffer.alloc(0))));
    scene.hostile.send(empty);
    await scene.hostile.closed;
    await expectUnharmed(scene);
  });
});

describe('a connection on which no HTTP/2 is spoken', () => {
  it.each([
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['a half preface and other bytes', Buffer.concat([preface.subarray(0, 10), Buffer.alloc(64, 'x')])],
    ['a DATA frame before any stream', Buffer.concat([preface, settings(), data(1, Buffer.from('x'))])],
    [
      'a frame larger than agreed on',
      Buffer.concat([preface, settings(), frame(0, 0, 1, Buffer.alloc(0), 70_000)]),
    ],
    ['SETTINGS of an odd size', Buffer.concat([preface, frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(7))])],
    ['a window that overflows', Buffer.concat([preface, settings(), windowUpdate(0, 2 ** 31 - 1)])],
    ['HPACK that is none', Buffer.concat([preface, settings(), frame(1, 4, 1, Buffer.alloc(8, 0xff))])],
    ['a stream of the server', Buffer.concat([preface, settings(), headers(2, request)])],
    ['DATA for the connection', Buffer.concat([preface, settings(), frame(0, 0, 0, uint32(1))])],
  ])('but %s is ended', async (_, bytes) => {
    const scene = await begin();
    const client = await RawHttp2Client.connect({ port: scene.port, host: '127.0.0.1' });
    client.send(bytes);
    await client.closed;
    expect(scene.seen).toContainEqual(expect.stringContaining('protocol error'));
    await expectUnharmed(scene);
  });

  it('but nothing is, is ended in time', async () => {
    const scene = await begin({ helloTimeoutMs: 200 });
    const silent = await RawHttp2Client.connect({ port: scene.port, host: '127.0.0.1' });
    await silent.closed;
    expect(scene.seen).toContain('timed out: hello');
    await expectUnharmed(scene);
  });
});
