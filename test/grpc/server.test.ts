import { afterEach, describe, expect, it } from 'vitest';
import { GrpcStatus, metadataValue } from '../../src/grpc/index.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import {
  data,
  FrameType,
  grpcMessage,
  grpcRequest,
  headers,
  RawHttp2Client,
  type ReceivedFrame,
  reset,
} from '../support/http2-frames.ts';
import { EchoCall, echoPath, startServer as start, type TestServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function startServer(...parameters: Parameters<typeof start>): Promise<TestServer> {
  const started = await start(...parameters);
  cleanUp.push(() => started.server.close());
  return started;
}

async function connect(...parameters: Parameters<typeof GrpcClient.connect>): Promise<GrpcClient> {
  const client = await GrpcClient.connect(...parameters);
  cleanUp.push(() => client.close());
  return client;
}

describe('a call', () => {
  it('hands over whole messages in order, and sends back answers and status', async () => {
    const { port, calls } = await startServer();
    const client = await connect({ port });
    const call = client.call(echoPath).send('one', '', 'three').end();
    expect(await call.done).toEqual({
      httpStatus: 200,
      status: GrpcStatus.OK,
      message: undefined,
      messages: ['one', '', 'three'].map((text) => Buffer.from(text)),
      rstCode: 0,
    });
    await calls[0]?.ended;
    expect(calls[0]?.told).toEqual(['one', '', 'three', 'half-closed', 'closed: ended']);
  });

  it('is given its header list and nothing of the connection but an address', async () => {
    const { port, calls } = await startServer();
    const client = await connect({ port });
    await client.call(echoPath, { 'x-one': 'a', 'x-two': ['b', 'c'] }).end().done;
    const { metadata = [], peerAddress } = calls[0]?.call ?? {};
    expect(metadataValue(metadata, 'x-one')).toBe('a');
    expect(metadata.filter((_, index) => metadata[index - 1] === 'x-two')).toEqual(['b', 'c']);
    expect(metadataValue(metadata, ':path')).toBe(echoPath);
    expect(metadataValue(metadata, 'x-none')).toBeUndefined();
    expect(peerAddress).toBe('127.0.0.1');
  });

  it('ends without a message in trailers alone, its text percent-encoded', async () => {
    const { port } = await startServer({}, (call) => {
      call.end(GrpcStatus.UNAVAILABLE, 'später: 100 %\n');
      return new EchoCall(call);
    });
    const client = await connect({ port });
    expect(await client.call(echoPath).end().done).toMatchObject({
      status: GrpcStatus.UNAVAILABLE,
      message: 'sp%C3%A4ter: 100 %25%0A',
      messages: [],
    });
  });

  it('may be reset by its client, 10,000 times on one connection', async () => {
    const { port, seen } = await startServer();
    const client = await greet(port);
    for (let round = 0; round < 100; round += 1) {
      const ids = Array.from({ length: 100 }, (_, index) => 1 + 2 * (round * 100 + index));
      client.send(...ids.flatMap((id) => [headers(id, grpcRequest(echoPath)), data(id, grpcMessage('x'))]));
      await client.until(isAnswer(ids.at(-1) ?? 0));
      client.frames.length = 0;
      client.send(...ids.map((id) => reset(id)));
    }
    client.send(headers(20_001, grpcRequest(echoPath)), data(20_001, grpcMessage('still there')));
    expect((await client.until(isAnswer(20_001))).payload.subarray(5).toString()).toBe('still there');
    expect(seen.filter((line) => line.endsWith(' reset'))).toHaveLength(10_000);
  });
});

async function greet(port: number): Promise<RawHttp2Client> {
  const client = await RawHttp2Client.greet({ port, host: '127.0.0.1' });
  cleanUp.push(() => client.socket.destroy());
  return client;
}

function isAnswer(streamId: number): (frame: ReceivedFrame) => boolean {
  return (frame) => frame.type === FrameType.DATA && frame.streamId === streamId;
}

describe('a request that is no call', () => {
  it.each([
    ['by another method', { ':method': 'PUT' }, { httpStatus: 405, status: undefined }],
    ['of another type', { 'content-type': 'application/json' }, { httpStatus: 415, status: undefined }],
    ['of gRPC-Web', { 'content-type': 'application/grpc-web+proto' }, { httpStatus: 415, status: undefined }],
    ['without a type', { 'content-type': '' }, { httpStatus: 415, status: undefined }],
    ['to a path that there is not', { ':path': '/no.Such/Thing' }, { httpStatus: 200, status: 12 }],
    ['to a path with a query', { ':path': `${echoPath}?x` }, { httpStatus: 200, status: 12 }],
  ])('%s is told so, and the next one is served', async (_, headers, expected) => {
    const { port, calls } = await startServer();
    const client = await connect({ port });
    expect(await client.call(echoPath, headers).send('x').end().done).toMatchObject(expected);
    expect(calls).toEqual([]);
    expect(await client.unary(echoPath, 'next')).toMatchObject({ status: 0 });
  });

  it.each(['application/grpc+proto', 'application/grpc;charset=utf-8', 'Application/gRPC'])(
    '%s is the type of one',
    async (type) => {
      const { port } = await startServer();
      const client = await connect({ port });
      expect(await client.call(echoPath, { 'content-type': type }).end().done).toMatchObject({ status: 0 });
    },
  );

  it('is not answered with a reset, whatever its body', async () => {
    const { port } = await startServer();
    const client = await greet(port);
    client.send(
      headers(1, grpcRequest('/no.Such/Thing')),
      data(1, Buffer.alloc(16_000)),
      data(1, Buffer.alloc(16_000), true),
    );
    await client.until(({ type, flags }) => type === FrameType.HEADERS && (flags & 1) === 1);
    client.send(headers(3, grpcRequest(echoPath)), data(3, grpcMessage('next')));
    await client.until(isAnswer(3));
    expect(client.count(({ type }) => type === FrameType.RST_STREAM)).toBe(0);
  });
});

describe('a message', () => {
  it.each([
    ['compressed', grpcMessage('x', 1), 12, 'compressed'],
    ['larger than allowed, by its prefix', grpcMessage('', 0, 1_000_001), 8, 'too-large'],
    ['with a flag that there is not', grpcMessage('x', 7), 13, 'malformed'],
  ])('%s ends its call alone', async (_, bytes, status, trouble) => {
    const { port, calls, seen } = await startServer();
    const client = await connect({ port });
    const other = client.call(echoPath).send('before');
    await other.received(1);
    const call = client.call(echoPath).send('good');
    call.stream.write(bytes);
    expect(await call.end().done).toMatchObject({ status, messages: [Buffer.from('good')] });
    expect(await calls[1]?.ended).toBe(trouble);
    expect(seen).toContainEqual(expect.stringContaining(`${trouble}: `));
    expect(await other.send('after').end().done).toMatchObject({ status: 0 });
  });

  it('that is cut off by the end of the stream ends its call as malformed', async () => {
    const { port, calls } = await startServer();
    const client = await connect({ port });
    const call = client.call(echoPath);
    call.stream.write(grpcMessage('half', 0, 10));
    expect(await call.end().done).toMatchObject({ status: GrpcStatus.INTERNAL });
    expect(calls[0]?.told).toEqual(['closed: malformed']);
  });

  it('in trouble ends its call with what the method wants', async () => {
    const { port } = await startServer({}, undefined, { statusOf: () => GrpcStatus.OK });
    const client = await connect({ port });
    const call = client.call(echoPath);
    call.stream.write(grpcMessage('x', 1));
    expect(await call.end().done).toMatchObject({ status: GrpcStatus.OK });
  });

  it('of 900 KB arrives whole, in many frames', async () => {
    const { port } = await startServer();
    const client = await connect({ port });
    const large = Buffer.from(Array.from({ length: 900_000 }, (_, index) => index % 251));
    expect((await client.unary(echoPath, large)).messages).toEqual([large]);
  });

  it('that its method fails on ends its call alone, and is told', async () => {
    class Failing extends EchoCall {
      override message(): void {
        throw new Error('a bug');
      }
    }
    const { port, seen } = await startServer({}, (call) => new Failing(call));
    const client = await connect({ port });
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: GrpcStatus.UNKNOWN });
    expect(seen).toContain('failed: a bug');
    expect(await client.unary('/grpc.health.v1.Health/Check')).toMatchObject({ status: 0 });
  });
});

describe('the end of a call', () => {
  it('is told once when the client resets it, and late answers have no effect', async () => {
    const { port, calls } = await startServer();
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await client.until(isAnswer(1));
    client.send(reset(1));
    expect(await calls[0]?.ended).toBe('reset');
    calls[0]?.call.send(Buffer.from('late'));
    calls[0]?.call.end(GrpcStatus.OK);
    calls[0]?.call.pause();
    calls[0]?.call.resume();
    client.send(headers(3, grpcRequest(echoPath)), data(3, grpcMessage('y')));
    await client.until(isAnswer(3));
    expect(calls[0]?.told).toEqual(['x', 'closed: reset']);
  });

  it('is told when the client half-closes and resets without an error, as Envoy 1.36 does', async () => {
    class Silent extends EchoCall {
      override halfClosed(): void {
        this.told.push('half-closed');
      }
    }
    const { port, calls } = await startServer({}, (call) => new Silent(call));
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await client.until(isAnswer(1));
    client.send(data(1, Buffer.alloc(0), true), reset(1, 0));
    expect(await calls[0]?.ended).toBe('reset');
    expect(calls[0]?.told.filter((line) => line.startsWith('closed'))).toHaveLength(1);
  });

  it('is told when the connection goes, of every call', async () => {
    const { port, calls, opened } = await startServer();
    const client = await greet(port);
    for (const id of [1, 3, 5]) client.send(headers(id, grpcRequest(echoPath)), data(id, grpcMessage('x')));
    await opened(3);
    client.socket.destroy();
    expect(await Promise.all(calls.map(({ ended }) => ended))).toEqual(['lost', 'lost', 'lost']);
  });

  it('is told of paused calls too', async () => {
    const { port, calls, opened } = await startServer({}, (call) => {
      call.pause();
      return new EchoCall(call);
    });
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await opened(1);
    client.send(data(1, grpcMessage('y'), true), reset(1, 0));
    expect(await calls[0]?.ended).toBe('reset');
    expect(calls[0]?.told).toEqual(['closed: reset']);
  });

  it('by the server leaves what the client still sends unread and the connection unharmed', async () => {
    const { port, calls } = await startServer({}, (call) => new EndingCall(call));
    const client = await greet(port);
    client.send(headers(1, grpcRequest(echoPath)), data(1, grpcMessage('x')));
    await client.until(isAnswer(1));
    for (let sent = 0; sent < 40; sent += 1) client.send(data(1, grpcMessage(Buffer.alloc(10_000))));
    client.send(data(1, Buffer.alloc(0), true));
    expect(await calls[0]?.ended).toBe('ended');
    expect(calls[0]?.told).toEqual(['x', 'closed: ended']);
    expect(client.count(({ type }) => type === FrameType.RST_STREAM)).toBe(0);
  });
});

class EndingCall extends EchoCall {
  override message(message: Buffer): void {
    super.message(message);
    this.call.end(GrpcStatus.OK);
  }
}

describe('a paused call', () => {
  it('is handed nothing until it resumes, and then everything in order', async () => {
    class Pausing extends EchoCall {
      override message(message: Buffer): void {
        super.message(message);
        if (message.toString() === 'pause') this.call.pause();
      }
    }
    const { port, calls } = await startServer({}, (call) => new Pausing(call));
    const client = await connect({ port });
    const call = client.call(echoPath);
    call.stream.end(Buffer.concat(['pause', 'one', 'pause', 'two'].map((text) => grpcMessage(text))));
    await call.received(1);
    expect(await client.unary('/grpc.health.v1.Health/Check')).toMatchObject({ status: 0 });
    expect(calls[0]?.told).toEqual(['pause']);
    calls[0]?.call.resume();
    expect(calls[0]?.told).toEqual(['pause', 'one', 'pause']);
    calls[0]?.call.resume();
    expect(await call.done).toMatchObject({ status: 0 });
    expect(calls[0]?.told).toEqual(['pause', 'one', 'pause', 'two', 'half-closed', 'closed: ended']);
  });

  it('closes the window of its stream and of no other', async () => {
    const { port, server } = await startServer({}, (call) => {
      if (metadataValue(call.metadata, 'x-pause') !== undefined) call.pause();
      return new EchoCall(call);
    });
    const client = await connect({ port });
    const paused = client.call(echoPath, { 'x-pause': 'yes' });
    for (let sent = 0; sent < 50; sent += 1) paused.send(Buffer.alloc(100_000));
    for (let asked = 0; asked < 20; asked += 1) {
      expect(await client.unary(echoPath, Buffer.alloc(100_000))).toMatchObject({ status: 0 });
    }
    expect(server.memory.heldBytes).toBeGreaterThan(0);
    expect(server.memory.heldBytes).toBeLessThan(600_000);
    expect(paused.stream.writableLength).toBeGreaterThan(4_000_000);
  });
});

describe('a client that does not read', () => {
  it('is asked for no more messages until it does, and then loses none', async () => {
    const { port, calls } = await startServer();
    const client = await connect({ port });
    const call = client.call(echoPath);
    call.stream.pause();
    const message = Buffer.alloc(50_000, 'm');
    for (let sent = 0; sent < 40; sent += 1) call.send(message);
    call.end();
    for (let asked = 0; asked < 20; asked += 1) await client.unary(echoPath);
    // What it takes without reading is its window, and as much again waits here.
    expect(calls[0]?.told.length).toBeLessThan(10);
    call.stream.resume();
    expect((await call.done).messages).toHaveLength(40);
  });

  it('is told of to who has more to send than it should hold', async () => {
    const pieces = 40;
    class Sending extends EchoCall {
      #sent = 0;
      override message(): void {
        this.#send();
      }
      drained(): void {
        this.told.push(`drained at ${this.call.unsentBytes}`);
        this.#send();
      }
      #send(): void {
        while (this.#sent < pieces && this.call.unsentBytes < 100_000) {
          this.call.send(Buffer.alloc(50_000));
          this.#sent += 1;
        }
        if (this.#sent === pieces) this.call.end(GrpcStatus.OK);
      }
    }
    const { port, calls, server } = await startServer({}, (call) => new Sending(call));
    const client = await connect({ port });
    const call = client.call(echoPath);
    call.stream.pause();
    call.send('all of it');
    for (let asked = 0; asked < 10; asked += 1) await client.unary('/grpc.health.v1.Health/Check');
    expect(calls[0]?.call.unsentBytes).toBeLessThan(200_000);
    expect(server.memory.heldBytes).toBeGreaterThan(calls[0]?.call.unsentBytes ?? 0);
    call.stream.resume();
    expect((await call.done).messages).toHaveLength(pieces);
    expect(calls[0]?.told).toContain('drained at 0');
    await expect.poll(() => server.memory.heldBytes, { timeout: 15_000 }).toBe(0);
  });
});
