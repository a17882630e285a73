// Every tag of the spans that a Datadog customer gets with APM on, through real HAProxy: see whole-span.ts.
import { expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import { type ConfFile, uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { shareProxyWithApm } from './support/traced-proxy.ts';
import {
  browser,
  detected,
  jsonBody,
  type Layer,
  page,
  readable,
  requestOf,
  responseOf,
  sampledByDefault,
  wholeSpan,
} from './support/whole-span.ts';

/** Each with a value of its own. */
const collected = Object.fromEntries(
  [
    ...['accept', 'accept-encoding', 'accept-language', 'akamai-user-risk', 'cf-ray', 'content-type'],
    ...['cloudfront-viewer-ja3-fingerprint', 'content-encoding', 'content-language', 'user-agent', 'via'],
    ...['x-amzn-trace-id', 'x-appgw-trace-id', 'x-cloud-trace-context', 'x-forwarded', 'x-sigsci-requestid'],
    ...['x-sigsci-tags', 'x-real-ip', 'true-client-ip', 'x-client-ip', 'forwarded', 'forwarded-for'],
    ...['x-cluster-client-ip', 'fastly-client-ip', 'cf-connecting-ip', 'cf-connecting-ipv6', 'x-edge-ip'],
    ...['x-datadog-endpoint-scan', 'x-datadog-security-test', 'x-forwarded-for'],
  ].map((name) => [name, `value of ${name}`]),
);

/** With a header configured, no other tells the address. */
const configuredIp: Layer = { meta: { 'http.client_ip': '127.0.0.1' } };

describeEachHaproxy('whole spans, with APM on', (binary) => {
  const proxy = shareProxyWithApm(binary, {
    DD_TRACE_PROPAGATION_STYLE: 'tracecontext,datadog,baggage',
    DD_TRACE_CLIENT_IP_HEADER: 'x-edge-ip',
  });
  const ask = (parts: RequestParts): Promise<unknown> =>
    fetchOnce(proxy().httpPort, { headers: browser, ...parts });

  it('of a clean transaction', async () => {
    await ask({ target: '/clean' });
    expect(readable(await proxy().span('GET /clean'))).toEqual(
      wholeSpan(sampledByDefault, requestOf('GET', '/clean'), page, configuredIp),
    );
  });

  it('of a transaction that the origin failed', async () => {
    await ask({ target: '/status/503' });
    expect(readable(await proxy().span('GET /status/503'))).toEqual(
      wholeSpan(
        ...[sampledByDefault, requestOf('GET', '/status/503'), responseOf(503, 'text/plain'), configuredIp],
        {
          fields: { error: 1 },
          meta: {
            ...{ 'http.endpoint': '/status/{param:int}' },
            ...{ 'error.type': '503', 'error.message': '503: Service Unavailable' },
          },
        },
      ),
    );
  });

  it('of a body of which HAProxy had room for a part', async () => {
    const body = JSON.stringify({ filler: 'x'.repeat(500_000) });
    await ask({
      ...{ method: 'POST', target: '/large', headers: { ...browser, 'content-type': 'application/json' } },
      body,
    });
    expect(readable(await proxy().span('POST /large'))).toEqual(
      wholeSpan(
        ...[sampledByDefault, requestOf('POST', '/large'), jsonBody(body.length), page, configuredIp],
        { meta: { 'appsec_edge.partial': 'true' } },
      ),
    );
  });

  it("of a client's trace, with every header that is collected", async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const trace = { traceparent, tracestate: 'dd=s:2;t.dm:-4', baggage: 'user.id=7,account.id=8,other=9' };
    await ask({ target: '/all', headers: { ...collected, ...trace, 'x-edge-ip': '198.51.100.9' } });
    expect(readable(await proxy().span('GET /all'))).toEqual(
      wholeSpan(requestOf('GET', '/all'), page, {
        fields: { trace_id: 0x8448eb211c80319cn, parent_id: 0xb7ad6b7169203331n },
        meta: {
          ...Object.fromEntries(
            Object.entries(collected).map(([name, value]) => [`http.request.headers.${name}`, value]),
          ),
          ...{ 'http.client_ip': '198.51.100.9', 'http.request.headers.x-edge-ip': '198.51.100.9' },
          'http.useragent': collected['user-agent'],
          ...{ '_dd.p.tid': '0af7651916cd43dd', '_dd.p.dm': '-4' },
          ...{ 'baggage.user.id': '7', 'baggage.account.id': '8' },
          ...{ '_dd.appsec.fp.session': 'ssn----', '_dd.appsec.fp.http.network': 'net-1-1111111111' },
          '_dd.appsec.fp.http.header': 'hdr-0011000111-83065c8e-16-7ff77c8a',
        },
        metrics: { _sampling_priority_v1: 2, '_dd.top_level': undefined },
      }),
    );
  });
});

/** The examples of the shipped file, as an operator would take them over: `shop.example`, and its `/api/`. */
const nameApplications = (file: ConfFile, text: string): string =>
  ['dd_service) str(shop) ', 'dd_env)', 'dd_version)', 'dd_service) str(shop-api)', 'dd_mode)'].reduce(
    (edited, start) => uncomment('frontend-config.cfg', `http-request set-var(txn.${start}`)(file, edited),
    text,
  );

describeEachHaproxy('whole spans of applications', (binary) => {
  const proxy = shareProxyWithApm(binary, {}, { edit: nameApplications });

  /** What their names change; dd-trace adds the service of the agent, and that ours was set by hand. */
  const named = (host: string, service: string): Layer => ({
    fields: { service },
    meta: {
      'http.host': host,
      'http.request.headers.host': host,
      '_dd.base_service': 'edge',
      '_dd.svc_src': 'm',
    },
  });

  it('of one with a service, environment and version of its own', async () => {
    const headers = { ...browser, host: 'shop.example' };
    await fetchOnce(proxy().httpPort, { target: '/cart', headers });
    expect(readable(await proxy().span('GET /cart'))).toEqual(
      wholeSpan(sampledByDefault, requestOf('GET', '/cart'), page, named('shop.example', 'shop'), {
        meta: { env: 'prod', version: '2026.1', 'http.url': 'http://shop.example/cart' },
      }),
    );
  });

  it('of one that only reports what would be blocked', async () => {
    await fetchOnce(proxy().httpPort, { target: '/api/cart?q=attack-block', headers: browser });
    expect(readable(await proxy().span('GET /api/cart'))).toEqual(
      wholeSpan(
        ...[requestOf('GET', '/api/cart', 'q=attack-block'), page, named('site.example', 'shop-api')],
        detected({
          ...{ rule: 'req-block', name: 'request block', address: 'server.request.query' },
          ...{ keyPath: ['q', '0'], value: 'attack-block', action: 'block' },
        }),
      ),
    );
  });
});
