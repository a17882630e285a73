// More traffic than the agent can analyse in HAProxy's time-out: what is too much is let through at once and says so,
// HAProxy never waits in vain, and with the end of the load everything is analysed again.
import { expect, it } from 'vitest';
import { DaemonView } from './support/daemon-view.ts';
import { fetchOnce, Http1Connection } from './support/http-client.ts';
import { proxyOfThisTest, shareProtectedProxy } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** Takes libddwaf some milliseconds with the recommended rules: a hundred at once are a second of work. */
const heavyBody = JSON.stringify({
  comments: Array.from({ length: 120 }, (_, index) => ({
    author: `customer-${index}`,
    text: `Delivery took ${index} days; colour (blue) and size were as described, 100% fine & quick.`,
  })),
});
const headers = { 'content-type': 'application/json' };
const clients = 150;
const rounds = 4;

describeEachHaproxy('an agent with more to do than it can', (binary) => {
  const patient = shareProtectedProxy(binary, {
    daemon: { env: { DD_APPSEC_RULES: '', DD_APPSEC_PROTECT: 'all', APPSEC_EDGE_ENGINE_THREADS: '1' } },
  });

  /** All clients at once, each with one request after the other; the statuses. */
  async function load(port: number, side: number, each: number): Promise<number[]> {
    const statuses: number[] = [];
    const client = async (index: number): Promise<void> => {
      const connection = new Http1Connection(port);
      for (let round = 0; round < each; round += 1) {
        const target = `/echo?load=${index}-${round}`;
        const { status } = await connection.request({ method: 'POST', target, headers, body: heavyBody });
        statuses.push(status);
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: side }, (_, index) => client(index)));
    return statuses;
  }

  it('lets through what is too much, before HAProxy gives up, and recovers', async () => {
    // What a third of the clients have to do, as quick as this machine is now; the first ones only warm it up.
    await load(patient().httpPort, 20, 1);
    const startedAtMs = performance.now();
    await load(patient().httpPort, clients / 3, 1);
    // Of the time-out, a message may wait four tenths: for the work of less than a third of the clients.
    const timeoutMs = Math.max(200, Math.ceil(2 * (performance.now() - startedAtMs)));
    const proxy = await proxyOfThisTest(binary, {
      daemon: await DaemonView.of(patient().daemon),
      env: { DD_SPOA_PROCESSING_TIMEOUT: `${timeoutMs}ms` },
      edit: uncomment('frontend-config.cfg', 'log-format'),
    });
    const statuses = await load(proxy.httpPort, clients, rounds);
    const after = await fetchOnce(proxy.httpPort, {
      target: '/?id=1%27%20or%201=1%20union%20select%201,2%20from%20users--',
    });

    expect(statuses).toEqual(statuses.map(() => 200));
    const logged = proxy.haproxy.log.lines.filter((line) => line.includes('load='));
    expect(logged.filter((line) => line.includes('dd_verdict=skipped')).length).toBeGreaterThan(clients);
    // It goes on analysing. Of a pass, all three messages were analysed: how many there are is a matter of speed.
    expect(await proxy.daemon.metric('messages_total')).toBeGreaterThan(clients);
    expect(logged.filter((line) => line.includes('dd_verdict=pass')).length).toBeGreaterThan(0);
    expect(logged.filter((line) => !line.includes('dd_error=-'))).toEqual([]);
    expect(await proxy.daemon.metric('skipped_total', { reason: 'overload' })).toBeGreaterThan(clients);
    expect(after.status).toBe(403);
  });
});
