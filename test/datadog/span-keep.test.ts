import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WafFacts } from '../../src/datadog/span-trace.ts';
import type { DatadogTracing } from '../../src/datadog/tracing.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import type { Transaction } from '../../src/engine/transaction.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { withProcessors } from '../support/processor-rules.ts';
import { spanSettings } from '../support/span-settings.ts';
import { readFixtureRules, requestHead, type TestEngine, testEngine } from '../support/test-engine.ts';
import { startTestTracing } from '../support/test-tracing.ts';

// Which transactions are sent although APM is off, and which headers their origin gets.

let agent: FakeAgent;
let tracing: DatadogTracing;
let waf: Waf;
let facts: WafFacts = { libraryVersion: '1.0.0', rulesetVersion: 'test-1', generation: 0 };
let quiet: TestEngine;
let sampling: TestEngine;

beforeAll(async () => {
  agent = await FakeAgent.start();
  process.env['DD_TRACE_PROPAGATION_STYLE'] = 'datadog,tracecontext,baggage';
  tracing = await startTestTracing(
    agent,
    spanSettings(new QueryObfuscator(''), { waf: () => facts, remoteConfigClientId: () => 'client-1' }),
  );
  waf = Waf.load(withProcessors(readFixtureRules()), 'fixture');
  quiet = testEngine({ waf, tracer: tracing.tracer }).engine;
  sampling = testEngine({
    waf,
    tracer: tracing.tracer,
    schemaSampler: new RateLimiter(60_000, 60_000),
  }).engine;
  // The first span after the start, and the one that is a sign of life.
  begin(quiet, '/first').end('complete');
  begin(quiet, '/heartbeat').end('complete');
});
beforeEach(async () => {
  await tracing.flush();
  agent.spans.length = 0;
});
afterAll(() => agent.stop());

function begin(
  engine: TestEngine,
  target: string,
  headers: HeaderList = [['host', 'shop.test']],
): Transaction {
  return engine.transactionOf(engine.requestHeaders(requestHead(target, headers), 60_000).transaction);
}

const json = { status: 200, headers: [['content-type', 'application/json']] } as const;
const chunk = (text: string) => ({ bytes: Buffer.from(text), declaredSize: undefined });

describe('with APM off, kept is', () => {
  it('no clean transaction', async () => {
    for (let index = 0; index < 100; index += 1) begin(quiet, `/clean/${index}`).end('complete');
    await tracing.flush();
    expect(agent.spans).toEqual([]);
  });

  it('the first after each change of the rules, with the WAF and the Remote Config client', async () => {
    facts = { libraryVersion: '1.0.0', rulesetVersion: 'test-2', generation: 1 };
    for (const target of ['/changed', '/after']) begin(quiet, target).end('complete');
    await tracing.flush();
    expect(agent.spans.map(({ resource }) => resource)).toEqual(['GET /changed']);
    expect(agent.spans[0]).toMatchObject({
      meta: {
        '_dd.appsec.waf.version': '1.0.0',
        '_dd.rc.client_id': 'client-1',
        '_dd.appsec.event_rules.version': 'test-2',
        '_dd.p.dm': '-5',
      },
      metrics: { _sampling_priority_v1: 2, '_dd.apm.enabled': 0 },
    });
  });

  it('a sample for API Security, with the schemas of all that was seen', async () => {
    const headers: HeaderList = [
      ['host', 'shop.test'],
      ['content-type', 'application/json'],
      ['cookie', 'a=1'],
    ];
    const { id } = begin(sampling, '/api?b=2', headers);
    await sampling.requestBody(id, chunk('{"name":"x","age":3}'), 60_000);
    sampling.responseHeaders(id, json, 60_000);
    await sampling.responseBody(id, chunk('{"ok":true}'), 60_000);
    await tracing.flush();
    const { meta, metrics } = agent.spanOf('GET /api');
    expect(metrics['_sampling_priority_v1']).toBe(2);
    // The binding gives every number as a double: 16, where Datadog's Go proxy says 4 for integers.
    expect(JSON.parse(meta['_dd.appsec.s.req.body'] ?? '')).toEqual([{ name: [8], age: [16] }]);
    expect(JSON.parse(meta['_dd.appsec.s.res.body'] ?? '')).toEqual([{ ok: [2] }]);
    expect(JSON.parse(meta['_dd.appsec.s.req.query'] ?? '')).toEqual([{ b: [[[8]], { len: 1 }] }]);
    for (const part of ['req.headers', 'req.cookies', 'res.headers']) {
      expect(() => JSON.parse(meta[`_dd.appsec.s.${part}`] ?? '')).not.toThrow();
    }
    expect(meta).not.toHaveProperty(['_dd.appsec.s.req.params']);
    expect(meta).not.toHaveProperty(['appsec.event']);
  });

  it('a sample without the schema of a response that was blocked', async () => {
    const { id } = begin(sampling, '/blocked');
    sampling.responseHeaders(id, json, 60_000);
    await sampling.responseBody(id, chunk('{"a":"attack-block"}'), 60_000);
    await tracing.flush();
    const { meta } = agent.spanOf('GET /blocked');
    expect(meta).toMatchObject({ 'appsec.blocked': 'true', '_dd.appsec.s.req.headers': expect.any(String) });
    expect(Object.keys(meta).filter((name) => name.startsWith('_dd.appsec.s.res.'))).toEqual([]);
  });

  it('a trace that upstream kept in the name of AppSec, and no other', async () => {
    const from = (tags: string): HeaderList => [
      ['x-datadog-trace-id', '77'],
      ['x-datadog-parent-id', '78'],
      ['x-datadog-sampling-priority', '2'],
      ['x-datadog-tags', tags],
    ];
    const marked = begin(quiet, '/marked', from('_dd.p.ts=02,_dd.p.dm=-5'));
    const other = begin(quiet, '/other', from('_dd.p.dm=-4'));
    const given = [marked, other].map((each) => Object.fromEntries(each.trace.propagation(each)));
    for (const each of [marked, other]) each.end('complete');
    await tracing.flush();
    expect(agent.spans.map(({ resource }) => resource)).toEqual(['GET /marked']);
    expect(String(agent.spanOf('GET /marked').parent_id)).toBe('78');
    expect(given[0]).toMatchObject({ 'x-datadog-trace-id': '77', 'x-datadog-parent-id': marked.id });
    expect(given[1]).toEqual({});
  });
});

describe('with APM off, the origin gets', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  it('nothing of a clean request in any style, its baggage included: it passes as it is', () => {
    const transaction = begin(quiet, '/clean', [
      ['traceparent', traceparent],
      ['baggage', 'user.id=7'],
    ]);
    expect(transaction.propagation()).toEqual([]);
  });

  it("an attack's trace in every style that is named, continuing the client's", () => {
    const transaction = begin(quiet, '/?q=attack-report', [
      ['traceparent', traceparent],
      ['tracestate', 'other=1'],
      ['baggage', 'user.id=7,x=%20'],
    ]);
    const given = Object.fromEntries(transaction.propagation());
    const spanId = BigInt(transaction.id).toString(16).padStart(16, '0');
    expect(given['traceparent']).toBe(`00-0af7651916cd43dd8448eb211c80319c-${spanId}-01`);
    expect(given['tracestate']).toMatch(/^dd=.*t\.ts:02.*,other=1$/);
    expect(given['baggage']).toBe('user.id=7,x=%20');
    expect(given['x-datadog-parent-id']).toBe(transaction.id);
  });

  it('no baggage of another request', () => {
    begin(quiet, '/?q=attack-report', [
      ['traceparent', traceparent],
      ['baggage', 'user.id=7'],
    ]);
    const next = begin(quiet, '/?q=attack-report', []);
    expect(next.trace.propagation(next).map(([name]) => name)).not.toContain('baggage');
  });
});
