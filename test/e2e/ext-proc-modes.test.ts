// Bodies in the modes that an operator may have configured in Envoy: what is blocked there, and what gets out before.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { describeEachEnvoy } from './support/envoy.ts';
import { fetchOnce, Http1Connection, Http2Connection } from './support/http-client.ts';
import { envoyOfThisTest, shareProtectedEnvoy } from './support/protected-envoy.ts';

const json = { 'content-type': 'application/json' };
const attackBody = '{"q":"attack-block"}';
const heads = { request_header_mode: 'SEND', response_header_mode: 'SEND' };
const bodies = (mode: string) => ({ ...heads, request_body_mode: mode, response_body_mode: mode });
const duplex = {
  ...bodies('FULL_DUPLEX_STREAMED'),
  ...{ request_trailer_mode: 'SEND', response_trailer_mode: 'SEND' },
};

describeEachEnvoy('full duplex', (binary) => {
  const site = shareProtectedEnvoy(binary, { filter: { processing_mode: duplex } });

  it('blocks by a body in pieces, and the origin sees nothing of the request', async () => {
    const { port, reached } = site();
    const connection = new Http1Connection(port);
    connection.write(
      'POST /duplex-pieces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    for (const piece of ['{"q":"atta', 'ck-block', '"}']) {
      connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    connection.write('0\r\n\r\n');
    expect([(await connection.response()).status, reached('/duplex-pieces')]).toEqual([403, false]);
    connection.close();
  });

  it('blocks by a body of half a megabyte', async () => {
    const { port, reached } = site();
    const body = JSON.stringify({ filler: 'x'.repeat(500_000), q: 'attack-block' });
    const response = await fetchOnce(port, { method: 'POST', target: '/duplex-large', headers: json, body });
    expect([response.status, reached('/duplex-large')]).toEqual([403, false]);
  });

  it('blocks when the end of the stream comes late, or as trailers', async () => {
    const { port, reached } = site();
    const client = new Http2Connection(port);
    for (const [path, late] of [
      ['/duplex-late', true],
      ['/duplex-trailers', false],
    ] as const) {
      const stream = client.session.request(
        { ':method': 'POST', ':path': path, ':authority': 'site.example', ...json },
        { waitForTrailers: !late },
      );
      stream.on('error', () => undefined);
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': '1' }));
      const answered = once(stream, 'response');
      stream.write(attackBody);
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(reached(path)).toBe(false);
      stream.end();
      const [headers] = await answered;
      expect([headers[':status'], reached(path)]).toEqual([403, false]);
    }
    client.close();
  });

  it('blocks by the body of a response, of which the client gets nothing', async () => {
    const response = await fetchOnce(site().port, { target: '/say?leak=leak-block' });
    expect([response.status, response.body.includes('origin')]).toEqual([403, false]);
  });

  it('blocks by the headers of a response', async () => {
    const response = await fetchOnce(site().port, { target: '/say?header=leak-block' });
    expect([response.status, response.body.includes('origin')]).toEqual([403, false]);
  });

  it('lets more than it looks at through, byte for byte', async () => {
    const small = await envoyOfThisTest(binary, {
      filter: { processing_mode: duplex },
      env: { DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '1000' },
    });
    const body = JSON.stringify({ filler: 'y'.repeat(300_000), q: 'attack-block' });
    const response = await fetchOnce(small.port, { method: 'POST', target: '/echo', headers: json, body });
    expect([response.status, response.body === body]).toEqual([200, true]);
    const attack = await fetchOnce(small.port, {
      method: 'POST',
      target: '/echo',
      headers: json,
      body: `{"q":"attack-block","filler":"${'z'.repeat(3_000)}"}`,
    });
    expect(attack.status).toBe(403);
  });
});

describeEachEnvoy('bodies that Envoy buffers', (binary) => {
  describe.each(['BUFFERED', 'BUFFERED_PARTIAL'])('%s, as configured', (mode) => {
    const site = shareProtectedEnvoy(binary, { filter: { processing_mode: bodies(mode) } });

    it('are blocked, in both directions', async () => {
      const { port, reached } = site();
      const request = await fetchOnce(port, {
        method: 'POST',
        target: '/buffered',
        headers: json,
        body: attackBody,
      });
      expect([request.status, reached('/buffered')]).toEqual([403, false]);
      const response = await fetchOnce(port, { target: '/say?leak=leak-block' });
      expect([response.status, response.body.includes('origin')]).toEqual([403, false]);
    });

    it('are passed on when there is nothing in them', async () => {
      const { port } = site();
      const body = JSON.stringify({ filler: 'x'.repeat(50_000) });
      const response = await fetchOnce(port, { method: 'POST', target: '/echo', headers: json, body });
      expect([response.status, response.body === body]).toEqual([200, true]);
    });
  });
});

describeEachEnvoy('bodies that are larger than the buffer of Envoy', (binary) => {
  const site = shareProtectedEnvoy(binary, { listener: { per_connection_buffer_limit_bytes: 32_768 } });

  it('are looked at as far as it reaches, and pass whole', async () => {
    const { port, daemon } = site();
    const body = JSON.stringify({ filler: 'x'.repeat(400_000), q: 'attack-block' });
    const before = await daemon.metric('bodies_partial_total', { phase: 'request-body' });
    const response = await fetchOnce(port, { method: 'POST', target: '/echo', headers: json, body });
    expect([response.status, response.body === body]).toEqual([200, true]);
    expect(await daemon.metric('bodies_partial_total', { phase: 'request-body' })).toBe(before + 1);
    const early = `{"q":"attack-block","filler":"${'x'.repeat(400_000)}"}`;
    const attack = await fetchOnce(port, { method: 'POST', target: '/early', headers: json, body: early });
    expect([attack.status, site().reached('/early')]).toEqual([403, false]);
  });
});
