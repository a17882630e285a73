// The daemon dies, hangs, comes back, or is told to stop while HAProxy has work for it: the client never notices, and
// protection is there again as soon as the daemon is.
import { expect, it } from 'vitest';
import { startDaemon } from './support/daemon.ts';
import { fetchOnce } from './support/http-client.ts';
import { startLoad } from './support/load.ts';
import { type ProtectedProxy, startProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

const attack = { target: '/?q=attack-block' };
/** Once per client: on 2.6 each may wait for several time-outs while there is no daemon. */
const soMany = 16;
/** The time-outs that operators get, not the patient ones of the other tests. */
const shippedTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '200ms', DD_SPOA_HELLO_TIMEOUT: '100ms' };
const calmTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '1s', DD_SPOA_HELLO_TIMEOUT: '1s' };

async function withProxy(
  binary: FoundHaproxy,
  plan: Parameters<typeof startProtectedProxy>[1],
  body: (proxy: ProtectedProxy) => Promise<void>,
): Promise<void> {
  const proxy = await startProtectedProxy(binary, plan);
  try {
    await body(proxy);
  } catch (cause) {
    process.stderr.write(`${proxy.report()}\n`);
    throw cause;
  } finally {
    await proxy.stop();
  }
}

const status = async (proxy: ProtectedProxy, target: string): Promise<number> =>
  (await fetchOnce(proxy.httpPort, { target })).status;
const protectedAgain = (proxy: ProtectedProxy): Promise<void> =>
  expect.poll(() => status(proxy, attack.target), { timeout: 5_000, interval: 50 }).toBe(403);

describeEachHaproxy('the daemon goes away', (binary) => {
  it('killed: every page is still served; started again: protection is back', async () => {
    await withProxy(binary, { env: shippedTimeouts }, async (proxy) => {
      await protectedAgain(proxy);
      await proxy.daemon.stop('SIGKILL');
      for (let request = 0; request < 10; request++) expect(await status(proxy, '/')).toBe(200);
      expect(await status(proxy, '/json')).toBe(200);
      expect((await fetchOnce(proxy.httpPort, { method: 'POST', target: '/echo', body: 'up' })).body).toBe(
        'up',
      );
      // Fail-open, as documented.
      expect(await status(proxy, attack.target)).toBe(200);

      await proxy.daemon.start();
      await protectedAgain(proxy);
    });
  });

  it('killed under load: no client error', async () => {
    await withProxy(binary, { env: shippedTimeouts }, async (proxy) => {
      await protectedAgain(proxy);
      const load = startLoad(proxy.httpPort, 16);
      await load.seen(200);
      await proxy.daemon.stop('SIGKILL');
      await load.seen(soMany);
      await proxy.daemon.start();
      await load.seen(soMany);
      const { failures } = await load.stop();
      expect(failures).toEqual([]);
      await protectedAgain(proxy);
    });
  });

  // HAProxy 2.6.12 spins for ever, and so do its clients, when a transaction asks again without an agent.
  it('killed under load, for good: every client has its answers', async () => {
    await withProxy(binary, { env: shippedTimeouts }, async (proxy) => {
      await protectedAgain(proxy);
      const load = startLoad(proxy.httpPort, 32);
      await load.seen(300);
      await proxy.daemon.stop('SIGKILL');
      await load.seen(400);
      const { failures } = await load.stop();
      expect(failures).toEqual([]);
    });
  });

  it('frozen: every page is still served, late by no more than the time-outs', async () => {
    await withProxy(binary, { env: shippedTimeouts }, async (proxy) => {
      await protectedAgain(proxy);
      proxy.daemon.signal('SIGSTOP');
      const started = performance.now();
      expect(await status(proxy, '/json')).toBe(200);
      // Two messages of 200 ms each, and a second for a busy machine.
      expect(performance.now() - started).toBeLessThan(1_400);
      proxy.daemon.signal('SIGCONT');
      await protectedAgain(proxy);
    });
  });
});

describeEachHaproxy('SIGTERM under load', (binary) => {
  it('no client error, exit code 0, and protection to the last moment', async () => {
    // Longer than it takes HAProxy to notice, as the shipped grace is.
    const daemon = { env: { DD_HAPROXY_SPOA_SHUTDOWN_GRACE: '3s' } };
    await withProxy(binary, { env: calmTimeouts, daemon }, async (proxy) => {
      await protectedAgain(proxy);
      const load = startLoad(proxy.httpPort, 16);
      await load.seen(200);
      const ended = proxy.daemon.stop('SIGTERM');
      await proxy.daemon.log.waitFor(/"msg":"draining"/);
      expect((await proxy.daemon.health('/ready')).status).toBe(503);
      expect((await proxy.daemon.health('/')).status).toBe(200);
      expect(await status(proxy, attack.target)).toBe(403);
      expect(await ended).toBe(0);
      await load.seen(soMany);
      const { failures } = await load.stop();
      expect(failures).toEqual([]);
      const spoken = proxy.daemon.log.lines.map((line) => JSON.parse(line) as { level: string; msg: string });
      expect(spoken.at(-1)?.msg).toBe('stopped');
      expect(spoken.filter(({ level }) => level === 'error')).toEqual([]);
    });
  });

  it('of one of two daemons: no client error, and every attack is blocked all along', async () => {
    // Longer than it takes HAProxy to notice: one interval of 2 s, and one of 200 ms.
    const leaving = { env: { DD_HAPROXY_SPOA_SHUTDOWN_GRACE: '3s' } };
    const second = await startDaemon();
    const agentBackend = `    server two 127.0.0.1:${second.port}`;
    try {
      await withProxy(binary, { daemon: leaving, agentBackend }, async (proxy) => {
        await protectedAgain(proxy);
        const load = startLoad(proxy.httpPort, 16);
        await load.seen(200);
        expect(await proxy.daemon.stop('SIGTERM')).toBe(0);
        await load.seen(200);
        const { failures, attacksThrough } = await load.stop();
        expect(failures).toEqual([]);
        expect(attacksThrough).toBe(0);
      });
    } finally {
      await second.stop('SIGKILL');
    }
  });

  it('twice: it ends at once', async () => {
    const daemon = { env: { DD_HAPROXY_SPOA_SHUTDOWN_GRACE: '20s' } };
    await withProxy(binary, { daemon }, async (proxy) => {
      await protectedAgain(proxy);
      proxy.daemon.signal('SIGTERM');
      await proxy.daemon.log.waitFor(/"msg":"draining"/);
      expect(await proxy.daemon.stop('SIGTERM')).toBe(1);
      expect(await status(proxy, '/')).toBe(200);
    });
  });
});
