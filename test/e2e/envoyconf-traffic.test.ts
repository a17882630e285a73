// The shipped Envoy files, and Datadog's published EnvoyFilters as they are, on real Envoy with the real processor: what
// passes, what is reported, what is blocked, and what clients notice when a processor dies or is replaced.
import { expect, it, onTestFinished } from 'vitest';
import { envoyFilters, inside } from '../support/envoy-files.ts';
import { describeEachEnvoy, type EnvoyMessage } from './support/envoy.ts';
import { fetchOnce, header } from './support/http-client.ts';
import { startLoad } from './support/load.ts';
import { type ShippedSite, startShippedIstio, startShippedPlain } from './support/shipped-envoy.ts';

/**
 * The files have their own time-outs, 200 and 500 ms, and let pass what is not answered by then: a machine that does other
 * things as well may need another try.
 */
const patient = { retry: 3 };
const json = { 'content-type': 'application/json' };

describeEachEnvoy('the files as an operator runs them', (binary) => {
  it.for(Object.entries(envoyFilters))(
    'inspect and block in all four phases: %s',
    patient,
    async ([, path]) => {
      const site = await startShippedIstio(binary, path);
      await blocksInAllPhases(site);
    },
  );

  it('inspect and block in all four phases: plain Envoy', patient, async () => {
    await blocksInAllPhases(await startShippedPlain(binary, 1));
  });

  it('tell the access log who answered, and the verdict', patient, async () => {
    const { port, envoy } = await startShippedPlain(binary, 1);
    await warm(port);
    expect((await fetchOnce(port, { target: '/logged?q=attack-block' })).status).toBe(403);
    expect(await envoy.access('/logged')).toMatchObject({
      status: 403,
      details: 'appsec_blocked{req-block}',
      appsec: { verdict: 'block', rule_ids: 'req-block' },
    });
  });

  it.for(Object.entries(envoyFilters))(
    'report and block nothing with the observability lines: %s',
    patient,
    async ([, path]) => {
      const site = await startShippedIstio(binary, path, {
        env: { DD_SERVICE_EXTENSION_OBSERVABILITY_MODE: 'true' },
        edit: observing,
      });
      expect((await fetchOnce(site.port, { target: '/seen?q=attack-block' })).status).toBe(200);
      expect(await site.daemons[0]?.securityEvent('/seen')).toMatchObject({ verdict: 'report' });
    },
  );

  it('believe no processor whose certificate is of another authority', async () => {
    const { port, envoy } = await startShippedPlain(binary, 1, {
      DD_SERVICE_EXTENSION_TLS_CERT_FILE: '',
      DD_SERVICE_EXTENSION_TLS_KEY_FILE: '',
    });
    expect((await fetchOnce(port, { target: '/unasked?q=attack-block' })).status).toBe(200);
    expect(await envoy.stat('cluster.appsec_edge.ssl.fail_verify_error')).toBeGreaterThan(0);
  });

  it('cost no client an error when one of two processors is killed, and one drained', async () => {
    const site = await startShippedPlain(binary, 2);
    const [first, second] = site.daemons;
    if (first === undefined || second === undefined) throw new Error('there are two processors');
    await healthy(site, 2);
    const load = startLoad(site.port, 4);
    await load.seen(200);
    await first.stop('SIGKILL');
    await load.seen(300);
    await first.start();
    await healthy(site, 2);
    await load.seen(200);
    const drained = second.stop('SIGTERM');
    await healthy(site, 1);
    expect(await drained).toBe(0);
    await load.seen(200);
    const { failures, attacksThrough, requests } = await load.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(800);
    // What was under way at the processor that was killed: each of the clients has one request at a time.
    expect(attacksThrough).toBeLessThanOrEqual(4);
  });
});

/** The first connection takes its time, which is no matter of these tests. */
async function warm(port: number): Promise<void> {
  await fetchOnce(port, { target: '/warm' });
}

async function blocksInAllPhases({ port, origin, daemons }: ShippedSite): Promise<void> {
  const [daemon] = daemons;
  const reached = (mark: string): boolean => origin.requests.some(({ target }) => target.includes(mark));
  await warm(port);
  expect((await fetchOnce(port, { target: '/clean' })).status).toBe(200);

  expect((await fetchOnce(port, { target: '/reported?q=attack-report' })).status).toBe(200);
  expect(await daemon?.securityEvent('/reported')).toMatchObject({ verdict: 'report' });

  expect((await fetchOnce(port, { target: '/head', headers: { 'x-a': 'attack-block' } })).status).toBe(403);
  expect(reached('/head')).toBe(false);

  const body = { method: 'POST', headers: json, body: '{"a":["attack-block"]}' };
  expect((await fetchOnce(port, { ...body, target: '/body' })).status).toBe(403);
  expect(reached('/body')).toBe(false);

  const leak = await fetchOnce(port, { target: '/say?header=leak-block' });
  expect(leak).toMatchObject({ status: 403, body: expect.not.stringContaining('origin') });
  expect(header(leak, 'x-leak')).toBe(undefined);

  const document = await fetchOnce(port, { target: '/say?leak=leak-block' });
  expect(document).toMatchObject({ status: 403, body: expect.not.stringContaining('origin') });
}

/** The lines that the manifests have as comments. */
function observing(filter: EnvoyMessage): EnvoyMessage {
  const config = inside(filter, 'typed_config') as EnvoyMessage;
  return {
    ...filter,
    typed_config: { ...config, observability_mode: true, deferred_close_timeout: '5s' },
  };
}

/** Envoy knows of so many healthy processors. */
async function healthy({ envoy }: ShippedSite, count: number): Promise<void> {
  let watching = true;
  onTestFinished(() => {
    watching = false;
  });
  while (watching && (await envoy.stat('cluster.appsec_edge.membership_healthy')) !== count) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
