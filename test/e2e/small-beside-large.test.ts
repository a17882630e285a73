// What would have been analysed in time is not let through: a small request that comes while the engine threads are busy
// with large bodies waits for them.
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection, type RequestParts } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const rounds = 6;

const form = (bytes: number, seed: number): RequestParts => ({
  ...{ method: 'POST', target: '/echo', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  body: Array.from(
    { length: bytes / 40 },
    (_, index) => `field${index}=some+value+with%20words+${seed + index}`,
  )
    .join('&')
    .slice(0, bytes),
});

describeEachHaproxy('two engine threads, busy with a body of 100 and one of 130 kB', (binary) => {
  const proxy = shareProtectedProxy(binary, {
    global: '    tune.bufsize 262144',
    // Of which a message may wait 200 ms: the bodies take 30 to 50 on an idle machine.
    env: { DD_SPOA_PROCESSING_TIMEOUT: '500ms' },
    daemon: {
      env: {
        ...{ DD_APPSEC_RULES: '', DD_APPSEC_PROTECT: 'all' },
        ...{ DD_APPSEC_WAF_TIMEOUT: '10ms', DD_HAPROXY_SPOA_ENGINE_THREADS: '2' },
      },
    },
  });

  it(`analyse a small request that comes 10 ms later, ${rounds} times out of ${rounds}`, async () => {
    const large = [new Http1Connection(proxy().httpPort), new Http1Connection(proxy().httpPort)];
    const statuses: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const bodies = [form(100_000, round), form(130_000, round)];
      const answers = large.map((connection, index) => connection.request(bodies[index]));
      await new Promise((resolve) => setTimeout(resolve, 10));
      const target = `/?round=${round}&id=1%27%20or%201=1%20union%20select%201,2%20from%20users--`;
      statuses.push((await fetchOnce(proxy().httpPort, { target })).status);
      await Promise.all(answers);
    }
    expect(statuses).toEqual(Array.from({ length: rounds }, () => 403));
    expect(await proxy().daemon.metric('skipped_total')).toBe(0);
  });
});
