// Every tag of the spans that tell of trouble, with APM on, through real HAProxy: see whole-span.ts.
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection, requestBytes } from './support/http-client.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { shareProxyWithApm } from './support/traced-proxy.ts';
import {
  browser,
  keptByAppSec,
  page,
  readable,
  requestOf,
  responseOf,
  sampledByDefault,
  wholeSpan,
} from './support/whole-span.ts';

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
    {
      DD_HAPROXY_SPOA_MAX_TRANSACTIONS: '1',
      DD_HAPROXY_SPOA_ENGINE_THREADS: '1',
      DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '0',
    },
    { env: { DD_SPOA_TIMEOUT: '2s' } },
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

  it('of one that had to make room, and of its response, which is analysed alone, in the same trace', async () => {
    const connection = await unfinished('PUT', '/echo?is=evicted');
    await fetchOnce(proxy().httpPort, { target: '/next', headers: browser });
    const evicted = await proxy().span('PUT /echo');
    expect(readable(evicted)).toEqual(incomplete('PUT', 'evicted'));
    connection.write('0');
    expect((await connection.response('PUT')).status).toBe(200);
    connection.close();
    expect(readable(await proxy().span('http.request'))).toEqual(
      wholeSpan(responseOf(200, 'application/octet-stream', 10), {
        fields: { resource: 'http.request', trace_id: evicted.trace_id, parent_id: evicted.span_id },
        // Its request was not looked at together with it.
        meta: { '_dd.p.tid': evicted.meta['_dd.p.tid'], 'appsec_edge.partial': 'true' },
        metrics: { _sampling_priority_v1: 1, '_dd.top_level': undefined },
      }),
    );
  });
});
