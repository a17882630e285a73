// Every tag of the spans that API Security samples, through real HAProxy: see whole-span.ts.
import { expect, it } from 'vitest';
import { fetchOnce } from './support/http-client.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { shareTracedProxy } from './support/traced-proxy.ts';
import {
  answeredByUs,
  apmOff,
  browser,
  detected,
  endpointFingerprint,
  jsonBody,
  keptByAppSec,
  page,
  readable,
  requestOf,
  responseOf,
  wholeSpan,
} from './support/whole-span.ts';

/** One text. */
const one = [[[8]], { len: 1 }];
/** As Datadog's scanners classify it. */
const oneBearerToken = [[[8, { category: 'credentials', type: 'bearer_token' }]], { len: 1 }];
const schemaOf = (...names: readonly string[]): unknown => [
  Object.fromEntries(names.map((name) => [name, one])),
];
const requestSchemas = (...headers: readonly string[]): Record<string, unknown> => ({
  '_dd.appsec.s.req.headers': [
    {
      ...Object.fromEntries(Object.keys(browser).map((name) => [name, one])),
      ...Object.fromEntries(['host', ...headers].map((name) => [name, one])),
      ...{ authorization: oneBearerToken, cookie: undefined },
    },
  ],
  '_dd.appsec.s.req.cookies': schemaOf('session'),
});

describeEachHaproxy('whole spans of API Security, with APM off', (binary) => {
  // Which requests are sampled depends on those before.
  const proxy = shareTracedProxy(binary, { ownDaemon: true });

  it('of a sample with bodies in both directions', async () => {
    const body = '{"name":"x","tags":["a","b"],"age":3,"ok":true,"none":null}';
    const request = {
      method: 'POST',
      target: '/json?page=2',
      headers: { ...browser, 'content-type': 'application/json' },
      body,
    };
    await fetchOnce(proxy().httpPort, request);
    expect(readable(await proxy().span('POST /json'))).toEqual(
      wholeSpan(
        ...[apmOff, keptByAppSec, requestOf('POST', '/json', 'page=2'), jsonBody(body.length)],
        responseOf(200, 'application/json', 29),
        {
          meta: {
            ...requestSchemas('content-type', 'content-length'),
            '_dd.appsec.s.req.query': schemaOf('page'),
            '_dd.appsec.s.req.body': [
              { name: [8], tags: [[[8]], { len: 2 }], age: [16], ok: [2], none: [1] },
            ],
            '_dd.appsec.s.res.headers': schemaOf('content-type', 'content-length', 'date', 'keep-alive'),
            '_dd.appsec.s.res.body': [{ hello: [8], filler: [8] }],
          },
        },
      ),
    );
  });

  it('of a sample whose response was blocked, without the schema of that', async () => {
    await fetchOnce(proxy().httpPort, { target: '/say?leak=leak-block', headers: browser });
    expect(readable(await proxy().span('GET /say'))).toEqual(
      wholeSpan(
        ...[apmOff, requestOf('GET', '/say', 'leak=leak-block'), answeredByUs(403)],
        detected({
          ...{ rule: 'res-body-block', name: 'response body block', address: 'server.response.body' },
          ...{ keyPath: ['leak'], value: 'leak-block', action: 'block' },
        }),
        { meta: { ...requestSchemas(), '_dd.appsec.s.req.query': schemaOf('leak') } },
      ),
    );
  });

  it('of a sample without body, query, cookie or header', async () => {
    await fetchOnce(proxy().httpPort, { target: '/bare' });
    expect(readable(await proxy().span('GET /bare'))).toEqual(
      wholeSpan(apmOff, keptByAppSec, page, {
        fields: { resource: 'GET /bare' },
        meta: {
          ...{ 'http.method': 'GET', 'http.url': 'http://site.example/bare', 'http.endpoint': '/bare' },
          ...{ 'http.host': 'site.example', 'http.request.headers.host': 'site.example' },
          ...{ 'http.useragent': '', 'network.client.ip': '127.0.0.1', 'http.client_ip': '127.0.0.1' },
          '_dd.appsec.fp.http.endpoint': endpointFingerprint('GET', '/bare'),
          '_dd.appsec.fp.http.header': 'hdr-0000000000--1-4740ae63',
          ...{ '_dd.appsec.fp.http.network': 'net-0-0000000000', '_dd.appsec.fp.session': 'ssn----' },
          '_dd.appsec.s.req.headers': schemaOf('host'),
          ...{ '_dd.appsec.s.req.query': [{}], '_dd.appsec.s.req.cookies': [{}] },
          '_dd.appsec.s.res.headers': schemaOf('content-type', 'content-length', 'date', 'keep-alive'),
        },
      }),
    );
  });
});
