// What is blocked through real Envoy, in each phase: the origin sees nothing of a blocked request, the client not a byte
// of a blocked response.

import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { describeEachEnvoy } from './support/envoy.ts';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { shareProtectedEnvoy } from './support/protected-envoy.ts';

const json = { 'content-type': 'application/json' };
const attackBody = '{"q":"attack-block"}';

describeEachEnvoy('blocking', (binary) => {
  const site = shareProtectedEnvoy(binary);

  it('lets through what is no attack, with the trace in the access log', async () => {
    const { port, envoy } = site();
    expect((await fetchOnce(port, { target: '/clean' })).status).toBe(200);
    expect(await envoy.access('/clean')).toMatchObject({
      status: 200,
      metadata: { verdict: 'pass', trace_id: expect.stringMatching(/^[0-9a-f]+$/) },
    });
  });

  it('blocks by the head of a request', async () => {
    const { port, envoy, daemon, reached } = site();
    const response = await fetchOnce(port, { target: '/head?q=attack-block' });
    expect(response.status).toBe(403);
    expect(header(response, 'content-type')).toBe('application/json');
    expect(response.body).toContain('security_response_id');
    expect(reached('/head')).toBe(false);
    expect(await envoy.access('/head')).toMatchObject({
      status: 403,
      details: 'appsec_blocked{req-block}',
      metadata: { verdict: 'block', rule_ids: 'req-block', security_response_id: expect.any(String) },
    });
    expect(await daemon.securityEvent('/head')).toMatchObject({ phase: 'request-headers', verdict: 'block' });
  });

  it.each([
    ['JSON', 'application/json', attackBody],
    ['a form', 'application/x-www-form-urlencoded', 'q=attack-block'],
    [
      'a multipart form',
      'multipart/form-data; boundary=b',
      '--b\r\ncontent-disposition: form-data; name="q"\r\n\r\nattack-block\r\n--b--\r\n',
    ],
    ['XML', 'application/xml', '<q>attack-block</q>'],
    ['text', 'text/plain', 'attack-block'],
    ['JSON by a malformed name', 'application/json; charset="x', attackBody],
    ['nothing that has a name', '', 'q=attack-block'],
  ])('blocks by a body that is %s', async (_what, type, body) => {
    const { port, reached } = site();
    const target = `/body-${type.length}`;
    const response = await fetchOnce(port, {
      method: 'POST',
      target,
      headers: type === '' ? {} : { 'content-type': type },
      body,
    });
    expect(response.status).toBe(403);
    expect(reached(target)).toBe(false);
  });

  it('blocks by a compressed body', async () => {
    const { port, reached } = site();
    const headers = { ...json, 'content-encoding': 'gzip' };
    const response = await fetchOnce(port, {
      method: 'POST',
      target: '/gzip',
      headers,
      body: gzipSync(attackBody),
    });
    expect(response.status).toBe(403);
    expect(reached('/gzip')).toBe(false);
  });

  it('blocks by the headers of a response, its JSON body still to come', async () => {
    const { port } = site();
    const response = await fetchOnce(port, { target: '/say?header=leak-block' });
    expect(response.status).toBe(403);
    expect(response.body).not.toContain('origin');
  });

  it('blocks by the body of a response, of which the client gets nothing', async () => {
    const { port } = site();
    const response = await fetchOnce(port, { target: '/say?leak=leak-block' });
    expect([response.status, response.body.includes('origin')]).toEqual([403, false]);
  });

  describe('is not escaped', () => {
    it('by an end of the stream that comes late', async () => {
      const { port, reached } = site();
      const client = new Http2Connection(port);
      const stream = client.session.request({
        ...{ ':method': 'POST', ':path': '/late-end', ':authority': 'site.example' },
        ...{ ...json, 'content-length': String(attackBody.length) },
      });
      stream.on('error', () => undefined);
      const answered = once(stream, 'response');
      stream.write(attackBody);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(reached('/late-end')).toBe(false);
      stream.end();
      const [headers] = await answered;
      expect(headers[':status']).toBe(403);
      expect(reached('/late-end')).toBe(false);
      client.close();
    });

    it('by chunks that come slowly', async () => {
      const { port, reached } = site();
      const connection = new Http1Connection(port);
      const head =
        'POST /slow-chunks HTTP/1.1\r\nhost: site.example\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
      connection.write(head);
      for (const piece of ['{"q":"atta', 'ck-block', '"}']) {
        connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      connection.write('0\r\n\r\n');
      expect((await connection.response()).status).toBe(403);
      expect(reached('/slow-chunks')).toBe(false);
      connection.close();
    });

    it('by trailers in the place of the end', async () => {
      const { port, reached } = site();
      const connection = new Http1Connection(port);
      connection.write(
        `POST /trailers HTTP/1.1\r\nhost: site.example\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n14\r\n${attackBody}\r\n0\r\nx-end: 1\r\n\r\n`,
      );
      expect((await connection.response()).status).toBe(403);
      expect(reached('/trailers')).toBe(false);
      connection.close();
      const client = new Http2Connection(port);
      const stream = client.session.request(
        { ':method': 'POST', ':path': '/h2-trailers', ':authority': 'site.example', ...json },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': '1' }));
      stream.on('error', () => undefined);
      const answered = once(stream, 'response');
      stream.end(attackBody);
      const [headers] = await answered;
      expect([headers[':status'], reached('/h2-trailers')]).toEqual([403, false]);
      client.close();
    });

    it('by waiting for 100 (Continue)', async () => {
      const { port, reached } = site();
      const connection = new Http1Connection(port);
      connection.write(
        `POST /continue HTTP/1.1\r\nhost: site.example\r\ncontent-type: application/json\r\ncontent-length: ${attackBody.length}\r\nexpect: 100-continue\r\n\r\n`,
      );
      expect((await connection.head()).status).toBe(100);
      connection.write(attackBody);
      expect([(await connection.response()).status, reached('/continue')]).toEqual([403, false]);
      connection.close();
    });

    it('by six escapes that are none', async () => {
      const { port, reached } = site();
      const response = await fetchOnce(port, { target: '/%zz%zz%zz%zz%zz%zz?x=attack-block' });
      expect([response.status, reached('/%zz')]).toEqual([403, false]);
    });

    it('by a request that asks for an upgrade and has a body', async () => {
      const { port, daemon } = site();
      const connection = new Http1Connection(port);
      const head = [
        'POST /upgrade-body HTTP/1.1',
        'host: site.example',
        'connection: Upgrade',
        'upgrade: websocket',
      ];
      const framing = ['content-type: application/json', `content-length: ${attackBody.length}`];
      connection.write(`${[...head, ...framing].join('\r\n')}\r\n\r\n${attackBody}`);
      // The origin would send it back.
      await expect(connection.until('attack-block')).rejects.toThrow('connection closed');
      expect(await daemon.securityEvent('/upgrade-body')).toMatchObject({ verdict: 'block' });
      connection.close();
    });
  });
});
