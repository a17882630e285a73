import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { methodPath } from '../../../src/adapters/ext-proc/contract.ts';
import { createDoor } from '../../../src/adapters/ext-proc/door.ts';
import { createHandler } from '../../../src/adapters/ext-proc/handler.ts';
import { readConfigOfDoors } from '../../../src/daemon/settings.ts';
import { doors } from '../../../src/doors.ts';
import { BlockPages } from '../../../src/engine/block-page.ts';
import { DoorMetrics } from '../../../src/ops/door-metrics.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { Metrics } from '../../../src/ops/metrics.ts';
import { Dispatcher } from '../../../src/workers/dispatcher.ts';
import { Handlers } from '../../../src/workers/handlers.ts';
import { InlineEngine } from '../../../src/workers/inline-engine.ts';
import { CertificateFolder } from '../../support/certificates.ts';
import { decodeResponse, encodeRequest, headerMap } from '../../support/ext-proc-oracle.ts';
import { GrpcClient } from '../../support/grpc-client.ts';
import { testEngine } from '../../support/test-engine.ts';

const request = (path: string) =>
  encodeRequest({
    request_headers: {
      headers: headerMap([
        [':method', 'GET'],
        [':path', path],
        [':authority', 'a'],
        [':scheme', 'http'],
      ]),
      end_of_stream: true,
    },
  });
const response = encodeRequest({ response_headers: { headers: headerMap([[':status', '200']]) } });

/** The door as the process opens it, on a port of its own and with an engine in this thread. */
async function openDoor(environment: Readonly<Record<string, string>> = {}) {
  const config = readConfigOfDoors(
    'ext-proc',
    {},
    {
      ...{
        DD_SERVICE_EXTENSION_HOST: '127.0.0.1',
        DD_SERVICE_EXTENSION_PORT: '0',
        DD_SERVICE_EXTENSION_TLS: 'false',
      },
      ...environment,
    },
  );
  const lines: string[] = [];
  const logger = createLogger('debug', { write: (line) => lines.push(line) });
  const registry = new Metrics();
  const metrics = new DoorMetrics(registry, 'ext-proc', doors['ext-proc'].messages);
  const { engine, recorder } = testEngine();
  const owner = { instance: 'test', thread: 0 };
  const services = {
    inspector: engine.inspector,
    pages: new BlockPages(),
    logger,
    metrics,
    owner,
    transactionTimeoutMs: 60_000,
  };
  const handler = createHandler(config, services);
  const engines = new Dispatcher(
    new InlineEngine(new Handlers([handler], (_door, cause) => expect.unreachable(String(cause)))),
    0,
  );
  const takenPorts = [{ port: 1, variable: 'X', name: 'the health port' }];
  const door = createDoor(config, { engines, instance: 'test', logger, metrics, takenPorts });
  onTestFinished(() => door.drain(0, 0));
  const listening = await door.listen();
  const port = Number(/:(\d+)$/.exec(listening.address)?.[1]);
  return {
    door,
    engine,
    recorder,
    listening,
    port,
    lines,
    handler,
    metricsText: () => registry.registry.metrics(),
  };
}

async function clientOf(...args: Parameters<typeof GrpcClient.connect>): Promise<GrpcClient> {
  const client = await GrpcClient.connect(...args);
  onTestFinished(() => client.session.destroy());
  return client;
}

/** Of the certificate that is shown; rejects where a client without one is not let in. */
async function fingerprintOf(port: number): Promise<string> {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  const socket = connectTls(options);
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  // Under TLS 1.3 a server refuses after the client believes to be connected; else its SETTINGS come.
  await once(socket, 'data');
  socket.destroy();
  return fingerprint256;
}

describe('the door', () => {
  it('answers a stream, and ends it when nothing more is wanted', async () => {
    const { port, recorder } = await openDoor();
    const call = (await clientOf({ port })).call(methodPath).send(request('/'));
    expect(decodeResponse((await call.received(1))[0] ?? Buffer.alloc(0))).toHaveProperty('request_headers');
    const { status, messages } = await call.send(response).done;
    expect([status, messages.length]).toEqual([0, 2]);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('blocks, and ends the stream with it', async () => {
    const { port } = await openDoor();
    const { status, messages } = await (await clientOf({ port }))
      .call(methodPath)
      .send(request('/?q=attack-block')).done;
    expect([status, messages.length]).toEqual([0, 1]);
    expect(decodeResponse(messages[0] ?? Buffer.alloc(0))).toHaveProperty('immediate_response');
  });

  it.each([
    ['noise', Buffer.from('no protobuf')],
    ['nothing', Buffer.alloc(0)],
  ])('ends a stream of %s with OK', async (_what, bytes) => {
    const { port } = await openDoor();
    const { status } = await (await clientOf({ port })).call(methodPath).send(bytes).done;
    expect(status).toBe(0);
  });

  it('ends a stream whose message is larger than allowed with OK, and counts it', async () => {
    const { port, metricsText } = await openDoor({ APPSEC_EDGE_EXT_PROC_MAX_MESSAGE_SIZE: '65536' });
    const { status } = await (await clientOf({ port })).call(methodPath).send(Buffer.alloc(70_000)).done;
    expect(status).toBe(0);
    expect(await metricsText()).toMatch(/skipped_total\{door="ext-proc",reason="too-large"\} 1/);
  });

  it('is asked for its health by its name and by none', async () => {
    const client = await clientOf({ port: (await openDoor()).port });
    for (const name of ['', 'envoy.service.ext_proc.v3.ExternalProcessor']) {
      const asked =
        name === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
      const { status, messages } = await client.unary('/grpc.health.v1.Health/Check', asked);
      expect([status, messages[0]?.toString('hex')]).toEqual([0, '0801']);
    }
  });

  it('speaks TLS with a certificate of its own making where it has none, another one each time', async () => {
    const certificates: string[] = [];
    for (let count = 0; count < 2; count += 1) {
      const { port, listening, lines } = await openDoor({ DD_SERVICE_EXTENSION_TLS: 'true' });
      expect(listening.tls).toBe(true);
      expect(lines.join()).toContain('DD_SERVICE_EXTENSION_TLS_CERT_FILE');
      certificates.push(await fingerprintOf(port));
      const client = await clientOf({ port }, { tls: true, rejectUnauthorized: false });
      expect((await client.call(methodPath).send(request('/?q=attack-block')).done).status).toBe(0);
    }
    expect(new Set(certificates).size).toBe(2);
  });

  it('takes certificates from files, reads them again, and asks for those of clients', async () => {
    const folder = new CertificateFolder();
    onTestFinished(() => folder.remove());
    const authority = folder.authority('ca');
    const [own, theirs] = [folder.issue(authority, 'agent'), folder.issue(authority, 'envoy')];
    const { door, port, lines } = await openDoor({
      ...{ DD_SERVICE_EXTENSION_TLS: 'true', DD_SERVICE_EXTENSION_TLS_CERT_FILE: own.certificate },
      ...{ DD_SERVICE_EXTENSION_TLS_KEY_FILE: own.key, APPSEC_EDGE_EXT_PROC_TLS_CA_FILE: authority },
    });
    await expect(fingerprintOf(port)).rejects.toThrow();
    const identity = { cert: readFileSync(theirs.certificate), key: readFileSync(theirs.key) };
    const client = await clientOf({ port }, { tls: true, rejectUnauthorized: false, ...identity });
    expect((await client.call(methodPath).send(request('/?q=attack-block')).done).status).toBe(0);
    door.reload?.();
    expect(lines.join()).toContain('TLS certificate and CA reloaded');
    folder.file('agent.key', 'no key');
    door.reload?.();
    expect(lines.join()).toContain('TLS files not reloaded');
  });

  it('refuses to open with a key and no certificate', async () => {
    await expect(
      openDoor({ DD_SERVICE_EXTENSION_TLS: 'true', DD_SERVICE_EXTENSION_TLS_KEY_FILE: '/nowhere' }),
    ).rejects.toThrow(
      'DD_SERVICE_EXTENSION_TLS_KEY_FILE has no effect without DD_SERVICE_EXTENSION_TLS_CERT_FILE',
    );
  });

  it('listens on a unix socket, without TLS, and takes its streams for plain Envoy', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'ext-proc.sock');
    const { listening, recorder } = await openDoor({
      DD_SERVICE_EXTENSION_TLS: 'true',
      DD_SERVICE_EXTENSION_UDS_PATH: path,
    });
    expect(listening).toEqual({ address: path, tls: false });
    await (await clientOf({ path })).call(methodPath).send(request('/'), response).done;
    expect(recorder.endings[0]?.transaction.application?.component).toBe('envoy');
  });

  it('says which setting to change when it cannot listen', async () => {
    const { port } = await openDoor();
    await expect(openDoor({ DD_SERVICE_EXTENSION_PORT: String(port) })).rejects.toThrow(
      /in use.*DD_SERVICE_EXTENSION_PORT/,
    );
  });

  it('ends streams that are still open with OK when its time to leave is up', async () => {
    const { door, port, recorder } = await openDoor();
    const call = (await clientOf({ port })).call(methodPath).send(request('/'));
    await call.received(1);
    const left = door.drain(0, 600);
    expect((await call.done).status).toBe(0);
    await left;
    expect(recorder.reasons).toEqual(['aborted']);
  });

  it('forgets streams with their connection', async () => {
    const { port, handler } = await openDoor();
    const client = await clientOf({ port });
    await client.call(methodPath).send(request('/')).received(1);
    expect(handler.liveTransactions).toBe(1);
    client.session.destroy();
    await expect.poll(() => handler.liveTransactions).toBe(0);
  });
});

describe('settings', () => {
  const read = (environment: Readonly<Record<string, string>>) =>
    readConfigOfDoors('ext-proc', {}, environment);

  it("have the original's names and defaults", () => {
    expect(read({})).toMatchObject({
      ...{ extProcHost: '0.0.0.0', extProcPort: 443, extProcTls: true, extProcObservabilityMode: false },
      ...{ healthcheckPort: 80, bodyLimitBytes: 0, extProcComponent: 'auto', extProcMessageTimeoutMs: 200 },
    });
    expect(doors['ext-proc'].traits(read({})).defaultService).toBe('serviceextensions');
  });

  it.each([
    ['DD_SERVICE_EXTENSION_HOST', '127.0.0.1', 'extProcHost', '127.0.0.1'],
    ['DD_SERVICE_EXTENSION_PORT', '8443', 'extProcPort', 8443],
    ['DD_SERVICE_EXTENSION_HEALTHCHECK_PORT', '8080', 'healthcheckPort', 8080],
    ['DD_SERVICE_EXTENSION_OBSERVABILITY_MODE', 't', 'extProcObservabilityMode', true],
    ['DD_SERVICE_EXTENSION_TLS', 'false', 'extProcTls', false],
    ['DD_SERVICE_EXTENSION_TLS_KEY_FILE', '/k', 'extProcTlsKeyPath', '/k'],
    ['DD_SERVICE_EXTENSION_TLS_CERT_FILE', '/c', 'extProcTlsCertificatePath', '/c'],
    ['DD_SERVICE_EXTENSION_UDS_PATH', '/s', 'extProcSocketPath', '/s'],
    ['DD_APPSEC_BODY_PARSING_SIZE_LIMIT', '10000000', 'bodyLimitBytes', 10_000_000],
    ['APPSEC_EDGE_EXT_PROC_COMPONENT', 'istio', 'extProcComponent', 'istio'],
  ] as const)('%s=%s', (variable, value, name, expected) => {
    expect(read({ [variable]: value })[name]).toBe(expected);
  });

  it('that are wrong say what is allowed', () => {
    expect(() => read({ APPSEC_EDGE_EXT_PROC_COMPONENT: 'nginx' })).toThrow(
      'must be one of auto, envoy, istio, envoy-gateway, gcp-service-extension',
    );
  });
});
