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
      await Promise.all(ids.map((id) => client.until(isAnswer(id))));
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
