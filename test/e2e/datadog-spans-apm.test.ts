// Every tag of the spans that a Datadog customer gets with APM on, and of those that tell of trouble, through real
// HAProxy: see whole-span.ts.
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection, type RequestParts, requestBytes } from './support/http-client.ts';
import { describeEachHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';
import { shareTracedProxy, type TracedProxy } from './support/traced-proxy.ts';
import {
  browser,
  keptByAppSec,
  type Layer,
  page,
  readable,
  requestOf,
  responseOf,
  wholeSpan,
} from './support/whole-span.ts';

/** Kept because nothing said otherwise, as dd-trace decides with APM on; `_dd.agent_psr` is its own rate. */
const sampledByDefault: Layer = {
  meta: { '_dd.p.dm': '-0' },
  metrics: { _sampling_priority_v1: 1, '_dd.agent_psr': 1 },
};

function shareProxyWithApm(
  binary: FoundHaproxy,
  daemonEnv: Record<string, string> = {},
  env: Record<string, string> = {},
): () => TracedProxy {
  const apm = { DD_APM_TRACING_ENABLED: 'true', DD_API_SECURITY_ENABLED: 'false' };
  return shareTracedProxy(binary, { daemonEnv: { ...apm, ...daemonEnv }, env });
}

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

/** With a header configured, no other tells the address. */
const configuredIp: Layer = { meta: { 'http.client_ip': '127.0.0.1' } };

describeEachHaproxy('whole spans of a WAF that has no time', (binary) => {
  const proxy = shareProxyWithApm(binary, { DD_APPSEC_WAF_TIMEOUT: '1us' });

  it('of a transaction that nobody looked at', async () => {
    await fetchOnce(proxy().httpPort, { target: '/hurried', headers: browser });
    // How many fingerprints it came to is luck.
    expect(withoutFingerprints(readable(await proxy().span('GET /hurried')))).toEqual(
      withoutFingerprints(
        wholeSpan(sampledByDefault, requestOf('GET', '/hurried'), page, {
          meta: { 'appsec_edge.partial': 'true' },
          metrics: { '_dd.appsec.waf.timeouts': 2 },
        }),
      ),
    );
  });
});

function withoutFingerprints(span: Record<string, unknown>): unknown {
  const meta = Object.entries(span['meta'] as Record<string, unknown>);
  return { ...span, meta: Object.fromEntries(meta.filter(([name]) => !name.startsWith('_dd.appsec.fp.'))) };
}

describeEachHaproxy('whole spans beyond the rate limit', (binary) => {
  const proxy = shareProxyWithApm(binary, { DD_APPSEC_TRACE_RATE_LIMIT: '1' });

  it('of a detection that is only counted', async () => {
    const paths = ['/limit/0', '/limit/1', '/limit/2', '/limit/3', '/limit/4'];
    const query = 'q=attack-report';
    await Promise.all(
      paths.map((path) => fetchOnce(proxy().httpPort, { target: `${path}?${query}`, headers: browser })),
    );
    const spans = await Promise.all(paths.map((path) => proxy().span(`GET ${path}`)));
    const limited = spans.filter(({ metrics }) => '_dd.appsec.rate_limited' in metrics);
    expect(limited.length).toBeGreaterThan(0);
    // The WAF asks to keep what it detected, reported or not.
    for (const span of limited) {
      expect(readable(span)).toEqual(
        wholeSpan(keptByAppSec, requestOf('GET', span.resource.slice('GET '.length), query), page, {
          metrics: { '_dd.appsec.rate_limited': 1 },
        }),
      );
    }
  });
});

describeEachHaproxy('whole spans of transactions without an end', (binary) => {
  const proxy = shareProxyWithApm(
    binary,
    { DD_HAPROXY_SPOA_MAX_TRANSACTIONS: '1', DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '0' },
    { DD_SPOA_TIMEOUT: '2s' },
  );

  /** A request whose body lacks its last byte, once it reached the origin. */
  const unfinished = async (method: string, target: string): Promise<Http1Connection> => {
    const connection = new Http1Connection(proxy().httpPort);
    const headers = { ...browser, 'content-length': '10', 'content-type': 'application/octet-stream' };
    connection.write(requestBytes({ method, target, headers }));
    connection.write('123456789');
    await expect.poll(() => proxy().reached(target)).toBe(true);
    return connection;
  };
  const incomplete = (method: string, reason: string): unknown =>
    wholeSpan(sampledByDefault, requestOf(method, '/echo', `is=${reason}`), {
      meta: {
        'appsec_edge.incomplete': reason,
        'http.request.headers.content-length': '10',
        'http.request.headers.content-type': 'application/octet-stream',
        '_dd.appsec.fp.http.header': 'hdr-0000000110-d26c0650-4-5ba7b85e',
      },
    });

  it('of one whose client left', async () => {
    const connection = await unfinished('POST', '/echo?is=expired');
    connection.close();
    expect(readable(await proxy().span('POST /echo'))).toEqual(incomplete('POST', 'expired'));
  });

  it('of one that had to make room, and of its response, which is all that is left', async () => {
    const connection = await unfinished('PUT', '/echo?is=evicted');
    await fetchOnce(proxy().httpPort, { target: '/next', headers: browser });
    expect(readable(await proxy().span('PUT /echo'))).toEqual(incomplete('PUT', 'evicted'));
    connection.write('0');
    expect((await connection.response('PUT')).status).toBe(200);
    connection.close();
    expect(readable(await proxy().span('http.request'))).toEqual(
      wholeSpan(sampledByDefault, responseOf(200, 'application/octet-stream', 10), {
        fields: { resource: 'http.request' },
      }),
    );
  });
});
