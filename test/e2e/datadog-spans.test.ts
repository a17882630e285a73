// Which traffic through real HAProxy becomes spans, and how a trace goes on to the origin. What is in the spans:
// datadog-spans-*.test.ts.
import { expect, it } from 'vitest';
import { fetchOnce } from './support/http-client.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { shareTracedProxy } from './support/traced-proxy.ts';

/** A client that is traced by Datadog. */
const client = {
  'x-datadog-trace-id': '1234567890',
  'x-datadog-parent-id': '987654321',
  'x-datadog-sampling-priority': '1',
};
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describeEachHaproxy('spans, with APM off', (binary) => {
  const proxy = shareTracedProxy(binary, { daemonEnv: { DD_API_SECURITY_ENABLED: 'false' } });

  it('do not flood the Agent with clean traffic', async () => {
    const [startedAtMs, before] = [Date.now(), proxy().agent.spans.length];
    for (let index = 0; index < 300; index += 1)
      await fetchOnce(proxy().httpPort, { target: `/clean/${index}` });
    await fetchOnce(proxy().httpPort, { target: '/last?q=attack-report' });
    await proxy().span('GET /last');
    const minutesBegun = Math.floor((Date.now() - startedAtMs) / 60_000) + 1;
    const sent = proxy().agent.spans.slice(before);
    // A sign of life a minute, and the attack.
    expect(sent.length).toBeLessThanOrEqual(minutesBegun + 1);
    expect(sent.map(({ resource }) => resource)).toContain('GET /last');
  });

  it('give the origin nothing for clean traffic: what the client sent passes', async () => {
    await fetchOnce(proxy().httpPort, { target: '/untouched', headers: { ...client, traceparent } });
    await fetchOnce(proxy().httpPort, { target: '/bare' });
    const [untouched, bare] = ['/untouched', '/bare'].map((target) =>
      proxy().origin.requests.find((request) => request.target === target),
    );
    expect(untouched?.headers).toMatchObject({ ...client, traceparent });
    expect(Object.keys(bare?.headers ?? {}).filter((name) => name.startsWith('x-datadog-'))).toEqual([]);
  });
});

describeEachHaproxy('spans, with APM on and all styles of propagation', (binary) => {
  const proxy = shareTracedProxy(binary, {
    daemonEnv: {
      DD_APM_TRACING_ENABLED: 'true',
      DD_TRACE_PROPAGATION_STYLE: 'tracecontext,datadog,baggage',
    },
  });

  it('continue the trace of a clean request, to the origin', async () => {
    const headers = { traceparent, tracestate: 'other=1', baggage: 'user.id=7,x=%20' };
    await fetchOnce(proxy().httpPort, { target: '/clean', headers });
    const span = await proxy().span('GET /clean');
    const spanId = BigInt(span.span_id).toString(16).padStart(16, '0');
    expect(span.meta['_dd.p.tid']).toBe('0af7651916cd43dd');
    expect(BigInt(span.parent_id)).toBe(0xb7ad6b7169203331n);
    expect(span.meta['baggage.user.id']).toBe('7');
    const arrived = proxy().origin.requests.find(({ target }) => target === '/clean');
    expect(arrived?.headers).toMatchObject({
      traceparent: `00-0af7651916cd43dd8448eb211c80319c-${spanId}-01`,
      tracestate: expect.stringMatching(/^dd=.*,other=1$/),
      baggage: 'user.id=7,x=%20',
      'x-datadog-parent-id': String(span.span_id),
    });
  });

  it('are one a request', async () => {
    for (let index = 0; index < 10; index += 1)
      await fetchOnce(proxy().httpPort, { target: `/each/${index}` });
    for (let index = 0; index < 10; index += 1) {
      expect((await proxy().span(`GET /each/${index}`)).metrics).not.toHaveProperty(['_dd.apm.enabled']);
    }
  });
});
