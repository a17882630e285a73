// How connections end: by drain, by age, by silence. Nothing that was begun is lost.
import { afterEach, describe, expect, it } from 'vitest';
import { type GrpcServerOptions, healthCheckPath, healthWatchPath } from '../../src/grpc/index.ts';
import { selfSignedIdentity } from '../../src/net/self-signed.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import {
  data,
  FrameType,
  grpcMessage,
  grpcRequest,
  headers,
  RawHttp2Client,
  type ReceivedFrame,
} from '../support/http2-frames.ts';
import { echoPath, startServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start(changes: Partial<GrpcServerOptions> = {}) {
  const started = await startServer(changes);
  cleanUp.push(() => started.server.close());
  return started;
}

async function connect(port: number): Promise<GrpcClient> {
  const client = await GrpcClient.connect({ port });
  cleanUp.push(() => client.close());
  return client;
}

async function greet(port: number): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.greet({ port, host: '127.0.0.1' });
  cleanUp.push(() => client.socket.destroy());
  return client;
}

const isGoaway = ({ type }: ReceivedFrame): boolean => type === FrameType.GOAWAY;
const isAnswer = (streamId: number) => (frame: ReceivedFrame) =>
  frame.type === FrameType.DATA && frame.streamId === streamId;
/** The last stream-id of each GOAWAY. */
const lastStreams = (client: RawHttp2Client): number[] =>
  client.frames.filter(isGoaway).map(({ payload }) => payload.readUInt32BE(0));

describe('a goodbye', () => {
  it('names the last stream, serves those before it, and leaves alone those that cross it', async () => {
    const { port, server, calls } = await start();
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('before')));
    await client.until(isAnswer(1));
    const drained = server.drain(0, 60_000);
    await client.until(isGoaway);
    // Our client has not read it yet.
    client.send(headers(3, grpcRequest(echoPath)), data(3, grpcMessage('crossed')));
    client.send(data(1, grpcMessage('still')), data(1, Buffer.alloc(0), true));
    await drained;
    expect(lastStreams(client).every((id) => id === 1)).toBe(true);
    expect(await client.goaway()).toBe(0);
    expect(calls.map(({ told }) => told)).toEqual([['before', 'still', 'half-closed', 'closed: ended']]);
  });

  it('over TLS, with answers under way, ends no process', async () => {
    const tls = selfSignedIdentity();
    const { port, server } = await start({ tls });
    const client = await GrpcClient.connect(
      { port },
      { tls: true, ca: tls.certificate, servername: 'localhost' },
    );
    cleanUp.push(() => client.close());
    const calls = Array.from({ length: 50 }, () => client.call(echoPath).send(Buffer.alloc(20_000)));
    await calls[0]?.received(1);
    const drained = server.drain(0, 60_000);
    for (const call of calls) call.end();
    expect((await Promise.all(calls.map(({ done }) => done))).map(({ status }) => status)).toEqual(
      Array(50).fill(0),
    );
    await drained;
  });
});

describe('a drain', () => {
  it('fails health checks at once and serves calls on until its grace is over', async () => {
    const { port, server } = await start();
    const client = await connect(port);
    const watch = client.call(healthWatchPath).send('');
    await watch.received(1);
    const startedMs = performance.now();
    const drained = server.drain(300, 60_000);
    await watch.received(2);
    expect((await client.unary(healthCheckPath)).messages).toEqual([Buffer.from([8, 2])]);
    const late = await connect(port);
    expect(await late.unary(echoPath, 'x')).toMatchObject({ status: 0 });
    expect(client.goaways).toEqual([]);
    await drained;
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(299);
    // A watch would last for ever.
    expect(await watch.done).toMatchObject({ status: 14 });
  });

  it('waits for calls under way', async () => {
    const { port, server } = await start();
    const client = await connect(port);
    const call = client.call(echoPath).send('one');
    await call.received(1);
    const drained = server.drain(0, 60_000);
    await expect.poll(() => client.goaways.length, { timeout: 15_000 }).toBeGreaterThan(0);
    expect(await call.send('two').end().done).toMatchObject({ status: 0, messages: [{}, {}] });
    await drained;
    expect(server.connections).toBe(0);
  });

  it('does not wait for clients that have their status and leave their side open', async () => {
    const { port, server } = await start({ helloTimeoutMs: 200 });
    const client = await greet(port);
    client.send(headers(1, grpcRequest(healthWatchPath)), data(1, grpcMessage('')));
    await client.until(isAnswer(1));
    await server.drain(0, 60_000);
    expect(client.count(({ type, streamId }) => type === FrameType.HEADERS && streamId === 1)).toBe(2);
    expect(client.count(({ type, streamId }) => type === FrameType.RST_STREAM && streamId === 1)).toBe(1);
  });

  it('ends what is left at its deadline', async () => {
    const { port, server, calls, opened } = await start();
    const client = await connect(port);
    client.call(echoPath).send('one');
    await opened(1);
    await server.drain(0, 200);
    await client.closed;
    expect(await calls[0]?.ended).toBe('lost');
    expect({ calls: server.calls, connections: server.connections }).toEqual({ calls: 0, connections: 0 });
  });

  it('needs no time where nobody ever connected', async () => {
    const { server } = await start();
    await server.drain(3_600_000, 3_600_000);
  });

  it('takes nobody new once the goodbyes are said', async () => {
    const { port, server } = await start();
    const client = await connect(port);
    const call = client.call(echoPath).send('one');
    await call.received(1);
    const drained = server.drain(0, 60_000);
    await expect.poll(() => client.goaways.length, { timeout: 15_000 }).toBeGreaterThan(0);
    await expect(RawHttp2Client.connect({ port, host: '127.0.0.1' })).rejects.toThrow('ECONNREFUSED');
    call.end();
    await drained;
  });
});

describe('a connection', () => {
  it('of a certain age that is never without a call is said goodbye to a little later', async () => {
    const { port } = await start({ maxConnectionAgeMs: 300 });
    const client = await connect(port);
    const call = client.call(echoPath).send('one');
    await call.received(1);
    const startedMs = performance.now();
    await expect.poll(() => client.goaways.length, { timeout: 15_000, interval: 5 }).toBeGreaterThan(0);
    expect(performance.now() - startedMs).toBeGreaterThan(200);
    await call.end().done;
    await client.closed;
  });

  it('of a certain age is said goodbye to, and its calls go on', async () => {
    const { port } = await start({ maxConnectionAgeMs: 100 });
    const client = await connect(port);
    const call = client.call(echoPath).send('one');
    await expect.poll(() => client.goaways.length, { timeout: 15_000 }).toBeGreaterThan(0);
    expect(await call.send('two').end().done).toMatchObject({ status: 0, messages: [{}, {}] });
    await client.closed;
    expect(await (await connect(port)).unary(echoPath, 'x')).toMatchObject({ status: 0 });
  });

  it('without a call is said goodbye to after a while', async () => {
    const { port } = await start({ idleTimeoutMs: 100 });
    const client = await connect(port);
    await client.unary(echoPath, 'x');
    await client.closed;
    expect(client.goaways.every((code) => code === 0)).toBe(true);
  });

  it('with a silent call stays, as long as its client answers PINGs', async () => {
    const { port } = await start({ idleTimeoutMs: 50, helloTimeoutMs: 50 });
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await client.until(isAnswer(1));
    await expect
      .poll(() => client.count(({ type, flags }) => type === FrameType.PING && flags === 0), {
        timeout: 15_000,
      })
      .toBeGreaterThan(3);
    client.send(data(1, grpcMessage('y'), true));
    await client.until(({ type, flags }) => type === FrameType.HEADERS && (flags & 1) === 1);
  });

  it('with a silent call ends when its client answers no PING', async () => {
    const { port, calls, seen } = await start({ idleTimeoutMs: 50, helloTimeoutMs: 50 });
    const client = await greet(port);
    client.isPolite = false;
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await client.closed;
    expect(await calls[0]?.ended).toBe('lost');
    expect(seen).toContain('timed out: idle');
  });

  it('whose client stays after the end is closed all the same', async () => {
    const { port, server } = await start({ idleTimeoutMs: 50 });
    const client = await RawHttp2Client.greet({ port, host: '127.0.0.1', allowHalfOpen: true });
    cleanUp.push(() => client.socket.destroy());
    await client.until((frame) => isGoaway(frame));
    await expect.poll(() => server.connections, { timeout: 15_000 }).toBe(0);
  });
});
