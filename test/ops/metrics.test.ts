import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import { DoorMetrics } from '../../src/ops/door-metrics.ts';
import { Metrics } from '../../src/ops/metrics.ts';
import { jsonHeaders, requestHead, testEngine } from '../support/test-engine.ts';

const source = new URL('../../src/', import.meta.url);
const doorFiles = readdirSync(new URL('adapters/', source)).flatMap((name) => [
  `adapters/${name}/door.ts`,
  `adapters/${name}/observers.ts`,
]);
const sources = ['daemon/run.ts', 'daemon/threaded-engines.ts', ...doorFiles]
  .map((path) => readFileSync(new URL(path, source), 'utf8'))
  .join();

/** Names that /metrics shows, those that the process and its doors add included. */
async function namesShown(): Promise<string[]> {
  const metrics = new Metrics();
  for (const [, name, help] of sources.matchAll(
    /metrics\.(?:gauge|counter|countedElsewhere)\(\s*'(\w+)',\s*'([^']+)'/g,
  )) {
    metrics.gauge(name ?? '', help ?? '', () => 0);
  }
  return (await metrics.registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter((name) => name.startsWith('appsec_edge_'));
}

describe('docs/metrics.md', () => {
  it('lists exactly what /metrics shows', async () => {
    const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `(appsec_edge_\w+)`/gm)].map(([, name]) => name);
    expect(documented.toSorted()).toEqual((await namesShown()).toSorted());
  });
});

describe('metrics', () => {
  async function textAfter(work: (given: ReturnType<typeof testEngine>) => unknown): Promise<string> {
    const metrics = new Metrics();
    await work(testEngine({ observers: [metrics.observer()], reportLimiter: new RateLimiter(1, 1000) }));
    return metrics.registry.metrics();
  }

  it('count transactions by how they ended, and by verdict', async () => {
    const text = await textAfter(({ engine }) => {
      engine.requestHeaders(requestHead('/?q=attack-block'), 1000);
      const { transaction } = engine.requestHeaders(requestHead('/'), 1000);
      engine.responseHeaders(transaction.id, { status: 200, headers: [] }, 1000);
      engine.responseHeaders(undefined, { status: 200, headers: [] }, 1000);
    });
    expect(text).toContain('appsec_edge_transactions_total{door="test",reason="blocked"} 1');
    expect(text).toContain('appsec_edge_transactions_total{door="test",reason="complete"} 2');
    expect(text).toContain('appsec_edge_verdicts_total{door="test",verdict="partial"} 1');
    expect(text).toContain('appsec_edge_verdicts_total{door="test",verdict="block"} 1');
    expect(text).toContain('appsec_edge_verdicts_total{door="test",verdict="pass"} 1');
  });

  it('count by application where the door names one, a hundred at most, and what would have been blocked', async () => {
    const text = await textAfter(({ engine }) => {
      for (let index = 0; index < 102; index += 1) {
        const application = {
          ...{ service: `shop-${index}`, environment: undefined, version: undefined, reportOnly: true },
        };
        engine.requestHeaders(requestHead('/?q=attack-block', undefined, { application }), 1000);
      }
      engine.requestHeaders(requestHead('/?q=attack-block'), 1000);
      engine.drain();
    });
    expect(text).toContain('appsec_edge_verdicts_total{door="test",service="shop-0",verdict="report"} 1');
    expect(text).toContain('appsec_edge_verdicts_total{door="test",service="other",verdict="report"} 2');
    expect(text).toContain('appsec_edge_verdicts_total{door="test",verdict="block"} 1');
    expect(text).toContain('appsec_edge_would_block_total{door="test",service="shop-99"} 1');
    expect(text).not.toContain('shop-100');
  });

  it('count detections, matches by rule, and those beyond the rate limit once each', async () => {
    const text = await textAfter(({ engine }) => {
      for (let index = 0; index < 3; index += 1) {
        engine.requestHeaders(requestHead('/?q=attack-report'), 1000);
      }
      engine.drain();
    });
    expect(text).toContain('appsec_edge_detections_total{door="test",phase="request-headers"} 3');
    expect(text).toContain('appsec_edge_rule_matches_total{door="test",rule="report-1"} 3');
    expect(text).toContain('appsec_edge_detections_rate_limited_total{door="test"} 2');
  });

  it('count bodies by format, and the time of the WAF by phase', async () => {
    const text = await textAfter(async ({ engine }) => {
      const { transaction } = engine.requestHeaders(requestHead('/', jsonHeaders), 1000);
      await engine.requestBody(transaction.id, { bytes: Buffer.from('{"a":1}'), declaredSize: 999 }, 1000);
      engine.drain();
    });
    expect(text).toContain('appsec_edge_bodies_total{door="test",phase="request-body",format="json"} 1');
    expect(text).toContain('appsec_edge_bodies_partial_total{door="test",phase="request-body"} 1');
    expect(text).toContain('appsec_edge_waf_seconds_count{door="test",phase="request-body"} 1');
  });

  it('give names that a peer made up one label', async () => {
    const metrics = new Metrics();
    const door = new DoorMetrics(metrics, 'some-door', ['known-msg']);
    for (const name of ['known-msg', 'made up', 'x'.repeat(5000)]) door.message(name);
    const text = await metrics.registry.metrics();
    expect(text).toContain('appsec_edge_messages_total{door="some-door",message="known-msg"} 1');
    expect(text).toContain('appsec_edge_messages_total{door="some-door",message="unknown"} 2');
  });
});
