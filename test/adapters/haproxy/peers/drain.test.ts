/** A draining agent: HAProxy goes first, other agents last, for they bring what belongs to its transactions. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Action, encodeMessages } from '../../../../src/spop/index.ts';
import { ask, echo, instanceOf, startNetwork, startServer } from '../../../support/peer-agents.ts';
import { HEALTHCHECK_HELLO, SpopClient } from '../../../support/spop-client.ts';

const [A, B, C] = [instanceOf('a'), instanceOf('b'), instanceOf('c')];
const MESSAGE = encodeMessages([{ name: 'm', args: [] }]);

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

/** Agent B with a link from A and a connection of HAProxy. */
async function draining(answer = echo(B)) {
  const b = await startServer(B, { answer });
  cleanUp.push(() => b.server.close());
  const haproxy = await SpopClient.connect({ port: b.port });
  cleanUp.push(() => haproxy.socket.destroy());
  await haproxy.hello();
  const { network, told } = startNetwork(A, [b.port]);
  cleanUp.push(() => network.stop());
  await told.until(`linked ${B}`);
  return { ...b, haproxy, network, peer: told };
}

describe('draining', () => {
  it('refuses health checks, says goodbye to HAProxy, and still answers what is relayed', async () => {
    const { server, port, haproxy, network, peer } = await draining();
    let awaiting = true;
    const check = await SpopClient.connect({ port });
    const drained = server.drain(50, 60_000, () => awaiting);
    await expect(check.hello(HEALTHCHECK_HELLO)).rejects.toThrow('HELLO was refused');
    await haproxy.goodbye();
    await haproxy.closed;
    expect(await ask(network, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
    expect(peer.lines).toEqual([`linked ${B} at 127.0.0.1:${port}`]);
    awaiting = false;
    expect(await peer.until('unlinked')).toContain('goodbye');
    await drained;
  });

  it('keeps peers while a connection of HAProxy is busy', async () => {
    let release: (() => void) | undefined;
    const { server, haproxy, network, peer } = await draining((payload, room, relayed) =>
      release === undefined
        ? new Promise<Action[]>((resolve) => {
            release = () => resolve(echo(B)(payload, room, relayed));
          })
        : echo(B)(payload, room, relayed),
    );
    const busy = haproxy.notify([]);
    while (release === undefined) await new Promise((resolve) => setImmediate(resolve));
    const drained = server.drain(0, 60_000);
    // Three looks of the drain at its connections.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ask(network, B, MESSAGE)).toEqual({ by: B, asked: 'm' });
    release();
    await busy;
    await haproxy.closed;
    await peer.until('unlinked');
    await drained;
  });

  it('says goodbye to peers after HAProxy, whose last answer is still under way', async () => {
    const { server, haproxy, peer } = await draining();
    const gone: string[] = [];
    const haproxyGone = haproxy.closed.then(() => gone.push('HAProxy'));
    const peerGone = peer.until('unlinked').then(() => gone.push('peer'));
    await haproxy.notify([]);
    await server.drain(0, 60_000);
    await Promise.all([haproxyGone, peerGone]);
    expect(gone).toEqual(['HAProxy', 'peer']);
  });

  it('does not wait for anything where only peers are left and nothing is awaited', async () => {
    const { server, haproxy, peer } = await draining();
    haproxy.reset();
    // Whatever waited would wait for longer than a test may take.
    await server.drain(0, 600_000);
    expect(await peer.until('unlinked')).toContain('goodbye');
  });

  it('ends at its deadline, whatever is awaited', async () => {
    const { server, peer } = await draining();
    const startedAtMs = performance.now();
    await server.drain(0, 300, () => true);
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(299);
    await peer.until('unlinked');
  });
});

it('three agents that all dial one list relay to each other, both ways at a time', async () => {
  const instances = [A, B, C];
  const servers = await Promise.all(instances.map((instance) => startServer(instance)));
  const ports = servers.map(({ port }) => port);
  const networks = instances.map((instance) => startNetwork(instance, ports));
  cleanUp.push(
    ...servers.map(
      ({ server }) =>
        () =>
          server.close(),
    ),
    ...networks.map(
      ({ network }) =>
        () =>
          network.stop(),
    ),
  );
  const pairs = instances.flatMap((from, index) =>
    instances.filter((to) => to !== from).map((to) => ({ from, to, network: networks[index] })),
  );
  await Promise.all(pairs.map(({ to, network }) => network?.told.until(`linked ${to}`)));
  const answers = await Promise.all(
    pairs.flatMap(({ to, network }) =>
      Array.from({ length: 50 }, () =>
        network === undefined ? undefined : ask(network.network, to, MESSAGE),
      ),
    ),
  );
  expect(answers).toEqual(
    pairs.flatMap(({ to }) => Array.from({ length: 50 }, () => ({ by: to, asked: 'm' }))),
  );
});
