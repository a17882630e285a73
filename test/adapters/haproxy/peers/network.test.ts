import { afterEach, describe, expect, it } from 'vitest';
import type { PeerNetworkOptions } from '../../../../src/adapters/haproxy/peers/network.ts';
import { type Action, encodeActions, encodeMessages } from '../../../../src/spop/index.ts';
import {
  type Answer,
  ask,
  echo,
  instanceOf,
  startNetwork,
  startServer,
  type TestNetwork,
  type TestServer,
} from '../../../support/peer-agents.ts';
import { SpopClient } from '../../../support/spop-client.ts';

const [A, B, C] = [instanceOf('a'), instanceOf('b'), instanceOf('c')];
const MESSAGE = encodeMessages([{ name: 'm', args: [] }]);
const SECRET = 'a secret of ours';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

async function server(instance: string, options?: Parameters<typeof startServer>[1]): Promise<TestServer> {
  const started = await startServer(instance, options);
  cleanUp.push(() => started.server.close());
  return started;
}

function network(
  instance: string,
  servers: readonly TestServer[],
  changes?: Partial<PeerNetworkOptions>,
): TestNetwork {
  const started = startNetwork(
    instance,
    servers.map(({ port }) => port),
    changes,
  );
  cleanUp.push(() => started.network.stop());
  return started;
}

/** Answers nothing until it is told to. */
function held(): { answer: Answer; release: () => void; asked: () => number } {
  const waiting: ((actions: Action[]) => void)[] = [];
  return {
    answer: () => new Promise((resolve) => waiting.push(resolve)),
    release: () => {
      for (const resolve of waiting.splice(0)) resolve(echo(B)(MESSAGE, 0, true) as Action[]);
    },
    asked: () => waiting.length,
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a relay', () => {
  it('is answered by the instance that it is for', async () => {
    const [b, c] = [await server(B), await server(C)];
    const { network: a, told } = network(A, [b, c]);
    await Promise.all([told.until(`linked ${B}`), told.until(`linked ${C}`)]);
    expect(await ask(a, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
    expect(await ask(a, C, MESSAGE)).toEqual({ by: C, asked: 'm' });
    expect(a.pending).toBe(0);
  });

  it('to an instance that nobody is gets nothing, at once', async () => {
    const { network: a, told } = network(A, [await server(B)]);
    await told.until('linked');
    expect([a.knows(B), a.knows(C)]).toEqual([true, false]);
    let answers = 0;
    a.relay(C, MESSAGE, 1000, 1000, (actions) => {
      expect(actions).toBeUndefined();
      answers += 1;
    });
    expect(answers).toBe(1);
  });

  it('leaves in one write with all others of a turn', async () => {
    const b = await server(B);
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    const answers = Array.from({ length: 100 }, () => ask(a, B, MESSAGE));
    expect(a.pending).toBe(100);
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, () => ({ by: B, asked: 'm' })));
  });

  it('tells the peer how much HAProxy can take, and drops what is more', async () => {
    const room: number[] = [];
    const tooMuch = encodeActions(echo(B)(MESSAGE, 0, true) as Action[]).length;
    const b = await server(B, {
      answer: (payload, maxActionsBytes, relayed) => {
        room.push(maxActionsBytes);
        return echo(B)(payload, maxActionsBytes, relayed);
      },
    });
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    expect(await ask(a, B, MESSAGE, 10_000, 4000)).toEqual({ by: B, asked: 'm' });
    expect(await ask(a, B, MESSAGE, 10_000, tooMuch - 1)).toBeUndefined();
    expect(room).toEqual([4000, 231]);
  });

  it('for which no time is left is not sent', async () => {
    let asked = 0;
    const answer: Answer = (payload, room, relayed) => {
      asked += 1;
      return echo(B)(payload, room, relayed);
    };
    const { network: a, told } = network(A, [await server(B, { answer })]);
    await told.until('linked');
    expect(await ask(a, B, MESSAGE, 0)).toBeUndefined();
    expect(await ask(a, B, MESSAGE, -1)).toBeUndefined();
    await ask(a, B, MESSAGE);
    expect(asked).toBe(1);
  });

  it('too large for the peer is not sent', async () => {
    const b = await server(B, { maxFrameSizeBytes: 256 });
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    expect(await ask(a, B, Buffer.alloc(300))).toBeUndefined();
    expect(await ask(a, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
  });

  it('that is not answered in time gets nothing, and the link goes on', async () => {
    const { answer, release, asked } = held();
    const b = await server(B, { answer });
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    const long = ask(a, B, MESSAGE, 10_000);
    const startedAtMs = performance.now();
    expect(await ask(a, B, MESSAGE, 30)).toBeUndefined();
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(29);
    await until(() => asked() === 2);
    // The late answer to the first has nobody to go to; the second is still waited for.
    release();
    expect(await long).toEqual({ by: B, asked: 'm' });
    expect(told.lines).toHaveLength(1);
  });

  it('gets nothing, once, when its link ends', async () => {
    const { answer, asked } = held();
    const b = await server(B, { answer });
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    let answers = 0;
    for (let count = 0; count < 50; count += 1) {
      a.relay(B, MESSAGE, 1000, 60_000, (actions) => {
        expect(actions).toBeUndefined();
        answers += 1;
      });
    }
    await until(() => asked() === 50);
    expect(answers).toBe(0);
    b.server.close();
    await told.until(`unlinked ${B}`);
    expect(answers).toBe(50);
    expect([a.knows(B), a.pending]).toEqual([false, 0]);
  });

  it('gets nothing, once, when we stop', async () => {
    const { answer } = held();
    const { network: a, told } = network(A, [await server(B, { answer })]);
    await told.until('linked');
    const answers = [ask(a, B, MESSAGE), ask(a, B, MESSAGE)];
    a.stop();
    expect(await Promise.all(answers)).toEqual([undefined, undefined]);
    expect(await ask(a, B, MESSAGE)).toBeUndefined();
  });
});

describe('a peer', () => {
  it('is told who relays to it, and HAProxy is not taken for one', async () => {
    const b = await server(B);
    network(A, [b]);
    await b.told.until(`hello of peer ${A}`);
    const haproxy = await SpopClient.connect({ port: b.port });
    cleanUp.push(() => haproxy.socket.destroy());
    await haproxy.hello();
    expect(b.told.lines).toContain('hello');
  });

  it('answers what is relayed knowing that it is, so that it never goes further', async () => {
    const seen: boolean[] = [];
    const answer: Answer = (payload, room, relayed) => {
      seen.push(relayed);
      return echo(B)(payload, room, relayed);
    };
    const b = await server(B, { answer });
    const { network: a, told } = network(A, [b]);
    await told.until('linked');
    await ask(a, B, MESSAGE);
    const haproxy = await SpopClient.connect({ port: b.port });
    cleanUp.push(() => haproxy.socket.destroy());
    await haproxy.hello();
    await haproxy.notify([]);
    expect(seen).toEqual([true, false]);
  });

  it('that is ourselves is dropped without a word, and not dialled again', async () => {
    const [a, b] = [await server(A), await server(B)];
    const { network: ours, told } = network(A, [a, b]);
    await Promise.all([told.until(`linked ${B}`), a.told.until('disconnected 0: self')]);
    // Each of these would cut a pause short.
    for (let round = 0; round < 3; round += 1) {
      const unlinked = told.next(`unlinked ${B}`);
      b.server.close();
      await unlinked;
      const linked = told.next(`linked ${B} at`);
      const again = await server(B, { port: b.port });
      ours.heardOf(B);
      await linked;
      b.server = again.server;
    }
    expect(ours.instances).toEqual([B]);
    expect(told.lines.filter((line) => line.includes(`:${a.port}`))).toEqual([]);
    expect(a.told.lines.filter((line) => line.startsWith('hello'))).toHaveLength(1);
  });

  it('that restarts is found again, under its new instance', async () => {
    const b = await server(B);
    const { network: a, told } = network(A, [b]);
    await told.until(`linked ${B}`);
    b.server.close();
    await told.until(`unlinked ${B}`);
    await server(C, { port: b.port });
    await told.until(`linked ${C}`);
    expect(a.instances).toEqual([C]);
    expect(await ask(a, C, MESSAGE)).toEqual({ by: C, asked: 'm' });
  });

  it('that comes up later is dialled as soon as it is heard of, however long the pause', async () => {
    const b = await server(B);
    b.server.close();
    const changes = { timings: { firstPauseMs: 60_000, longestPauseMs: 60_000 } };
    const { network: a, told } = network(A, [b], changes);
    await told.until('unreachable');
    await server(B, { port: b.port });
    a.heardOf(B);
    await told.until(`linked ${B}`);
  });

  it('that has two addresses is used as long as one of them is linked', async () => {
    const [first, second] = [await server(B), await server(B)];
    const { network: a, told } = network(A, [first, second]);
    await until(() => told.lines.length === 2);
    first.server.close();
    await told.until('unlinked');
    expect(await ask(a, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
  });
});

describe('a secret', () => {
  it('that both know lets messages through', async () => {
    const b = await server(B, { secret: SECRET });
    const { network: a, told } = network(A, [b], { secret: SECRET });
    await told.until(`linked ${B}`);
    expect(await ask(a, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
  });

  it.each([
    ['another', { secret: 'a secret of theirs' }, 'wrong-secret'],
    ['no', {}, 'wrong-secret'],
    ['no, as no peers,', { withoutPeers: true }, 'not-a-peer'],
  ])('of which the other side has %s keeps messages here', async (_, options, why) => {
    const b = await server(B, options);
    const { network: a, told } = network(A, [b], { secret: SECRET });
    expect(await told.until('not linked')).toContain(why);
    expect(a.knows(B)).toBe(false);
    expect(await ask(a, B, MESSAGE)).toBeUndefined();
    // All that went over the wire is the HELLO.
    expect(b.told.lines[0]).toBe(`hello of peer ${A}`);
  });

  it('of the other side alone keeps nothing from it', async () => {
    const b = await server(B, { secret: SECRET });
    const { told } = network(A, [b]);
    await told.until(`linked ${B}`);
  });
});
