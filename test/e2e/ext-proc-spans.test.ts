// What becomes of requests through Envoy in Datadog, whose applications they are, and how a trace goes on to the origin.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FakeAgent, type ReceivedSpan } from '../support/fake-agent.ts';
import { describeEachEnvoy } from './support/envoy.ts';
import { fetchOnce } from './support/http-client.ts';
import { type ProtectedEnvoy, startProtectedEnvoy } from './support/protected-envoy.ts';

const json = { 'content-type': 'application/json' };
const metadata = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields).map(([key, value]) => ({ key, value }));
const service = (fields: Readonly<Record<string, string>>) => ({
  envoy_grpc: { cluster_name: 'processor' },
  initial_metadata: metadata(fields),
});
/** Another application for one path. */
const cart = {
  '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute',
  overrides: {
    grpc_initial_metadata: metadata({ 'x-appsec-service': 'cart', 'x-appsec-report-only': 'true' }),
  },
};

describeEachEnvoy('requests in Datadog', (binary) => {
  let agent: FakeAgent;
  let site: ProtectedEnvoy;
  beforeAll(async () => {
    agent = await FakeAgent.start();
    const route = { route: { cluster: 'origin', timeout: '0s' } };
    site = await startProtectedEnvoy(binary, {
      env: {
        ...{ DD_TRACE_ENABLED: 'true', DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(agent.port) },
        ...{ DD_APM_TRACING_ENABLED: 'true', DD_TRACE_PROPAGATION_STYLE: 'datadog,tracecontext,b3' },
        ...{ DD_REMOTE_CONFIGURATION_ENABLED: 'false', DD_SERVICE: '' },
      },
      filter: {
        grpc_service: service({
          'x-datadog-istio-integration': '1',
          'x-appsec-service': 'shop',
          'x-appsec-env': 'test',
        }),
      },
      virtualHost: {
        routes: [
          {
            match: { prefix: '/cart' },
            ...route,
            typed_per_filter_config: { 'envoy.filters.http.ext_proc': cart },
          },
          { match: { prefix: '/' }, ...route },
        ],
      },
    });
  });
  afterAll(async () => {
    await site?.stop();
    await agent?.stop();
  });

  async function spanOf(resource: string): Promise<ReceivedSpan> {
    await expect
      .poll(() => agent.spans.some((span) => span.resource === resource), { timeout: 15_000 })
      .toBe(true);
    const found = agent.spans.find((span) => span.resource === resource);
    if (found === undefined) throw new Error('gone');
    return found;
  }

  it('have the tags of the original', async () => {
    await fetchOnce(site.port, { target: '/tags?q=attack-report', headers: { 'user-agent': 'test' } });
    const span = await spanOf('GET /tags');
    expect(span).toMatchObject({ name: 'http.request', type: 'web', service: 'shop' });
    expect(span.meta).toMatchObject({
      ...{
        component: 'istio',
        env: 'test',
        'span.kind': 'server',
        'http.method': 'GET',
        'http.status_code': '200',
      },
      ...{ 'http.host': 'site.example', 'http.useragent': 'test', 'network.client.ip': '127.0.0.1' },
      ...{ 'http.url': 'http://site.example/tags?q=attack-report', 'appsec.event': 'true' },
    });
    expect(span.meta).not.toHaveProperty('appsec.blocked');
  });

  it('that were blocked say so', async () => {
    await fetchOnce(site.port, { target: '/blocked?q=attack-block' });
    expect((await spanOf('GET /blocked')).meta).toMatchObject({
      'appsec.blocked': 'true',
      'http.status_code': '403',
    });
  });

  it('take their trace to the origin, in every style, and in the place of what the client sent', async () => {
    await fetchOnce(site.port, {
      target: '/trace',
      headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    });
    const span = await spanOf('GET /trace');
    const headers = site.origin.requests.find(({ target }) => target === '/trace')?.headers;
    const spanId = BigInt(span.span_id).toString(16).padStart(16, '0');
    expect(headers?.['traceparent']).toBe(`00-0af7651916cd43dd8448eb211c80319c-${spanId}-01`);
    expect(headers?.['x-datadog-parent-id']).toBe(String(span.span_id));
    expect(headers?.['b3'] ?? headers?.['x-b3-spanid']).toContain(spanId);
  });

  it('take it along with a body that is held, too', async () => {
    await fetchOnce(site.port, { method: 'POST', target: '/trace-body', headers: json, body: '{"a":1}' });
    const headers = site.origin.requests.find(({ target }) => target === '/trace-body')?.headers;
    expect(headers).toHaveProperty('traceparent');
  });

  it('belong to the application that their route names, which may only report', async () => {
    expect((await fetchOnce(site.port, { target: '/cart?q=attack-block' })).status).toBe(200);
    const span = await spanOf('GET /cart');
    expect(span.service).toBe('cart');
    expect(span.meta).not.toHaveProperty('appsec.blocked');
    expect(await site.daemon.securityEvent('/cart')).toMatchObject({ verdict: 'report', would_block: true });
  });
});
