// The daemon dies, hangs, comes back, or is told to stop while HAProxy has work for it: the client never notices, and
// protection is there again as soon as the daemon is.
import { expect, it, onTestFinished } from 'vitest';
import { startDaemon } from './support/daemon.ts';
import { fetchOnce } from './support/http-client.ts';
import { startLoad } from './support/load.ts';
import {
  type ProtectedPlan,
  type ProtectedProxy,
  proxyOfThisTest,
  shareProtectedProxy,
} from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

const attack = { target: '/?q=attack-block' };
/** Once per client: each may have to wait for several time-outs while there is no daemon. */
const soMany = 16;
/** HAProxy sees that an agent is draining after two failed checks: one interval of 2 s, and one of 200 ms. */
const noticedMs = '4000';
/** The time-outs that operators get, not the patient ones of the other tests. */
const shippedTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '200ms', DD_SPOA_HELLO_TIMEOUT: '100ms' };
/** Long enough for a busy machine, with the health checks that operators get. */
const calmTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '20s', DD_SPOA_HELLO_TIMEOUT: '20s' };

async function protectedToBeginWith(binary: FoundHaproxy, plan: ProtectedPlan): Promise<ProtectedProxy> {
  const proxy = await proxyOfThisTest(binary, plan);
  await isProtected(proxy);
  return proxy;
}

const status = async (proxy: ProtectedProxy, target: string): Promise<number> =>
  (await fetchOnce(proxy.httpPort, { target })).status;

function isProtected(proxy: ProtectedProxy): Promise<void> {
  return expect.poll(() => status(proxy, attack.target), { interval: 50 }).toBe(403);
}

describeEachHaproxy('the daemon goes away', (binary) => {
  const shared = shareProtectedProxy(binary, {
    env: shippedTimeouts,
    edit: uncomment('frontend-config.cfg', 'log-format'),
    ownDaemon: true,
  });

  /** Whatever the test before did to the daemon. */
  async function protectedAgain(): Promise<ProtectedProxy> {
    const proxy = shared();
    if (!proxy.daemon.running) await proxy.daemon.start();
    await isProtected(proxy);
    return proxy;
  }

  it('killed: every page is still served; started again: protection is back', async () => {
    const proxy = await protectedAgain();
    await proxy.daemon.stop('SIGKILL');
    for (let request = 0; request < 10; request++) expect(await status(proxy, '/')).toBe(200);
    expect(await status(proxy, '/json')).toBe(200);
    expect((await fetchOnce(proxy.httpPort, { method: 'POST', target: '/echo', body: 'up' })).body).toBe(
      'up',
    );
    // Fail-open, as documented.
    expect(await status(proxy, attack.target)).toBe(200);

    await proxy.daemon.start();
    await isProtected(proxy);
  });

  it('killed under load: no client error', async () => {
    const proxy = await protectedAgain();
    const load = startLoad(proxy.httpPort, 16);
    await load.seen(200);
    await proxy.daemon.stop('SIGKILL');
    await load.seen(soMany);
    await proxy.daemon.start();
    await load.seen(soMany);
    expect((await load.stop()).failures).toEqual([]);
    await isProtected(proxy);
  });

  it('frozen: every page is still served, late by no more than the time-outs', async () => {
    const proxy = await protectedAgain();
    proxy.daemon.signal('SIGSTOP');
    const started = performance.now();
    expect(await status(proxy, '/json')).toBe(200);
    // Two messages of 200 ms each. Whatever else ends a wait does so after half a minute at least.
    expect(performance.now() - started).toBeLessThan(20_000);
    proxy.daemon.signal('SIGCONT');
    await isProtected(proxy);
  });

  // HAProxy 2.6.12 spins for ever, and so do its clients, when a transaction asks again without an agent.
  it('killed under load, for good: every client has its answers, and soon nobody waits', async () => {
    const proxy = await protectedAgain();
    proxy.haproxy.log.lines.length = 0;
    const clients = 32;
    const load = startLoad(proxy.httpPort, clients);
    await load.seen(300);
    await proxy.daemon.stop('SIGKILL');
    // Two failed checks: 2.2 s.
    await proxy.haproxy.log.waitFor(/dd_error=257 dd_ms=-$/);
    const before = proxy.haproxy.log.lines.length;
    await load.seen(500);
    expect((await load.stop()).failures).toEqual([]);
    const waits = proxy.haproxy.log.lines.slice(before).map((line) => / dd_ms=(\S+)$/.exec(line)?.[1] ?? '-');
    expect(waits.length).toBeGreaterThan(300);
    // Those of whoever was under way when HAProxy noticed; where every message waits for its time-out, all of them.
    expect(waits.filter((ms) => ms !== '-').length).toBeLessThanOrEqual(2 * clients);
  });
});

describeEachHaproxy('SIGTERM under load', (binary) => {
  it('no client error, exit code 0, and protection as long as HAProxy asks', async () => {
    // Longer than it takes HAProxy to notice, as the default is: nobody waits for an answer any more at the end.
    const daemon = { env: { APPSEC_EDGE_SHUTDOWN_GRACE: noticedMs } };
    const proxy = await protectedToBeginWith(binary, { env: calmTimeouts, daemon });
    const load = startLoad(proxy.httpPort, 16);
    await load.seen(200);
    const ended = proxy.daemon.stop('SIGTERM');
    await proxy.daemon.log.waitFor(/"msg":"draining"/);
    expect((await proxy.daemon.health('/ready')).status).toBe(503);
    expect((await proxy.daemon.health('/')).status).toBe(200);
    expect(await status(proxy, attack.target)).toBe(403);
    expect(await ended).toBe(0);
    await load.seen(soMany);
    expect((await load.stop()).failures).toEqual([]);
    const spoken = proxy.daemon.log.lines.map((line) => JSON.parse(line) as { level: string; msg: string });
    expect(spoken.at(-1)?.msg).toBe('stopped');
    expect(spoken.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('of one of two daemons: no client error, and every attack is blocked all along', async () => {
    const second = await startDaemon();
    onTestFinished(() => void second.stop('SIGKILL'));
    // HAProxy up to 3.0 goes on using the connections it has; they are left a second before the deadline, which takes
    // two more off for the last spans.
    const soon = { APPSEC_EDGE_SHUTDOWN_TIMEOUT: '9s' };
    const daemon = { env: { APPSEC_EDGE_SHUTDOWN_GRACE: noticedMs, ...soon } };
    const agentBackend = `    server two 127.0.0.1:${second.port}`;
    const proxy = await protectedToBeginWith(binary, { env: calmTimeouts, daemon, agentBackend });
    const load = startLoad(proxy.httpPort, 16);
    await load.seen(100);
    expect(await proxy.daemon.stop('SIGTERM')).toBe(0);
    await load.seen(100);
    const { failures, attacksThrough } = await load.stop();
    expect(failures).toEqual([]);
    expect(attacksThrough).toBe(0);
  });

  it('twice: it ends at once', async () => {
    const daemon = { env: { APPSEC_EDGE_SHUTDOWN_GRACE: '20s' } };
    const proxy = await protectedToBeginWith(binary, { env: shippedTimeouts, daemon });
    proxy.daemon.signal('SIGTERM');
    await proxy.daemon.log.waitFor(/"msg":"draining"/);
    expect(await proxy.daemon.stop('SIGTERM')).toBe(1);
    expect(await status(proxy, '/')).toBe(200);
  });
});
