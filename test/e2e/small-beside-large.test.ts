// What would have been analysed in time is not let through: a small request that comes while the engine threads are busy
// with large bodies waits for them.
import { expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import { proxyOfThisTest, shareProtectedProxy } from './support/protected-proxy.ts';
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
  const global = '    tune.bufsize 262144';
  const patient = shareProtectedProxy(binary, {
    global,
    daemon: {
      env: {
        ...{ DD_APPSEC_RULES: '', DD_APPSEC_PROTECT: 'all' },
        ...{ DD_APPSEC_WAF_TIMEOUT: '10ms', APPSEC_EDGE_ENGINE_THREADS: '2' },
      },
    },
  });

  const sendLarge = (port: number, round: number): Promise<unknown> =>
    Promise.all([100_000, 130_000].map((bytes) => fetchOnce(port, form(bytes, round))));

  /** The slowest of some rounds: 30 to 50 ms on an idle machine. */
  async function slowestMs(): Promise<number> {
    let slowest = 0;
    for (let round = 0; round < rounds; round += 1) {
      const startedAtMs = performance.now();
      await sendLarge(patient().httpPort, round);
      slowest = Math.max(slowest, performance.now() - startedAtMs);
    }
    return slowest;
  }

  it(`analyse a small request that comes 10 ms later, ${rounds} times out of ${rounds}`, async () => {
    // Of which a message may wait four tenths: for the bodies, as long as they take on this machine, and more.
    const timeoutMs = Math.max(500, Math.ceil(10 * (await slowestMs())));
    const { httpPort, daemon } = await proxyOfThisTest(binary, {
      ...{ global, daemon: patient().daemon },
      env: { DD_SPOA_PROCESSING_TIMEOUT: `${timeoutMs}ms` },
    });
    const statuses: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const answers = sendLarge(httpPort, round);
      await new Promise((resolve) => setTimeout(resolve, 10));
      const target = `/?round=${round}&id=1%27%20or%201=1%20union%20select%201,2%20from%20users--`;
      statuses.push((await fetchOnce(httpPort, { target })).status);
      await answers;
    }
    expect(statuses).toEqual(Array.from({ length: rounds }, () => 403));
    expect(await daemon.metric('skipped_total')).toBe(0);
  });
});
