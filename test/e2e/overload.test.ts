// More traffic than the agent can analyse in HAProxy's time-out: what is too much is let through at once and says so,
// HAProxy never waits in vain, and with the end of the load everything is analysed again.
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection } from './support/http-client.ts';
import { proxyOfThisTest } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** Takes libddwaf some milliseconds with the recommended rules: a hundred at once are a second of work. */
const heavyBody = JSON.stringify({
  comments: Array.from({ length: 120 }, (_, index) => ({
    author: `customer-${index}`,
    text: `Delivery took ${index} days; colour (blue) and size were as described, 100% fine & quick.`,
  })),
});
const clients = 300;
const rounds = 4;

describeEachHaproxy('an agent with more to do than it can', (binary) => {
  it('lets through what is too much, before HAProxy gives up, and recovers', {
    timeout: 120_000,
  }, async () => {
    const proxy = await proxyOfThisTest(binary, {
      env: { DD_SPOA_PROCESSING_TIMEOUT: '1s' },
      edit: uncomment('frontend-config.cfg', 'log-format'),
      daemon: {
        env: {
          DD_APPSEC_RULES: '',
          DD_APPSEC_WAF_TIMEOUT: '10ms',
          DD_APPSEC_PROTECT: 'all',
          DD_HAPROXY_SPOA_ENGINE_THREADS: '1',
        },
      },
    });
    const statuses: number[] = [];
    const client = async (index: number): Promise<void> => {
      const connection = new Http1Connection(proxy.httpPort);
      for (let round = 0; round < rounds; round += 1) {
        const headers = { 'content-type': 'application/json' };
        const target = `/echo?load=${index}-${round}`;
        const { status } = await connection.request({ method: 'POST', target, headers, body: heavyBody });
        statuses.push(status);
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
    const after = await fetchOnce(proxy.httpPort, {
      target: '/?id=1%27%20or%201=1%20union%20select%201,2%20from%20users--',
    });

    expect(statuses).toEqual(statuses.map(() => 200));
    const logged = proxy.haproxy.log.lines.filter((line) => line.includes('load='));
    expect(logged.filter((line) => line.includes('dd_verdict=skipped')).length).toBeGreaterThan(clients);
    // Of a pass, all three messages were analysed.
    expect(logged.filter((line) => line.includes('dd_verdict=pass')).length).toBeGreaterThan(clients / 10);
    expect(await proxy.daemon.metric('messages_total')).toBeGreaterThan(clients);
    expect(logged.filter((line) => !line.includes('dd_error=-'))).toEqual([]);
    expect(await proxy.daemon.metric('skipped_total', { reason: 'overload' })).toBeGreaterThan(clients);
    expect(after.status).toBe(403);
  });
});
