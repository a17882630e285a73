import { afterEach, describe, expect, it } from 'vitest';
import { GrpcStatus, metadataValue } from '../../src/grpc/index.ts';
import { GrpcClient } from '../support/grpc-client.ts';
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

  it('serves on after 10,000 resets of calls that were answered', async () => {
    const { port, seen } = await startServer();
    const client = await connect({ port });
    for (let round = 0; round < 100; round += 1) {
      const calls = Array.from({ length: 100 }, () => client.call(echoPath).send('x'));
      await Promise.all(
        calls.map(async (call) => {
          await call.received(1);
          call.stream.close(2);
          await call.done;
        }),
      );
    }
    expect(await client.unary(echoPath, 'still there')).toMatchObject({ status: 0 });
    expect(client.goaways).toEqual([]);
    expect(seen.filter((line) => line.endsWith(' reset'))).toHaveLength(10_000);
  });
});
