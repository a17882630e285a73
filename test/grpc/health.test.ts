import { afterEach, describe, expect, it } from 'vitest';
import { healthCheckPath, healthWatchPath } from '../../src/grpc/index.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { startServer } from './support.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function start() {
  const { server, port } = await startServer({ services: ['test.Echo', 'test.Other'] });
  cleanUp.push(() => server.close());
  const client = await GrpcClient.connect({ port });
  cleanUp.push(() => client.close());
  return { server, client };
}

/** HealthCheckRequest. */
function request(service: string): Buffer {
  const name = Buffer.from(service);
  return service === '' ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

const [serving, notServing, serviceUnknown] = [1, 2, 3].map((status) => Buffer.from([8, status]));

describe('a health check', () => {
  it('of the server, and of each service by its name, says SERVING', async () => {
    const { client } = await start();
    for (const service of ['', 'test.Echo', 'test.Other']) {
      const { status, messages } = await client.unary(healthCheckPath, request(service));
      expect({ status, messages }).toEqual({ status: 0, messages: [serving] });
    }
  });

  it('says NOT_SERVING of a service that is switched off, and of that alone', async () => {
    const { client, server } = await start();
    server.health.setServing(false, 'test.Echo');
    const asked = ['', 'test.Echo', 'test.Other'].map((name) => client.unary(healthCheckPath, request(name)));
    const answers = (await Promise.all(asked)).map(({ messages }) => messages[0]);
    expect(answers).toEqual([serving, notServing, serving]);
  });

  it('says NOT_SERVING of all when the server is switched off, and SERVING again', async () => {
    const { client, server } = await start();
    server.health.setServing(false);
    expect((await client.unary(healthCheckPath, request('test.Other'))).messages).toEqual([notServing]);
    server.health.setServing(true);
    expect((await client.unary(healthCheckPath)).messages).toEqual([serving]);
  });

  it.each([
    ['an unknown service', request('test.None'), 5],
    ['a string that is longer than the message', Buffer.from([0x0a, 5, 0x61]), 3],
    ['a varint without an end', Buffer.alloc(20, 0xff), 3],
    ['field 0', Buffer.from([0x02, 0]), 3],
    ['a group', Buffer.from([0x0b]), 3],
  ])('of %s ends with a status of its own', async (_, message, status) => {
    const { client } = await start();
    expect(await client.unary(healthCheckPath, message)).toMatchObject({ status, messages: [] });
  });

  it('passes over fields that it does not know', async () => {
    const { client } = await start();
    const unknown = Buffer.from([0x10, 0x96, 1, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x32, 1, 0]);
    const message = Buffer.concat([unknown, request('test.Echo'), unknown]);
    expect((await client.unary(healthCheckPath, message)).messages).toEqual([serving]);
  });

  it('without a message ends with INVALID_ARGUMENT', async () => {
    const { client } = await start();
    expect(await client.call(healthCheckPath).end().done).toMatchObject({ status: 3 });
  });
});

describe('a watch', () => {
  it('tells what is, and every change once, until its client ends', async () => {
    const { client, server } = await start();
    const watch = client.call(healthWatchPath).send(request('test.Echo')).end();
    await watch.received(1);
    server.health.setServing(false, 'test.Other');
    server.health.setServing(false);
    server.health.setServing(false, 'test.Echo');
    await watch.received(2);
    server.health.setServing(true);
    expect(await watch.received(3)).toEqual([serving, notServing, serving]);
    watch.stream.close(8);
    await watch.done;
  });

  it('of an unknown service says so and goes on', async () => {
    const { client, server } = await start();
    const watch = client.call(healthWatchPath).send(request('test.Later'));
    await watch.received(1);
    server.health.setServing(true, 'test.Later');
    expect(await watch.received(2)).toEqual([serviceUnknown, serving]);
  });

  it('with a second message ends with INVALID_ARGUMENT', async () => {
    const { client } = await start();
    const watch = client.call(healthWatchPath).send(request(''), request(''));
    expect(await watch.done).toMatchObject({ status: 3, messages: [serving] });
  });
});
