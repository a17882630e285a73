// What a Datadog customer sees of traffic through real HAProxy, and how a trace goes on to the origin.
import { expect, it } from 'vitest';
import { fetchOnce, header } from './support/http-client.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { ruleIdsOf, shareTracedProxy } from './support/traced-proxy.ts';

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
    for (let index = 0; index < 300; index += 1)
      await fetchOnce(proxy().httpPort, { target: `/clean/${index}` });
    await fetchOnce(proxy().httpPort, { target: '/last?q=attack-report' });
    await proxy().span('GET /last');
    const clean = proxy().agent.spans.filter(({ resource }) => resource.startsWith('GET /clean/'));
    expect(clean.length).toBeLessThanOrEqual(2);
    expect(clean[0]).toMatchObject({
      ...{ name: 'http.request', type: 'web', service: 'edge', error: 0 },
      meta: {
        ...{ env: 'e2e', version: '7', 'span.kind': 'server', component: 'haproxy-spoa' },
        ...{ 'http.method': 'GET', 'http.status_code': '200', 'http.useragent': '' },
        ...{ 'network.client.ip': '127.0.0.1', '_dd.appsec.waf.version': expect.stringMatching(/^\d/) },
        ...{ '_dd.appsec.event_rules.version': 'e2e-1', '_dd.runtime_family': 'nodejs' },
      },
      metrics: { '_dd.appsec.enabled': 1, '_dd.measured': 1, '_dd.apm.enabled': 0 },
    });
    expect(clean[0]?.meta).not.toHaveProperty(['appsec.event']);
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

  it("join client, HAProxy and origin of an attack in the client's trace", async () => {
    const headers = { ...client, 'user-agent': 'curl/8', 'x-forwarded-for': '198.51.100.1' };
    await fetchOnce(proxy().httpPort, { target: '/reported?q=attack-report', headers });
    const span = await proxy().span('GET /reported');
    expect([span.trace_id, span.parent_id].map(String)).toEqual(['1234567890', '987654321']);
    expect(span.meta).toMatchObject({
      ...{ 'appsec.event': 'true', '_dd.origin': 'appsec', '_dd.p.ts': '02', '_dd.p.dm': '-5' },
      ...{ 'http.client_ip': '198.51.100.1', 'http.useragent': 'curl/8', 'http.endpoint': '/reported' },
      '_dd.appsec.fp.http.header': expect.any(String),
    });
    expect(span.metrics['_sampling_priority_v1']).toBe(2);
    expect(ruleIdsOf(span)).toEqual(['req-report']);
    const arrived = proxy().origin.requests.find(({ target }) => target.startsWith('/reported'));
    expect(arrived?.headers).toMatchObject({
      ...{ 'x-datadog-trace-id': '1234567890', 'x-datadog-parent-id': String(span.span_id) },
      ...{ 'x-datadog-sampling-priority': '2', 'x-datadog-tags': expect.stringContaining('_dd.p.ts=02') },
    });
  });

  it.each([
    ['a request', '/b1?q=attack-block', 403, 'req-block'],
    ['a request, with its own status', '/b2?q=attack-teapot', 418, 'req-teapot'],
    ['a redirected request', '/b3?q=attack-redirect', 307, 'req-redirect'],
  ])('say of %s that it was answered by us', async (_what, target, status, rule) => {
    const response = await fetchOnce(proxy().httpPort, { target });
    expect(response.status).toBe(status);
    const span = await proxy().span(`GET ${target.slice(0, 3)}`);
    expect(span.meta).toMatchObject({ 'appsec.blocked': 'true', 'http.status_code': String(status) });
    expect(ruleIdsOf(span)).toEqual([rule]);
    expect(span.meta['_dd.appsec.json']).toContain('security_response_id');
    expect(header(response, 'x-leak')).toBeUndefined();
  });

  it.each([
    ['headers', 'OPTIONS', 'header=leak-block', 'res-header-block'],
    ['body', 'PUT', 'leak=leak-block', 'res-body-block'],
  ])('say of a response that its %s got it blocked', async (_what, method, query, rule) => {
    const { status } = await fetchOnce(proxy().httpPort, { method, target: `/say?${query}` });
    expect(status).toBe(403);
    const span = await proxy().span(`${method} /say`);
    expect(span.meta).toMatchObject({ 'appsec.blocked': 'true', 'http.status_code': '403' });
    expect(span.meta).not.toHaveProperty(['http.response.headers.content-type']);
    expect(ruleIdsOf(span)).toEqual([rule]);
  });

  it('name the attack in a request body', async () => {
    const headers = { 'content-type': 'application/json' };
    await fetchOnce(proxy().httpPort, {
      method: 'POST',
      target: '/body',
      headers,
      body: '{"a":"attack-report"}',
    });
    expect(ruleIdsOf(await proxy().span('POST /body'))).toEqual(['req-report']);
  });

  it('are errors when the origin fails', async () => {
    await fetchOnce(proxy().httpPort, { target: '/status/507' });
    const span = await proxy().span('GET /status/507');
    expect(span.error).toBe(1);
    expect(span.meta['error.message']).toBe('507: Insufficient Storage');
  });
});

describeEachHaproxy('spans for API Security, with APM off', (binary) => {
  const proxy = shareTracedProxy(binary);

  it('carry the schemas of request and response, bodies included', async () => {
    const headers = { 'content-type': 'application/json', cookie: 'c=1' };
    const body = '{"name":"x"}';
    await fetchOnce(proxy().httpPort, { method: 'POST', target: '/json?page=2', headers, body });
    const { meta, metrics } = await proxy().span('POST /json');
    expect(metrics['_sampling_priority_v1']).toBe(2);
    expect(JSON.parse(meta['_dd.appsec.s.req.body'] ?? '')).toEqual([{ name: [8] }]);
    expect(JSON.parse(meta['_dd.appsec.s.res.body'] ?? '')).toEqual([{ hello: [8], filler: [8] }]);
    for (const part of ['req.headers', 'req.cookies', 'req.query', 'res.headers']) {
      expect(meta[`_dd.appsec.s.${part}`]).toMatch(/^\[/);
    }
    expect(meta).not.toHaveProperty(['appsec.event']);
  });

  it('leave out the response that was blocked', async () => {
    await fetchOnce(proxy().httpPort, { target: '/say?leak=leak-block' });
    const { meta } = await proxy().span('GET /say');
    expect(meta).toMatchObject({ 'appsec.blocked': 'true', '_dd.appsec.s.req.query': expect.any(String) });
    expect(Object.keys(meta).filter((name) => name.startsWith('_dd.appsec.s.res.'))).toEqual([]);
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
