// DD_HAPROXY_SPOA_OBSERVABILITY_MODE through real HAProxy: clients are answered first, attacks are reported afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  fetchOnce,
  Http1Connection,
  type HttpResponse,
  header,
  type RequestParts,
} from './support/http-client.ts';
import { type ProtectedProxy, shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy, describeOneHaproxy } from './support/stubbed-proxy.ts';

const observing = { DD_HAPROXY_SPOA_OBSERVABILITY_MODE: 'true' };
const shown = `
    http-after-response set-header x-dd-identity %[var(txn.dd.span_id)]
    http-after-response set-header x-dd-verdict %[var(txn.dd.verdict)]
`;

const json = (text: string, mark: string): RequestParts => ({
  ...{ method: 'POST', target: `/echo?mark=${mark}`, body: text },
  headers: { 'content-type': 'application/json' },
});

describeEachHaproxy('observability mode', (binary) => {
  const proxy = shareProtectedProxy(binary, { frontend: shown, daemon: { env: observing }, ownDaemon: true });
  const fetch = (parts: RequestParts): Promise<HttpResponse> => fetchOnce(proxy().httpPort, parts);

  it.each([
    ['a query', { target: '/?q=attack-block&mark=query' }, 'query', 'request-headers', 'req-block'],
    [
      'a redirect',
      { target: '/?q=attack-redirect&mark=redirect' },
      'redirect',
      'request-headers',
      'req-redirect',
    ],
    ['a JSON body', json('{"a":["attack-block"]}', 'body'), 'body', 'request-body', 'req-block'],
    [
      'a response body',
      { target: '/say?leak=leak-block&mark=leak' },
      'leak',
      'response-body',
      'res-body-block',
    ],
  ])('lets %s through and reports what would have been blocked', async (_what, parts, mark, phase, rule) => {
    const response = await fetch(parts);
    expect(response.status).toBe(200);
    expect(header(response, 'x-dd-verdict')).toBe('');
    expect(proxy().reached(`mark=${mark}`)).toBe(true);
    const event = await proxy().daemon.securityEvent(`mark=${mark}`);
    expect(event).toMatchObject({ phase, verdict: 'report', would_block: true, rules: [{ id: rule }] });
    const [spanId, traceId] = header(response, 'x-dd-identity')?.split('.') ?? [];
    expect([event.span_id, event.trace_id]).toEqual([spanId, traceId]);
    expect(proxy().daemon.securityEvents(`mark=${mark}`)).toHaveLength(1);
  });

  it('counts what would have been blocked, ends every transaction and skips nothing', async () => {
    const { daemon } = proxy();
    await expect.poll(() => daemon.metric('transactions_live')).toBe(0);
    expect(await daemon.metric('would_block_total')).toBe(4);
    expect(await daemon.metric('verdicts_total', { verdict: 'block' })).toBe(0);
    expect(await daemon.metric('transactions_total', { reason: 'complete' })).toBe(4);
    expect(await daemon.metric('skipped_total')).toBe(0);
  });

  it('sends what is left to do when it ends', async () => {
    const { httpPort, daemon } = proxy();
    await fetch({ target: '/?q=attack-block&mark=last' });
    expect(httpPort).toBeGreaterThan(0);
    expect(await daemon.stop('SIGTERM')).toBe(0);
    expect(daemon.securityEvents('mark=last')).toHaveLength(1);
  });
});

/** A hundred rules take at least five milliseconds for the body below, on any machine. */
function slowRules(count: number): string {
  const rule = (id: string, regex: string, address: string): object => ({
    ...{ id, name: id, tags: { type: 'slow', category: 'attack_attempt' } },
    conditions: [{ operator: 'match_regex', parameters: { inputs: [{ address }], regex } }],
    transformers: [],
  });
  const slow = Array.from({ length: count }, (_, index) =>
    rule(`slow-${index}`, `(?:[a-y ]{3,20}[0-9]+){5}z${index}$`, 'server.request.body'),
  );
  const attack = rule('attack', 'attack-report', 'server.request.query');
  return JSON.stringify({ version: '2.2', metadata: { rules_version: 'slow' }, rules: [attack, ...slow] });
}

describeOneHaproxy('a slow WAF', (binary) => {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-slow-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const slow = (rules: number): Record<string, string> => {
    const file = join(folder, `${rules}.json`);
    writeFileSync(file, slowRules(rules));
    return { DD_APPSEC_RULES: file, APPSEC_EDGE_ENGINE_THREADS: '1' };
  };
  const body = JSON.stringify(
    Array.from({ length: 350 }, (_, index) => `value number ${index} of this long list`),
  );
  const request = json(body.slice(0, 14_000).replace(/,[^,]*$/, ']'), 'slow');

  describe('holds up', () => {
    const [blocking, deferring] = [
      shareProtectedProxy(binary, { daemon: { env: slow(1000) } }),
      shareProtectedProxy(binary, { daemon: { env: { ...slow(1000), ...observing } } }),
    ];
    const analysed = (proxy: ProtectedProxy): Promise<number> =>
      proxy.daemon.metric('waf_seconds_count', { phase: 'request-body' });
    const analysisMs = async (proxy: ProtectedProxy): Promise<number> =>
      1000 * (await proxy.daemon.metric('waf_seconds_sum', { phase: 'request-body' }));

    /** How long the WAF took for a request, how long the request to the origin, and its response to the client. */
    async function timesOf(proxy: ProtectedProxy): Promise<Record<'waf' | 'toOrigin' | 'toClient', number>> {
      const before = { count: await analysed(proxy), ms: await analysisMs(proxy) };
      const startedAtMs = performance.now();
      expect((await fetchOnce(proxy.httpPort, request)).status).toBe(200);
      const toClient = performance.now() - startedAtMs;
      const toOrigin = (proxy.origin.requests.at(-1)?.receivedAtMs ?? 0) - startedAtMs;
      await expect.poll(() => analysed(proxy), { interval: 5 }).toBe(before.count + 1);
      return { waf: (await analysisMs(proxy)) - before.ms, toOrigin, toClient };
    }

    it('a request on its way to the origin when its verdict is waited for', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { waf, toOrigin } = await timesOf(blocking());
        expect(toOrigin).toBeGreaterThan(waf);
      }
    });

    it('neither request nor response when the verdict is not waited for', async () => {
      // A machine that is busy with others may be late with everything but the WAF, but not each time.
      for (let round = 0; round < 200; round += 1) {
        const { waf, toClient } = await timesOf(deferring());
        if (toClient < waf / 2) return;
      }
      expect.unreachable('every response came after the WAF was done, or almost');
    });
  });

  describe('with more traffic than it can take', () => {
    const proxy = shareProtectedProxy(binary, { daemon: { env: { ...slow(200), ...observing } } });

    it('has a bounded number of messages to catch up on, lets others through, and recovers', async () => {
      const { httpPort, daemon } = proxy();
      const clients = Array.from({ length: 16 }, () => new Http1Connection(httpPort));
      const statuses = new Set<number>();
      const flood = async (connection: Http1Connection): Promise<void> => {
        for (let count = 0; count < 80; count += 1) statuses.add((await connection.request(request)).status);
        connection.close();
      };
      await Promise.all(clients.map(flood));
      expect(statuses).toEqual(new Set([200]));
      expect(await daemon.metric('skipped_total', { reason: 'overload' })).toBeGreaterThan(0);
      const settled = () => daemon.metric('transactions_live');
      await expect.poll(settled, { interval: 100 }).toBe(0);
      const skipped = await daemon.metric('skipped_total');
      // Each message was analysed or counted as let through, and there was some of both.
      const bodies = await daemon.metric('bodies_total', { phase: 'request-body' });
      expect(bodies).toBeGreaterThan(0);
      expect(bodies + skipped).toBeGreaterThanOrEqual(clients.length * 80);
      expect(await daemon.metric('messages_total')).toBe(3 * clients.length * 80);
      await fetchOnce(httpPort, { target: '/?q=attack-report&mark=after' });
      expect(await daemon.securityEvent('mark=after')).toMatchObject({ verdict: 'report' });
      expect(await daemon.metric('skipped_total')).toBe(skipped);
    });
  });
});
