import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatadogTracing } from '../../src/datadog/tracing.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { spanSettings } from '../support/span-settings.ts';
import { requestHead, type TestEngine, testEngine } from '../support/test-engine.ts';
import { startTestTracing } from '../support/test-tracing.ts';

let agent: FakeAgent;
let tracing: DatadogTracing;
let engine: TestEngine;

beforeAll(async () => {
  agent = await FakeAgent.start();
  tracing = await startTestTracing(agent, spanSettings(new QueryObfuscator('')), {
    environment: undefined,
    agentHost: 'ignored.invalid',
    agentPort: 1,
    agentUrl: `http://127.0.0.1:${agent.port}`,
    apmTracingEnabled: true,
  });
  engine = testEngine({ tracer: tracing.tracer }).engine;
});
afterAll(() => agent.stop());

describe('with APM on', () => {
  it('every request is a trace, and the origin is told of it', async () => {
    const { transaction } = engine.requestHeaders(requestHead('/a/b?c=d'), 60_000);
    const propagation = Object.fromEntries(transaction.propagation());
    engine.responseHeaders(transaction.id, { status: 503, headers: [] }, 60_000);
    await tracing.flush();
    const span = agent.spanOf('GET /a/b');
    expect(span.meta).toMatchObject({ 'http.status_code': '503' });
    expect(span.meta).not.toHaveProperty(['appsec.event']);
    expect(span.metrics).not.toHaveProperty(['_dd.apm.enabled']);
    expect(span.error).toBe(1);
    expect(propagation).toMatchObject({
      'x-datadog-trace-id': String(span.trace_id),
      'x-datadog-parent-id': transaction.id,
    });
  });

  it('a request without method, target and headers has a span all the same', async () => {
    const head = requestHead('', [], { method: '' });
    const { transaction } = engine.requestHeaders(head, 60_000);
    engine.responseHeaders(transaction.id, { status: 200, headers: [] }, 60_000);
    await tracing.flush();
    const span = agent.spans.find((other) => String(other.span_id) === transaction.id);
    expect(span?.meta).toMatchObject({ 'http.status_code': '200' });
  });
});
