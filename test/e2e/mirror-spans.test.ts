// The span of a mirrored request, as a Datadog Agent gets it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FakeAgent, type ReceivedSpan } from '../support/fake-agent.ts';
import { type MirrorDaemon, mirrorDaemon, sendRaw } from './support/mirror-rig.ts';

let agent: FakeAgent;
let receiver: MirrorDaemon;

beforeAll(async () => {
  agent = await FakeAgent.start();
  receiver = await mirrorDaemon({
    env: {
      ...{ DD_TRACE_ENABLED: 'true', DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(agent.port) },
      ...{ DD_TRACE_FLUSH_INTERVAL: '50', DD_TRACE_GIT_METADATA_ENABLED: 'false' },
      ...{ DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false', DD_REMOTE_CONFIGURATION_ENABLED: 'false' },
      DD_REQUEST_MIRROR_SERVICES: 'shop.test=shop',
    },
  });
  await receiver.daemon.start();
});
afterAll(async () => {
  await receiver?.daemon.stop();
  agent?.stop();
});

async function spanOf(resource: string): Promise<ReceivedSpan> {
  const deadline = Date.now() + 20_000;
  while (!agent.spans.some((span) => span.resource === resource) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return agent.spanOf(resource);
}

const copy = (host: string, mark: string): string =>
  [
    `GET /${mark}/a%20b?q=attack-block HTTP/1.1`,
    `host: ${host}-shadow:8443`,
    'x-forwarded-for: 203.0.113.9,192.0.2.2',
    'x-forwarded-proto: https',
    'x-envoy-internal: true',
    'user-agent: curl/8',
    '\r\n',
  ].join('\r\n');

it("is complete, and as Datadog's receiver names it", async () => {
  await sendRaw(receiver.port, copy('app.test', 'span'));
  const span = await spanOf('GET /span/a%20b');
  expect(span).toMatchObject({ name: 'http.request', type: 'web', service: 'request-mirror' });
  expect(span.meta).toMatchObject({
    component: 'k8s.io/gateway-api',
    'span.kind': 'server',
    'http.method': 'GET',
    'http.url': 'https://app.test:8443/span/a%20b?q=attack-block',
    'http.host': 'app.test:8443',
    'http.useragent': 'curl/8',
    'http.client_ip': '203.0.113.9',
    'network.client.ip': '127.0.0.1',
    'http.request.headers.host': 'app.test:8443',
    'http.request.headers.x-forwarded-for': '203.0.113.9',
    'appsec.event': 'true',
  });
  // There is no response, and nothing was blocked.
  expect(span.meta).not.toHaveProperty('http.status_code');
  expect(span.meta).not.toHaveProperty(['appsec.blocked']);
  expect(span.meta).not.toHaveProperty(['appsec_edge.partial']);
});

it('is of the service that its host belongs to', async () => {
  await sendRaw(receiver.port, copy('shop.test', 'of-shop'));
  expect((await spanOf('GET /of-shop/a%20b')).service).toBe('shop');
});
