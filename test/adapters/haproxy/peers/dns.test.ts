/** Which addresses are dialled, and when. The resolver is given, for no test can rely on a DNS; all else is real. */
import { afterEach, describe, expect, it } from 'vitest';
import { encodeMessages } from '../../../../src/spop/index.ts';
import { ask, instanceOf, startNetwork, startServer, type TestServer } from '../../../support/peer-agents.ts';

const [A, B, C] = [instanceOf('a'), instanceOf('b'), instanceOf('c')];
const MESSAGE = encodeMessages([{ name: 'm', args: [] }]);

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

/** Two servers on one port of two addresses, as behind one name. */
async function twoOnOnePort(): Promise<{ port: number; b: TestServer; c: TestServer }> {
  const b = await startServer(B);
  const c = await startServer(C, { port: b.port, host: '127.0.0.2' });
  cleanUp.push(
    () => b.server.close(),
    () => c.server.close(),
  );
  return { port: b.port, b, c };
}

/** A network with one name, and what the name stands for. */
function named(port: number, names: { addresses: readonly string[] | Error }, resolveMs = 5, heardOfMs = 1) {
  let asked = 0;
  const started = startNetwork(A, [], {
    peers: [{ host: 'agents.test', port }],
    resolve: async (host) => {
      expect(host).toBe('agents.test');
      asked += 1;
      if (names.addresses instanceof Error) throw names.addresses;
      return names.addresses;
    },
    timings: { resolveMs, heardOfMs },
  });
  cleanUp.push(() => started.network.stop());
  const lookAgain = async (): Promise<void> => {
    const before = asked;
    started.network.heardOf(instanceOf('f'));
    while (asked === before) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...started, asked: () => asked, lookAgain };
}

async function askedAgain(asked: () => number): Promise<void> {
  const before = asked();
  while (asked() < before + 2) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a name', () => {
  it('stands for all its addresses', async () => {
    const { port } = await twoOnOnePort();
    const { network, told } = named(port, { addresses: ['127.0.0.1', '127.0.0.2'] });
    await Promise.all([told.until(`linked ${B}`), told.until(`linked ${C}`)]);
    expect(await ask(network, C, MESSAGE)).toMatchObject({ by: C });
  });

  it('that stands for one more address later has it dialled', async () => {
    const { port } = await twoOnOnePort();
    const names = { addresses: ['127.0.0.1'] };
    const { told } = named(port, names);
    await told.until(`linked ${B}`);
    names.addresses = ['127.0.0.1', '127.0.0.2'];
    await told.until(`linked ${C}`);
  });

  it('is resolved at once when an unknown instance is heard of', async () => {
    const { port } = await twoOnOnePort();
    const names = { addresses: ['127.0.0.1'] };
    const { network, told } = named(port, names, 600_000);
    await told.until(`linked ${B}`);
    names.addresses = ['127.0.0.1', '127.0.0.2'];
    network.heardOf(C);
    await told.until(`linked ${C}`);
  });

  it('is not resolved for an instance that is linked, for ourselves, or more often than allowed', async () => {
    const { port } = await twoOnOnePort();
    const { network, told, asked } = named(port, { addresses: ['127.0.0.1'] }, 600_000, 60_000);
    await told.until(`linked ${B}`);
    network.heardOf(B);
    network.heardOf(A);
    expect(asked()).toBe(1);
    for (let count = 0; count < 100; count += 1) {
      network.heardOf(C);
      // Time for the resolver's answer, so that it could be asked again.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked()).toBe(2);
  });

  it('is not asked for again while the answer is due', async () => {
    let asked = 0;
    const { network } = startNetwork(A, [], {
      peers: [
        { host: 'agents.test', port: 1 },
        { host: 'agents.test', port: 2 },
      ],
      resolve: () => {
        asked += 1;
        return new Promise(() => undefined);
      },
      timings: { resolveMs: 1 },
    });
    cleanUp.push(() => network.stop());
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(asked).toBe(1);
  });

  it('that no longer stands for an address leaves its link alone, and does not have it dialled again', async () => {
    const { port, b } = await twoOnOnePort();
    const names = { addresses: ['127.0.0.1', '127.0.0.2'] };
    const { network, told, lookAgain } = named(port, names, 600_000);
    await Promise.all([told.until(`linked ${B}`), told.until(`linked ${C}`)]);
    names.addresses = ['127.0.0.2'];
    await lookAgain();
    expect(await ask(network, B, MESSAGE)).toMatchObject({ by: B });
    b.server.close();
    await told.until(`unlinked ${B}`);
    const again = await startServer(B, { port });
    cleanUp.push(() => again.server.close());
    // Long after the pause of an address that is dialled again.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await lookAgain();
    expect(again.told.lines).toEqual([]);
    names.addresses = ['127.0.0.1', '127.0.0.2'];
    await lookAgain();
    await again.told.until(`hello of peer ${A}`);
  });

  it('that cannot be resolved stands for what it did before, and that is told once', async () => {
    const { port, b } = await twoOnOnePort();
    const names: { addresses: readonly string[] | Error } = { addresses: ['127.0.0.1'] };
    const { told, asked } = named(port, names);
    await told.until(`linked ${B}`);
    names.addresses = new Error('ENOTFOUND');
    await askedAgain(asked);
    const linkedAgain = told.next(`linked ${B} at`);
    b.server.close();
    await told.until(`unlinked ${B}`);
    const again = await startServer(B, { port });
    cleanUp.push(() => again.server.close());
    await linkedAgain;
    expect(told.lines.filter((line) => line.startsWith('not resolved'))).toHaveLength(1);
  });
});

it('resolves localhost as the system does', async () => {
  const b = await startServer(B);
  cleanUp.push(() => b.server.close());
  const { network, told } = startNetwork(A, [], { peers: [{ host: 'localhost', port: b.port }] });
  cleanUp.push(() => network.stop());
  await told.until(`linked ${B}`);
});
