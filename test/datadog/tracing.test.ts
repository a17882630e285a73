import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DatadogTracing } from '../../src/datadog/tracing.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { spanSettings } from '../support/span-settings.ts';
import { requestHead, type TestEngine, testEngine } from '../support/test-engine.ts';
import { startTestTracing } from '../support/test-tracing.ts';

// With APM off, as the agent starts by default. tracing-apm.test.ts is the other.

let agent: FakeAgent;
let tracing: DatadogTracing;
let engine: TestEngine;

beforeAll(async () => {
  agent = await FakeAgent.start();
  tracing = await startTestTracing(agent, spanSettings(new QueryObfuscator('password=[^&]+')));
  engine = testEngine({ tracer: tracing.tracer }).engine;
});
afterAll(() => agent.stop());

const browser = [
  ['host', 'shop.test'],
  ['user-agent', 'curl/8'],
  ['x-forwarded-for', '198.51.100.1'],
] as const;

function request(target: string, options: { end?: boolean; status?: number; ttlMs?: number } = {}) {
  const head = requestHead(target, browser, { https: true });
  const { transaction } = engine.requestHeaders(head, options.ttlMs ?? 60_000);
  const propagation = Object.fromEntries(transaction.propagation());
  if (options.end === true) {
    engine.responseHeaders(transaction.id, { status: options.status ?? 200, headers: [] }, 60_000);
  }
  return { transaction, propagation };
}

describe('with APM off', () => {
  it('the first span after the start is kept and names the WAF', async () => {
    request('/startup', { end: true });
    await tracing.flush();
    const span = agent.spanOf('GET /startup');
    expect(span.meta['_dd.appsec.waf.version']).toBe('1.0.0');
    expect(span.metrics['_sampling_priority_v1']).toBe(2);
  });

  it('one clean request a minute is sent, as a sign of life; the others never leave', async () => {
    for (const name of ['one', 'two', 'three']) request(`/clean/${name}`, { end: true });
    await tracing.flush();
    const clean = agent.spans.filter((span) => span.resource.startsWith('GET /clean/'));
    expect(clean).toHaveLength(1);
    expect(clean[0]?.metrics).toMatchObject({ _sampling_priority_v1: 1, '_dd.apm.enabled': 0 });
    expect(clean[0]?.meta).not.toHaveProperty('_dd.p.ts');
  });

  it('a clean request gives the origin no trace headers', () => {
    expect(request('/clean/four', { end: true }).propagation).toEqual({});
  });

  it('a reported attack is kept, in the name of AppSec, with everything about the request', async () => {
    const { transaction, propagation } = request('/report?q=attack-report&password=hunter2', {
      end: true,
      status: 404,
    });
    await tracing.flush();
    const span = agent.spanOf('GET /report');
    expect(span).toMatchObject({ name: 'http.request', service: 'spoa-test', type: 'web', error: 0 });
    expect(span.meta).toMatchObject({
      env: 'test',
      version: '1.2.3',
      'span.kind': 'server',
      component: 'haproxy-spoa',
      'http.method': 'GET',
      'http.url': 'https://shop.test/report?q=attack-report&<redacted>',
      'http.host': 'shop.test',
      'http.useragent': 'curl/8',
      'http.status_code': '404',
      'http.client_ip': '198.51.100.1',
      'network.client.ip': '203.0.113.7',
      'appsec.event': 'true',
      '_dd.origin': 'appsec',
      '_dd.p.dm': '-5',
      '_dd.p.ts': '02',
      '_dd.runtime_family': 'nodejs',
      '_dd.appsec.event_rules.version': 'test-1',
    });
    expect(span.meta).not.toHaveProperty(['appsec.blocked']);
    expect(span.metrics).toMatchObject({
      '_dd.appsec.enabled': 1,
      _sampling_priority_v1: 2,
      '_dd.apm.enabled': 0,
    });
    expect(span.metrics['_dd.appsec.waf.duration']).toBeGreaterThan(0);
    expect(span.metrics['_dd.appsec.waf.duration_ext']).toBeGreaterThan(0);
    const { triggers } = JSON.parse(span.meta['_dd.appsec.json'] ?? '{}');
    expect(triggers.map((trigger: { rule: { id: string } }) => trigger.rule.id)).toEqual([
      'report-1',
      'report-2',
    ]);
    expect(String(span.span_id)).toBe(transaction.id);
    expect(propagation).toMatchObject({
      'x-datadog-parent-id': transaction.id,
      'x-datadog-trace-id': String(span.trace_id),
      'x-datadog-sampling-priority': '2',
      'x-datadog-tags': expect.stringContaining('_dd.p.ts=02'),
    });
    expect(Object.keys(propagation).filter((name) => !name.startsWith('x-datadog-'))).toEqual([]);
    expect(transaction.traceId).toBe(
      (span.meta['_dd.p.tid'] ?? '') + BigInt(span.trace_id).toString(16).padStart(16, '0'),
    );
  });

  it('a blocked request is kept with the status that the client got', async () => {
    request('/blocked?q=attack-json');
    await tracing.flush();
    const span = agent.spanOf('GET /blocked');
    expect(span.meta).toMatchObject({ 'appsec.blocked': 'true', 'http.status_code': '418' });
    expect(span.metrics).toMatchObject({ _sampling_priority_v1: 2 });
  });

  it('a transaction that expired has no status, and says that it is incomplete', async () => {
    const { transaction } = request('/expired?q=attack-report');
    engine.transactionOf(transaction).end('expired');
    await tracing.flush();
    const { meta } = agent.spanOf('GET /expired');
    expect(meta).not.toHaveProperty(['http.status_code']);
    expect(meta).toMatchObject({ 'appsec_edge.incomplete': 'expired' });
  });

  it('a response whose request went elsewhere has a span of its own', async () => {
    const headers = [['x-leak', 'attack-block']] as const;
    const { transaction } = engine.responseHeaders('123456789', { status: 200, headers }, 60_000);
    await tracing.flush();
    expect(transaction.id).toBe('123456789');
    const found = agent.spans.filter((span) => span.meta['_dd.appsec.json']?.includes('response-header'));
    expect(found.map(({ meta }) => meta['http.status_code'])).toEqual(['403']);
  });

  it('an attack beyond the rate limit is marked, and has no events', async () => {
    const { engine: limited } = testEngine({
      reportLimiter: new RateLimiter(1, 1000),
      tracer: tracing.tracer,
    });
    for (const target of ['/first?q=attack-block', '/second?q=attack-block']) {
      limited.requestHeaders(requestHead(target), 60_000);
    }
    await tracing.flush();
    expect(agent.spanOf('GET /first').meta).toHaveProperty(['_dd.appsec.json']);
    const second = agent.spanOf('GET /second');
    expect(second.metrics).toMatchObject({ '_dd.appsec.rate_limited': 1 });
    expect(second.meta).not.toHaveProperty(['_dd.appsec.json']);
  });

  it('a trace that comes with the request is continued', async () => {
    const head = requestHead('/continued?q=attack-report', [
      ['x-datadog-trace-id', '1234567890'],
      ['x-datadog-parent-id', '987654321'],
      ['x-datadog-sampling-priority', '1'],
      ['__proto__', 'x'],
    ]);
    engine.transactionOf(engine.requestHeaders(head, 60_000).transaction).end('complete');
    await tracing.flush();
    const span = agent.spanOf('GET /continued');
    expect([span.trace_id, span.parent_id].map(String)).toEqual(['1234567890', '987654321']);
  });
});

describe('flushing', () => {
  it('comes to its end within two seconds when the Agent is gone, although dd-trace tries for longer', async () => {
    agent.stop();
    request('/lost?q=attack-report', { end: true });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const flushed = tracing.flush();
    await vi.advanceTimersByTimeAsync(2000);
    await flushed;
  });
});
