// Every tag of the spans that a Datadog customer gets with APM off, through real HAProxy: see whole-span.ts.
import { expect, it } from 'vitest';
import { fetchOnce, type RequestParts } from './support/http-client.ts';
import { asm, override } from './support/policy-cases.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';
import { shareTracedProxy } from './support/traced-proxy.ts';
import {
  answeredByUs,
  apmOff,
  browser,
  detected,
  jsonBody,
  keptByAppSec,
  type Layer,
  page,
  readable,
  requestOf,
  responseOf,
  signOfLife,
  wholeSpan,
} from './support/whole-span.ts';

const json = { ...browser, 'content-type': 'application/json' };

/** In the parameter `q` of the query. */
const inQuery = { address: 'server.request.query', keyPath: ['q', '0'] };

describeEachHaproxy('whole spans, with APM off', (binary) => {
  const proxy = shareTracedProxy(binary, {
    ownDaemon: true,
    daemonEnv: {
      DD_API_SECURITY_ENABLED: 'false',
      DD_REMOTE_CONFIGURATION_ENABLED: 'true',
      DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS: '0.1',
    },
  });
  const ask = async (parts: RequestParts): Promise<number> =>
    (await fetchOnce(proxy().httpPort, { headers: browser, ...parts })).status;
  const received = async (resource: string): Promise<unknown> => readable(await proxy().span(resource));
  const announced = async (): Promise<Layer> => {
    const { client } = await proxy().agent.remoteConfig.waitFor(() => true);
    const libddwaf = expect.stringMatching(/^\d+\.\d+\.\d+$/);
    return { meta: { '_dd.appsec.waf.version': libddwaf, '_dd.rc.client_id': client.id } };
  };

  it('of the first transaction, which says more', async () => {
    expect(await received('GET /first')).toEqual(
      wholeSpan(apmOff, requestOf('GET', '/first'), page, keptByAppSec, await announced()),
    );
  });

  it('of a clean transaction, the one of its minute', async () => {
    expect(await received('GET /heartbeat')).toEqual(
      wholeSpan(apmOff, signOfLife, requestOf('GET', '/heartbeat'), page),
    );
  });

  it('of a reported request', async () => {
    expect(await ask({ target: '/reported/4711?q=attack-report&password=x' })).toBe(200);
    expect(await received('GET /reported/4711')).toEqual(
      wholeSpan(
        apmOff,
        requestOf('GET', '/reported/4711', 'q=attack-report&password=x'),
        page,
        {
          meta: {
            'http.url': 'http://site.example/reported/4711?q=attack-report&<redacted>',
            'http.endpoint': '/reported/{param:int}',
          },
        },
        detected({ rule: 'req-report', name: 'request report', ...inQuery, value: 'attack-report' }),
      ),
    );
  });

  it.each([
    ['blocked', '/blocked', 'q=attack-block', 403, 'block', 'block'],
    ['blocked with a status of its own', '/teapot', 'q=attack-teapot', 418, 'teapot', 'teapot'],
    ['redirected', '/redirected', 'q=attack-redirect', 307, 'redirect', 'elsewhere'],
  ])('of a request that is %s', async (_how, path, query, status, kind, action) => {
    expect(await ask({ target: `${path}?${query}` })).toBe(status);
    const match = {
      rule: `req-${kind}`,
      name: `request ${kind}`,
      ...inQuery,
      value: `attack-${kind}`,
      action,
    };
    expect(await received(`GET ${path}`)).toEqual(
      wholeSpan(apmOff, requestOf('GET', path, query), answeredByUs(status), detected(match)),
    );
  });

  it('of a request with an attack in its body', async () => {
    const body = '{"a":{"b":["attack-report"]}}';
    expect(await ask({ method: 'POST', target: '/body', headers: json, body })).toBe(200);
    const where = { address: 'server.request.body', keyPath: ['a', 'b', '0'], value: 'attack-report' };
    expect(await received('POST /body')).toEqual(
      wholeSpan(
        ...[apmOff, requestOf('POST', '/body'), jsonBody(body.length), page],
        detected({ rule: 'req-report', name: 'request report', ...where }),
      ),
    );
  });

  it('of a request that is blocked for its body', async () => {
    const body = '{"a":"attack-block"}';
    expect(await ask({ method: 'POST', target: '/body-blocked', headers: json, body })).toBe(403);
    const where = { address: 'server.request.body', keyPath: ['a'], value: 'attack-block', action: 'block' };
    expect(await received('POST /body-blocked')).toEqual(
      wholeSpan(
        ...[apmOff, requestOf('POST', '/body-blocked'), jsonBody(body.length), answeredByUs(403)],
        detected({ rule: 'req-block', name: 'request block', ...where }),
      ),
    );
  });

  const leakingHeader = { address: 'server.response.headers.no_cookies', keyPath: ['x-leak', '0'] };
  it.each([
    [
      'blocked for its headers',
      'OPTIONS',
      'header=leak-block',
      403,
      {
        ...{ rule: 'res-header-block', name: 'response header block', ...leakingHeader },
        ...{ value: 'leak-block', regex: 'leak-block', action: 'block' },
      },
    ],
    [
      'redirected for its headers',
      'DELETE',
      'header=leak-redirect',
      307,
      {
        ...{ rule: 'res-header-redirect', name: 'response header redirect', ...leakingHeader },
        ...{ value: 'leak-redirect', regex: 'leak-redirect', action: 'elsewhere' },
      },
    ],
    [
      'blocked for its body',
      'GET',
      'leak=leak-block',
      403,
      {
        ...{ rule: 'res-body-block', name: 'response body block', address: 'server.response.body' },
        ...{ keyPath: ['leak'], value: 'leak-block', action: 'block' },
      },
    ],
  ])('of a response that is %s', async (_how, method, query, status, match) => {
    expect(await ask({ method, target: `/say?${query}` })).toBe(status);
    expect(await received(`${method} /say`)).toEqual(
      wholeSpan(apmOff, requestOf(method, '/say', query), answeredByUs(status), detected(match)),
    );
  });

  it('of a response that is reported, and is an error too', async () => {
    expect(await ask({ target: '/status/507' })).toBe(507);
    const where = { address: 'server.response.status', keyPath: [], value: '507', regex: '^507$' };
    expect(await received('GET /status/507')).toEqual(
      wholeSpan(
        ...[apmOff, requestOf('GET', '/status/507'), responseOf(507, 'text/plain')],
        {
          fields: { error: 1 },
          meta: {
            ...{ 'http.endpoint': '/status/{param:int}' },
            ...{ 'error.type': '507', 'error.message': '507: Insufficient Storage' },
          },
        },
        detected({ rule: 'res-status-report', name: 'response status report', ...where }),
      ),
    );
  });

  it("of an attack in a client's trace, which goes on to the origin", async () => {
    const client = {
      ...{ 'x-datadog-trace-id': '1234567890', 'x-datadog-parent-id': '987654321' },
      ...{ 'x-datadog-sampling-priority': '-1', 'x-datadog-origin': 'synthetics' },
      'x-datadog-tags': '_dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4,_dd.p.other=1',
    };
    await ask({ target: '/traced?q=attack-report', headers: { ...browser, ...client } });
    const span = await proxy().span('GET /traced');
    expect(readable(span)).toEqual(
      wholeSpan(
        ...[apmOff, requestOf('GET', '/traced', 'q=attack-report'), page],
        detected({ rule: 'req-report', name: 'request report', ...inQuery, value: 'attack-report' }),
        {
          fields: { trace_id: 1234567890n, parent_id: 987654321n },
          meta: {
            ...{ '_dd.origin': 'synthetics', '_dd.p.tid': '0af7651916cd43dd', '_dd.p.other': '1' },
          },
          metrics: { '_dd.top_level': undefined },
        },
      ),
    );
    const arrived = proxy().origin.requests.find(({ target }) => target.startsWith('/traced'));
    expect(arrived?.headers).toMatchObject({
      ...{ 'x-datadog-trace-id': '1234567890', 'x-datadog-parent-id': String(span.span_id) },
      ...{ 'x-datadog-sampling-priority': '2', 'x-datadog-origin': 'synthetics' },
      'x-datadog-tags': expect.stringContaining('_dd.p.ts=02'),
    });
  });

  it('of the first transaction after a change of the rules', async () => {
    const { remoteConfig } = proxy().agent;
    const { content } = asm({ rules_override: [override('req-teapot', { enabled: false })] });
    remoteConfig.serve({ 'datadog/2/ASM/one/config': content });
    await remoteConfig.taken();
    expect(await ask({ target: '/changed?q=attack-teapot' })).toBe(200);
    expect(await received('GET /changed')).toEqual(
      wholeSpan(
        apmOff,
        requestOf('GET', '/changed', 'q=attack-teapot'),
        page,
        keptByAppSec,
        await announced(),
      ),
    );
  });
});
