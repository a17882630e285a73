// The defects of Datadog's External Processor (docs/envoy.md lists them), each by its number, on real Envoy: ours does not
// have them. Where a test needs no Envoy it stands in test/adapters/ext-proc/.
import { once } from 'node:events';
import { connect } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { encodeRequest, headerMap } from '../support/ext-proc-oracle.ts';
import { describeEachEnvoy } from './support/envoy.ts';
import { GrpcClient, grpcFrame } from './support/grpc-site.ts';
import { fetchOnce, Http1Connection, Http2Connection } from './support/http-client.ts';
import { envoyOfThisTest, shareProtectedEnvoy, startExtProcDaemon } from './support/protected-envoy.ts';

const json = { 'content-type': 'application/json' };
const attackBody = '{"q":"attack-block"}';
const streamed = {
  ...{ request_header_mode: 'SEND', response_header_mode: 'SEND' },
  ...{ request_body_mode: 'STREAMED', response_body_mode: 'STREAMED' },
};

/** Sends these messages in one stream of its own, and resolves with its gRPC status. */
async function sendRaw(port: number, messages: readonly Buffer[]): Promise<string> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/envoy.service.ext_proc.v3.ExternalProcessor/Process' },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  });
  let status = 'none';
  const note = (fields: Record<string, unknown>): void => {
    if (fields['grpc-status'] !== undefined) status = String(fields['grpc-status']);
  };
  stream
    .on('response', note)
    .on('trailers', note)
    .on('error', () => undefined)
    .resume();
  for (const message of messages) stream.write(grpcFrame(message.toString('latin1')));
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  session.destroy();
  return status;
}

describeEachEnvoy('defects that the door does not have', (binary) => {
  describe('with bodies asked for by us', () => {
    const site = shareProtectedEnvoy(binary);

    it('1: a late end of the stream does not take an attack past', async () => {
      const { port, reached, daemon } = site();
      const client = new Http2Connection(port);
      const stream = client.session.request({
        ...{ ':method': 'POST', ':path': '/defect-1', ':authority': 'site.example' },
        ...{ ...json, 'content-length': String(attackBody.length) },
      });
      stream.on('error', () => undefined);
      const answered = once(stream, 'response');
      stream.write(attackBody);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      stream.end();
      const [headers] = await answered;
      client.close();
      expect([headers[':status'], reached('/defect-1')]).toEqual([403, false]);
      expect(await daemon.securityEvent('/defect-1')).toMatchObject({ verdict: 'block' });
    });

    it('2: what is said to be blocked of a response is blocked, however slowly it comes', async () => {
      const { port, daemon } = site();
      const byHeaders = await fetchOnce(port, { target: '/say?header=leak-block&defect-2' });
      const byBody = await fetchOnce(port, { target: '/say?leak=leak-block&defect-2' });
      for (const { status, body } of [byHeaders, byBody]) {
        expect(status).toBe(403);
        expect(body).not.toContain('origin');
      }
      expect(daemon.securityEvents('defect-2').map(({ verdict }) => verdict)).toEqual(['block', 'block']);
    });

    it('4: six escapes that are none are looked at', async () => {
      const { port, reached } = site();
      const response = await fetchOnce(port, { target: '/%zz%zz%zz%zz%zz%zz/defect-4?x=attack-block' });
      expect([response.status, reached('defect-4')]).toEqual([403, false]);
    });

    it('5: a gRPC client takes a block for a refusal', async () => {
      const client = new GrpcClient(site().port);
      const call = client.open('/defect.Five/Call', { 'x-note': 'attack-block' });
      call.stream.end(grpcFrame('x'));
      expect((await call.result).status).toBe('7');
      client.close();
    });

    it('6: an odd first message harms nobody', async () => {
      const { port, daemon } = site();
      const { pid } = daemon;
      const body = { body: Buffer.from('{}'), end_of_stream: true };
      const trailers = { trailers: headerMap([]) };
      for (const message of [
        { request_body: body },
        { response_body: body },
        { request_trailers: trailers },
        { response_trailers: trailers },
        {},
      ]) {
        expect(await sendRaw(daemon.port, [encodeRequest(message)])).toBe('0');
      }
      expect(await sendRaw(daemon.port, [Buffer.from('not protobuf at all')])).toBe('0');
      expect((await fetchOnce(port, { target: '/defect-6' })).status).toBe(200);
      expect([daemon.running, daemon.pid]).toEqual([true, pid]);
    });

    it("7: Envoy's own answers stay what they are", async () => {
      const { port } = site();
      const answers: number[] = [];
      for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nhost: site.example\r\n\r\n']) {
        const connection = new Http1Connection(port);
        connection.write(bytes);
        answers.push((await connection.response()).status);
        connection.close();
      }
      expect(answers).toEqual([400, 404]);
    });

    it.each([
      ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'q=attack-block'],
      ['text', { 'content-type': 'text/plain' }, 'attack-block'],
      ['of a type that is malformed', { 'content-type': 'application/json; charset="x' }, attackBody],
    ])('9: a body that is %s is looked at', async (_what, headers, body) => {
      expect(
        (await fetchOnce(site().port, { method: 'POST', target: '/defect-9', headers, body })).status,
      ).toBe(403);
    });

    it('16: access log and metrics say what was done', async () => {
      const { port, envoy, daemon } = site();
      await fetchOnce(port, { target: '/defect-16?q=attack-block' });
      expect(await envoy.access('/defect-16')).toMatchObject({
        details: 'appsec_blocked{req-block}',
        metadata: { verdict: 'block', rule_ids: 'req-block' },
      });
      expect(
        await daemon.metric('messages_total', { door: 'ext-proc', message: 'request-headers' }),
      ).toBeGreaterThan(0);
      expect(await daemon.metric('verdicts_total', { door: 'ext-proc', verdict: 'block' })).toBeGreaterThan(
        0,
      );
    });

    it('17: a stream that ends early is no error', async () => {
      const { port, daemon } = site();
      const before = daemon.log.lines.length;
      for (let count = 0; count < 10; count += 1) {
        const connection = new Http1Connection(port);
        connection.write(
          'POST /defect-17 HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        connection.close();
      }
      await expect.poll(() => daemon.metric('ext_proc_streams')).toBe(0);
      const complaints = daemon.log.lines
        .slice(before)
        .filter((line) => /"level":"(?:warn|error)"/.test(line));
      expect(complaints.filter((line) => !line.includes('"event":"security"'))).toEqual([]);
    });
  });

  describe('without allow_mode_override', () => {
    const site = shareProtectedEnvoy(binary, { filter: { allow_mode_override: false } });

    it('3: heads of requests and JSON responses are analysed all the same, and the operator is told', async () => {
      const { port, daemon } = site();
      expect((await fetchOnce(port, { target: '/say?header=leak-block' })).status).toBe(403);
      // Every engine counts for itself.
      for (let count = 0; count < 12; count += 1)
        await fetchOnce(port, { method: 'POST', target: '/echo', headers: json, body: '{}' });
      await daemon.log.waitFor(/allow_mode_override/);
    });
  });

  describe('with bodies streamed, as configured', () => {
    const site = shareProtectedEnvoy(binary, { filter: { processing_mode: streamed } });

    it('1: a late end of the stream does not take an attack past unseen', async () => {
      const { port, daemon } = site();
      const client = new Http2Connection(port);
      const stream = client.session.request({
        ...{ ':method': 'POST', ':path': '/defect-1', ':authority': 'site.example' },
        ...{ ...json, 'content-length': String(attackBody.length) },
      });
      stream.on('error', () => undefined);
      const answered = once(stream, 'response');
      stream.write(attackBody);
      const [headers] = await answered;
      client.close();
      expect(headers[':status']).toBe(403);
      expect(await daemon.securityEvent('/defect-1')).toMatchObject({
        phase: 'request-body',
        verdict: 'block',
      });
    });
  });

  describe('without the heads of requests', () => {
    const site = shareProtectedEnvoy(binary, {
      filter: { processing_mode: { ...streamed, request_header_mode: 'SKIP' } },
    });

    it('6: bodies are looked at by themselves', async () => {
      const { port, daemon } = site();
      expect(
        (await fetchOnce(port, { method: 'POST', target: '/echo', headers: json, body: '{}' })).status,
      ).toBe(200);
      const response = await fetchOnce(port, {
        method: 'POST',
        target: '/echo',
        headers: json,
        body: attackBody,
      });
      expect(response.status).toBe(403);
      expect(daemon.running).toBe(true);
    });
  });

  describe('in observability mode', () => {
    const site = shareProtectedEnvoy(binary, {
      env: { DD_SERVICE_EXTENSION_OBSERVABILITY_MODE: 'true' },
      filter: { observability_mode: true, processing_mode: streamed },
    });

    it('15: more than 1,024 quick requests with JSON responses all get through, and no stream is left', async () => {
      const { port, envoy } = site();
      const statuses = new Set<number>();
      const client = new Http2Connection(port);
      for (let round = 0; round < 24; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: 50 }, () => client.request({ target: '/json?size=100' })),
        );
        for (const { status } of answers) statuses.add(status);
      }
      client.close();
      expect([...statuses]).toEqual([200]);
      await expect.poll(() => envoy.stat('cluster.processor.upstream_rq_active')).toBe(0);
      expect(await envoy.stat('cluster.processor.upstream_rq_pending_overflow')).toBe(0);
    });

    it('15: bodies are looked at, in both directions', async () => {
      const { port, daemon } = site();
      await fetchOnce(port, {
        method: 'POST',
        target: '/echo?defect-15',
        headers: json,
        body: '{"q":"attack-report"}',
      });
      expect(await daemon.securityEvent('defect-15')).toMatchObject({
        phase: 'request-body',
        verdict: 'report',
      });
      await fetchOnce(port, { target: '/say?leak=leak-report&other-15' });
      expect(await daemon.securityEvent('other-15')).toMatchObject({ phase: 'response-body' });
    });

    it('21: nothing says blocked, for nothing is', async () => {
      const { port, daemon } = site();
      expect((await fetchOnce(port, { target: '/defect-21?q=attack-block' })).status).toBe(200);
      expect(await daemon.securityEvent('/defect-21')).toMatchObject({
        verdict: 'report',
        would_block: true,
      });
      expect(await daemon.metric('verdicts_total', { verdict: 'block' })).toBe(0);
    });
  });

  it('10: no first request decides for those that follow', async () => {
    const site = await envoyOfThisTest(binary);
    await sendRaw(site.daemon.port, [
      encodeRequest({ request_headers: { headers: headerMap([[':path', '/']]) } }),
    ]);
    const response = await fetchOnce(site.port, {
      method: 'POST',
      target: '/defect-10',
      headers: json,
      body: attackBody,
    });
    expect(response.status).toBe(403);
  });

  it('12, 13: it says that it leaves, and leaves in time whatever is open', async () => {
    const site = await envoyOfThisTest(binary, {
      env: { APPSEC_EDGE_SHUTDOWN_GRACE: '500ms', APPSEC_EDGE_SHUTDOWN_TIMEOUT: '5s' },
    });
    const socket = new Http1Connection(site.port);
    socket.write(
      'GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n',
    );
    expect((await socket.head()).status).toBe(101);
    const upload = new Http1Connection(site.port);
    upload.write(
      'POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a"',
    );
    await expect.poll(() => site.daemon.metric('ext_proc_streams')).toBeGreaterThan(0);
    const gone = site.daemon.stop('SIGTERM');
    await expect.poll(async () => (await site.daemon.health('/ready')).status).toBe(503);
    expect(await gone).toBe(0);
    // What was open goes on without us.
    upload.write(':"b"}');
    expect((await upload.response()).status).toBe(200);
    socket.write('still here');
    expect((await socket.exactly(10)).toString()).toBe('still here');
    socket.close();
    upload.close();
  });

  it('14: connections have an age, by the shipped files, and nobody notices their end', async () => {
    const options = { common_http_protocol_options: { max_connection_duration: '0.3s' } };
    const protocolOptions = { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': options };
    const site = await envoyOfThisTest(binary, {
      cluster: { typed_extension_protocol_options: protocolOptions },
    });
    const connections = () => site.daemon.metric('connections_total', { door: 'ext-proc' });
    const statuses = new Set<number>();
    const client = new Http2Connection(site.port);
    for (let round = 0; round < 2_000 && (await connections()) < 4; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => client.request({ target: '/json' })),
      );
      for (const { status } of answers) statuses.add(status);
    }
    client.close();
    expect([...statuses]).toEqual([200]);
    expect(await connections()).toBeGreaterThanOrEqual(4);
  });

  it('19: what cannot be analysed in time is let through at once, and counted', async () => {
    const site = await envoyOfThisTest(binary, { env: { APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT: '1us' } });
    expect((await fetchOnce(site.port, { target: '/defect-19?q=attack-block' })).status).toBe(200);
    expect(
      await site.daemon.metric('skipped_total', { door: 'ext-proc', reason: 'overload' }),
    ).toBeGreaterThan(0);
  });
});

describe('defects that need no Envoy', () => {
  it('20: who is not on the list is closed unread', async () => {
    const daemon = await startExtProcDaemon({ APPSEC_EDGE_EXT_PROC_ALLOW: '192.0.2.0/24' });
    try {
      expect(await sendRaw(daemon.port, [encodeRequest({ request_headers: {} })])).toBe('none');
      expect(await daemon.metric('connections_refused_total', { door: 'ext-proc' })).toBe(1);
    } finally {
      await daemon.stop('SIGKILL');
    }
  });
});
