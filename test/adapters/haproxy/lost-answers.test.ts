// HAProxy gave up on a message. Up to 3.0 its next message for the same stream has the same ids, and the next ACK with
// these ids is taken for the answer to it.
import { afterEach, describe, expect, it } from 'vitest';
import type { Notify, NotifyAnswer, NotifyAnswerer } from '../../../src/adapters/haproxy/notify.ts';
import { SpopServer } from '../../../src/adapters/haproxy/server.ts';
import { text } from '../../../src/adapters/haproxy/set-var.ts';
import { encodeNotify, type HaproxyHello } from '../../../src/spop/index.ts';
import { variablesOf } from '../../support/spoe-messages.ts';
import { SpopClient } from '../../support/spop-client.ts';

interface Asked {
  readonly notify: Notify;
  answer(answer: NotifyAnswer): void;
}

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

async function setUp(hello: Partial<HaproxyHello> = {}, maxFramesInFlight = 32) {
  const asked: Asked[] = [];
  const answerer: NotifyAnswerer = {
    answer: (notify, done) => void asked.push({ notify, answer: (given) => done(given) }),
  };
  const wrong: unknown[] = [];
  const options = { maxFrameSizeBytes: 65_536, maxFramesInFlight, maxConnections: 10 };
  const timeouts = { helloTimeoutMs: 60_000, idleTimeoutMs: 60_000 };
  const server = new SpopServer({ ...options, ...timeouts }, answerer, {
    protocolError: (error) => wrong.push(error),
    frameFailed: (cause) => wrong.push(cause),
  });
  const where = await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUp.push(() => server.close());
  const client = await SpopClient.connect({ port: Number(where.split(':').at(-1)) });
  cleanUp.push(() => client.socket.destroy());
  await client.hello(hello);
  const send = async (streamId: number): Promise<Asked> => {
    const before = asked.length;
    client.write(encodeNotify(streamId, 1, []));
    while (asked.length === before) await nextTurn();
    const last = asked.at(-1);
    if (last === undefined) throw new Error('nothing was asked');
    return last;
  };
  return { server, client, asked, wrong, send };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const says = (what: string) => [text('answer', what)];

/** What the client got up to now, once the server has answered one more message. */
async function answersOf({ client, send }: Awaited<ReturnType<typeof setUp>>): Promise<unknown[]> {
  const ack = client.ackOf(99, 1);
  (await send(99)).answer(says('the end'));
  await ack;
  return client.frames.flatMap((frame) =>
    frame.kind === 'ack' ? [variablesOf(frame.actions)['answer']] : [],
  );
}

describe('the answer to a message that was replaced by another with its ids', () => {
  it.each([
    ['before the newer is answered', ['older', 'newer']],
    ['after it', ['newer', 'older']],
  ])('is never sent, when it comes %s', async (_when, order) => {
    const scene = await setUp();
    const given: Record<string, Asked> = { older: await scene.send(1), newer: await scene.send(1) };
    for (const which of order) given[which]?.answer(says(which));
    expect(await answersOf(scene)).toEqual(['newer', 'the end']);
    expect(scene.wrong).toEqual([]);
    expect(scene.server.inFlight).toBe(0);
  });

  it('goes unsent for a hundred of them, and the work that they are still counts as under way', async () => {
    const scene = await setUp({}, 8);
    for (let round = 0; round < 7; round += 1) await scene.send(1);
    const last = await scene.send(1);
    // Eight are under analysis: what comes now is not read before one of them is done.
    scene.client.write(encodeNotify(2, 1, []));
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    expect([scene.asked.length, scene.server.inFlight]).toEqual([8, 1]);
    scene.asked[0]?.answer(says('older'));
    while (scene.asked.length < 9) await nextTurn();
    for (const one of scene.asked.slice(1, 7)) one.answer(says('older'));
    scene.asked[8]?.answer(says('other'));
    last.answer(says('newest'));
    expect(await answersOf(scene)).toEqual(['other', 'newest', 'the end']);
  });
});

describe('an answer that comes too late', () => {
  it('is not sent, and the connection owes nothing and can drain', async () => {
    const scene = await setUp();
    (await scene.send(1)).answer('late');
    expect(scene.server.inFlight).toBe(0);
    const goodbye = scene.client.goodbye();
    await scene.server.drain(0, 20_000);
    expect((await goodbye).status).toBe(0);
    expect(scene.client.frames.map(({ kind }) => kind)).toEqual(['agent-hello', 'agent-disconnect']);
  });

  it('may be told from others only where HAProxy goes on without it', async () => {
    const pipelined = await (await setUp()).send(1);
    const oneAtATime = await (await setUp({ capabilities: [] })).send(1);
    const peer = { instance: '0'.repeat(16), nonce: '0'.repeat(32) };
    const fromPeer = await (await setUp({ peer })).send(1);
    const mayBeLate = [pipelined, oneAtATime, fromPeer].map(({ notify }) => notify.mayBeLate);
    expect(mayBeLate).toEqual([true, false, false]);
  });
});
