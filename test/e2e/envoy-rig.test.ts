// What the tests of Envoy stand on: the rig itself, with a scripted processor in the place of the daemon.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeEachEnvoy, type RunningEnvoy, startEnvoy, validateConfig } from './support/envoy.ts';
import { envoyConfig, metadataNamespace } from './support/envoy-config.ts';
import { freePort } from './support/free-port.ts';
import { fetchOnce, Http2Connection } from './support/http-client.ts';
import { type Origin, startOrigin } from './support/origin.ts';
import { type StubProcessor, startStubProcessor } from './support/stub-processor.ts';

describeEachEnvoy('a request through Envoy', (binary) => {
  let envoy: RunningEnvoy;
  let origin: Origin;
  let processor: StubProcessor;
  let port = 0;

  beforeAll(async () => {
    [origin, processor] = [await startOrigin(), await startStubProcessor()];
    const adminPort = await freePort();
    port = await freePort();
    const plan = { httpPort: port, adminPort, originPort: origin.port, processorPorts: [processor.port] };
    envoy = await startEnvoy({ binary: binary.path, config: envoyConfig(plan), adminPort });
  });
  afterAll(async () => {
    await envoy?.stop();
    await processor?.stop();
    await origin?.stop();
  });

  it('is shown to the processor, and passes when it says so', async () => {
    const { status } = await fetchOnce(port, { target: '/rig-pass', headers: { 'x-own': 'a' } });
    expect(status).toBe(200);
    const seen = processor.messages.filter(({ kind }) => kind === 'requestHeaders').at(-1);
    expect(seen?.headers).toEqual(
      expect.arrayContaining([
        [':path', '/rig-pass'],
        ['x-own', 'a'],
      ]),
    );
    expect(seen?.attributes.get('source.address')).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await envoy.access('/rig-pass')).toMatchObject({ method: 'GET', status: 200, upstream: 'origin' });
  });

  it('is answered by the processor when it blocks, with what it says in the access log', async () => {
    processor.script = () => ({
      block: { status: 418, body: 'no tea', details: 'scripted' },
      metadata: { namespace: metadataNamespace, values: { verdict: 'block' } },
    });
    const response = await fetchOnce(port, { target: '/rig-block' });
    processor.script = () => ({});
    expect(response).toMatchObject({ status: 418, body: 'no tea' });
    expect(origin.requests.some(({ target }) => target === '/rig-block')).toBe(false);
    const line = await envoy.access('/rig-block');
    expect(line).toMatchObject({ status: 418, details: 'scripted', metadata: { verdict: 'block' } });
  });

  it('is held back until its body was judged, over HTTP/2 too', async () => {
    processor.script = ({ kind }) =>
      kind === 'requestBody' ? { block: { status: 403 } } : { requestBody: 'BUFFERED_PARTIAL' };
    const client = new Http2Connection(port);
    const response = await client.request({ method: 'POST', target: '/rig-body', body: 'attack' });
    client.close();
    processor.script = () => ({});
    expect(response.status).toBe(403);
    expect(processor.ofKind('requestBody').at(-1)?.body.toString()).toBe('attack');
    expect(origin.requests.some(({ target }) => target === '/rig-body')).toBe(false);
  });

  it('is counted', async () => {
    expect(await envoy.stat('http.test.ext_proc.streams_started')).toBeGreaterThan(0);
    expect(await envoy.stat('http.test.ext_proc.streams_failed')).toBe(0);
  });

  it('needs a configuration without unknown or deprecated fields', () => {
    const plan = { httpPort: 10_000, adminPort: 10_001, originPort: 10_002, processorPorts: [10_003] };
    expect(validateConfig(binary.path, envoyConfig(plan))).toMatchObject({ ok: true });
    const unknown = envoyConfig({ ...plan, filter: { no_such_field: true } });
    expect(validateConfig(binary.path, unknown)).toMatchObject({
      ok: false,
      output: expect.stringContaining('no_such_field'),
    });
    const deprecated = envoyConfig({ ...plan, cluster: { http2_protocol_options: {} } });
    expect(validateConfig(binary.path, deprecated)).toMatchObject({
      ok: false,
      output: expect.stringContaining('http2_protocol_options'),
    });
  });
});
