import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatadogTracing } from '../../src/datadog/tracing.ts';
import type { Application, HeaderList, ResponseHead } from '../../src/engine/http.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import type { Transaction } from '../../src/engine/transaction.ts';
import type { TransactionView } from '../../src/engine/transaction-view.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import { FakeAgent, type ReceivedSpan } from '../support/fake-agent.ts';
import { withProcessors } from '../support/processor-rules.ts';
import { spanSettings } from '../support/span-settings.ts';
import {
  jsonHeaders,
  readFixtureRules,
  requestHead,
  type TestEngine,
  testEngine,
} from '../support/test-engine.ts';
import { startTestTracing } from '../support/test-tracing.ts';

// Every tag that Datadog's own proxies set, with APM on.

let agent: FakeAgent;
let tracing: DatadogTracing;
let engine: TestEngine;

beforeAll(async () => {
  agent = await FakeAgent.start();
  process.env['DD_TRACE_SAMPLING_RULES'] = '[{"resource":"GET /dropped/*","sample_rate":0}]';
  tracing = await startTestTracing(agent, spanSettings(new QueryObfuscator('password=[^&]+')), {
    apmTracingEnabled: true,
  });
  engine = testEngine({
    waf: Waf.load(withProcessors(readFixtureRules()), 'fixture'),
    tracer: tracing.tracer,
  }).engine;
  // The first span after the start is kept in the name of AppSec: span-keep.test.ts.
  begin('/first').end('complete');
});
afterAll(() => agent.stop());

const browser: HeaderList = [
  ['host', 'shop.test'],
  ['user-agent', 'curl/8'],
  ['accept', 'text/html'],
  ['x-forwarded-for', '198.51.100.1'],
];
const ok: ResponseHead = { status: 200, headers: [['content-type', 'text/html']] };

function begin(target: string, headers = browser, application?: Application): Transaction {
  const head = requestHead(target, headers, { application });
  // The engine's own object, also of one that has ended.
  return engine.requestHeaders(head, 60_000).transaction as Transaction;
}

async function spanOf(transaction: TransactionView): Promise<ReceivedSpan> {
  await tracing.flush();
  const found = agent.spans.filter((span) => String(span.span_id) === transaction.id);
  const [span] = found;
  if (span === undefined || found.length > 1) throw new Error(`${found.length} spans of ${transaction.id}`);
  return span;
}

function ruleIds(span: ReceivedSpan): string[] {
  const { triggers } = JSON.parse(span.meta['_dd.appsec.json'] ?? '{"triggers":[]}');
  return triggers.map((trigger: { rule: { id: string } }) => trigger.rule.id);
}

/** Tags that only a detection brings. */
const ofDetection = ['appsec.event', 'appsec.blocked', '_dd.appsec.json', '_dd.origin', '_dd.p.ts'];

describe('the span of a clean transaction', () => {
  it('has these tags', async () => {
    const transaction = begin('/users/4711?a=1');
    engine.responseHeaders(transaction.id, ok, 60_000);
    const span = await spanOf(transaction);
    expect(span).toMatchObject({
      ...{ name: 'http.request', type: 'web', service: 'spoa-test', resource: 'GET /users/4711', error: 0 },
    });
    expect(span.meta).toMatchObject({
      ...{ env: 'test', version: '1.2.3', 'span.kind': 'server', component: 'haproxy-spoa' },
      ...{ 'http.method': 'GET', 'http.url': 'http://shop.test/users/4711?a=1', 'http.host': 'shop.test' },
      ...{ 'http.useragent': 'curl/8', 'http.status_code': '200', 'http.endpoint': '/users/{param:int}' },
      ...{ 'network.client.ip': '203.0.113.7', 'http.client_ip': '198.51.100.1' },
      ...{ 'http.request.headers.accept': 'text/html', 'http.response.headers.content-type': 'text/html' },
      ...{ '_dd.runtime_family': 'nodejs', '_dd.appsec.event_rules.version': 'test-1' },
      '_dd.p.tid': expect.stringMatching(/^[0-9a-f]{16}$/),
      '_dd.appsec.fp.http.header': expect.stringMatching(/^hdr-/),
      '_dd.appsec.fp.http.network': expect.stringMatching(/^net-/),
    });
    expect(span.metrics).toMatchObject({
      ...{ '_dd.measured': 1, '_dd.appsec.enabled': 1, '_dd.appsec.rasp.duration_ext': 0 },
      '_dd.appsec.waf.duration': expect.any(Number),
      '_dd.appsec.waf.duration_ext': expect.any(Number),
    });
    for (const name of [...ofDetection, 'http.route', 'error.message']) {
      expect(span.meta).not.toHaveProperty([name]);
    }
    for (const name of ['_dd.appsec.waf.timeouts', '_dd.appsec.waf.error', '_dd.apm.enabled']) {
      expect(span.metrics).not.toHaveProperty([name]);
    }
  });

  it('is an error with a message when the origin fails', async () => {
    const transaction = begin('/');
    engine.responseHeaders(transaction.id, { status: 503, headers: [] }, 60_000);
    const span = await spanOf(transaction);
    expect(span.error).toBe(1);
    expect(span.meta).toMatchObject({
      ...{ 'http.status_code': '503', 'error.message': '503: Service Unavailable', 'error.type': '503' },
    });
  });

  it('carries what of the baggage is known to be an identity', async () => {
    const transaction = begin('/', [
      ['x-datadog-trace-id', '1'],
      ['x-datadog-parent-id', '2'],
      ['baggage', 'user.id=7,secret=x'],
    ]);
    transaction.end('complete');
    const span = await spanOf(transaction);
    // The propagation style is Datadog's alone unless told otherwise: baggage is not read.
    expect(span.meta).not.toHaveProperty(['baggage.user.id']);
  });
});

describe('the span of an attack', () => {
  it('that is reported has the events, and is kept in the name of AppSec', async () => {
    const transaction = begin('/?q=attack-report');
    engine.responseHeaders(transaction.id, ok, 60_000);
    const span = await spanOf(transaction);
    expect(span.meta).toMatchObject({
      ...{ 'appsec.event': 'true', '_dd.origin': 'appsec', '_dd.p.ts': '02', '_dd.p.dm': '-5' },
      'http.status_code': '200',
    });
    expect(span.metrics['_sampling_priority_v1']).toBe(2);
    expect(span.meta).not.toHaveProperty(['appsec.blocked']);
    expect(ruleIds(span)).toEqual(['report-1', 'report-2']);
  });

  it.each([
    ['/?q=attack-block', '403', 'block-1'],
    ['/?q=attack-json', '418', 'block-json'],
    ['/?q=attack-redirect', undefined, 'redirect-1'],
  ])('that is answered on the request, %s, has our status', async (target, status, rule) => {
    const transaction = begin(target);
    const span = await spanOf(transaction);
    const { verdict } = transaction;
    const shown = 'status' in verdict ? String(verdict.status) : '';
    if (status === undefined) expect(shown).toMatch(/^3\d\d$/);
    expect(span.meta).toMatchObject({ 'appsec.blocked': 'true', 'appsec.event': 'true' });
    expect(span.meta['http.status_code']).toBe(status ?? shown);
    expect(ruleIds(span)).toEqual([rule]);
  });

  it('that is blocked on the response has our status and none of the headers of the origin', async () => {
    const transaction = begin('/');
    const headers: HeaderList = [
      ['x-leak', 'attack-block'],
      ['content-type', 'text/html'],
    ];
    engine.responseHeaders(transaction.id, { status: 500, headers }, 60_000);
    const span = await spanOf(transaction);
    expect(span.meta).toMatchObject({ 'appsec.blocked': 'true', 'http.status_code': '403' });
    expect(span.error).toBe(0);
    expect(span.meta).not.toHaveProperty(['http.response.headers.content-type']);
    expect(ruleIds(span)).toEqual(['response-header']);
  });

  it('in the body of a request, and of a response', async () => {
    const inRequest = begin('/', jsonHeaders);
    await engine.requestBody(
      inRequest.id,
      { bytes: Buffer.from('{"a":"attack-block"}'), declaredSize: undefined },
      60_000,
    );
    expect(await spanOf(inRequest)).toMatchObject({ meta: { 'appsec.blocked': 'true' } });
    expect(ruleIds(await spanOf(inRequest))).toEqual(['block-1']);

    const inResponse = begin('/');
    const headers: HeaderList = [['content-type', 'application/json']];
    engine.responseHeaders(inResponse.id, { status: 200, headers }, 60_000);
    await engine.responseBody(
      inResponse.id,
      { bytes: Buffer.from('{"a":"attack-report"}'), declaredSize: undefined },
      60_000,
    );
    const span = await spanOf(inResponse);
    expect(span.meta).toMatchObject({ 'appsec.event': 'true', 'http.status_code': '200' });
    expect(ruleIds(span)).toEqual(['response-report']);
  });

  it('found in the response is kept in the name of AppSec too, although the trace went on before', async () => {
    const transaction = begin('/');
    expect(Object.fromEntries(transaction.propagation())).toMatchObject({
      ...{ 'x-datadog-sampling-priority': '1', 'x-datadog-trace-id': expect.any(String) },
    });
    engine.responseHeaders(transaction.id, { status: 200, headers: [['x-a', 'attack-report']] }, 60_000);
    const span = await spanOf(transaction);
    expect(span.metrics['_sampling_priority_v1']).toBe(2);
    expect(span.meta).toMatchObject({ '_dd.p.dm': '-5', '_dd.p.ts': '02' });
  });

  it('keeps the origin that came with the request', async () => {
    const transaction = begin('/?q=attack-report', [
      ['x-datadog-trace-id', '1'],
      ['x-datadog-parent-id', '2'],
      ['x-datadog-origin', 'synthetics'],
    ]);
    transaction.end('complete');
    expect((await spanOf(transaction)).meta['_dd.origin']).toBe('synthetics');
  });
});

describe('the span of a WAF in trouble', () => {
  it('counts runs that timed out', async () => {
    const { engine: hurried } = testEngine({ wafTimeoutUs: 1, tracer: tracing.tracer });
    const { transaction } = hurried.requestHeaders(requestHead('/?q=attack-report'), 60_000);
    hurried.responseHeaders(transaction.id, ok, 60_000);
    expect((await spanOf(transaction)).metrics['_dd.appsec.waf.timeouts']).toBeGreaterThan(0);
  });

  it('names the first error, and cuts its message', async () => {
    const transaction = begin('/');
    transaction.waf.errorCode = -127;
    transaction.waf.errorMessage = 'x'.repeat(1000);
    transaction.end('complete');
    const span = await spanOf(transaction);
    expect(span.metrics['_dd.appsec.waf.error']).toBe(-127);
    expect(span.meta).toMatchObject({
      ...{ '_dd.appsec.error.type': 'appsec::waf::exception', '_dd.appsec.error.message': 'x'.repeat(512) },
    });
  });

  it('says what was cut, and a long value is not: all of it is looked at', async () => {
    const long = begin(`/?q=${'x'.repeat(9000)}attack-report`);
    long.end('complete');
    const whole = await spanOf(long);
    expect(ruleIds(whole)).toContain('report-1');
    expect(whole.metrics).not.toHaveProperty(['_dd.appsec.truncated.string_length']);

    const cut = begin('/');
    Object.assign(cut.waf.truncations, { string_length: 5000, container_size: 300, container_depth: 20 });
    cut.end('complete');
    expect((await spanOf(cut)).metrics).toMatchObject({
      '_dd.appsec.truncated.string_length': 5000,
      '_dd.appsec.truncated.container_size': 300,
      '_dd.appsec.truncated.container_depth': 20,
    });
  });
});

describe('sampling', () => {
  it('is decided by rules that look at the resource, before the origin is told', () => {
    const [dropped, kept] = [begin('/dropped/1'), begin('/other')].map((transaction) =>
      Object.fromEntries(transaction.propagation()),
    );
    expect(dropped?.['x-datadog-sampling-priority']).toBe('-1');
    expect(kept?.['x-datadog-sampling-priority']).toBe('1');
  });
});

describe('the span of an application', () => {
  const shop: Application = { service: 'shop', environment: 'prod', version: '9', reportOnly: true };

  it('has its own service, environment and version', async () => {
    const transaction = begin('/?q=attack-block', browser, shop);
    engine.responseHeaders(transaction.id, ok, 60_000);
    const span = await spanOf(transaction);
    expect(span.service).toBe('shop');
    expect(span.meta).toMatchObject({ env: 'prod', version: '9', 'appsec.event': 'true' });
    expect(span.meta).not.toHaveProperty(['appsec.blocked']);
    expect(transaction.wouldBlock).toBe(true);
  });

  it("has the agent's where it names none", async () => {
    const partly = { service: 'shop', environment: undefined, version: undefined, reportOnly: false };
    const transaction = begin('/', browser, partly);
    transaction.end('complete');
    const span = await spanOf(transaction);
    expect([span.service, span.meta['env'], span.meta['version']]).toEqual(['shop', 'test', '1.2.3']);
  });
});
