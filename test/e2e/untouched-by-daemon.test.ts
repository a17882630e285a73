// Traffic that must pass as if the daemon were not there, with the real daemon and body inspection on.
// test/e2e/untouched-traffic.test.ts asks more of the HAProxy files, with a scripted agent.
import { setTimeout as elapse } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { slowJsonMs } from './support/origin.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** Two of them are longer than the second after which Datadog's files answer 408. */
const pauseMs = 600;

describeEachHaproxy('with the daemon inspecting bodies', (binary) => {
  // Without it HAProxy itself holds back a first small piece for up to 200 ms, agent or not.
  const proxy = shareProtectedProxy(binary, { defaults: '    option http-no-delay' });

  const slowUpload = async (target: string, pieces: readonly string[], framing: string): Promise<number> => {
    const connection = new Http1Connection(proxy().httpPort);
    const head = [`POST ${target} HTTP/1.1`, 'host: site.example', 'content-type: application/json', framing];
    connection.write(`${head.join('\r\n')}\r\n\r\n`);
    for (const piece of pieces) {
      await elapse(pauseMs);
      connection.write(piece);
    }
    const { status } = await connection.response();
    connection.close();
    return status;
  };

  it('a slow upload arrives, and is inspected whole', async () => {
    const [clean, attack, chunked] = await Promise.all([
      slowUpload('/status/201?slow', ['{"a":', '"harmle', 'ss"}'], 'content-length: 16'),
      slowUpload('/status/201?slow', ['{"a":"att', 'ack-bl', 'ock"}'], 'content-length: 20'),
      slowUpload(
        '/status/201?slow',
        ['9\r\n{"a":"att\r\n', '6\r\nack-bl\r\n', '5\r\nock"}\r\n0\r\n\r\n'],
        'transfer-encoding: chunked',
      ),
    ]);
    expect([clean, attack, chunked]).toEqual([201, 403, 403]);
  });

  it('an upload of many buffers arrives whole', async () => {
    const body = 'u'.repeat(300_000);
    const response = await fetchOnce(proxy().httpPort, { method: 'POST', target: '/echo', body });
    expect(header(response, 'x-body-size')).toBe('300000');
    expect(response.body).toBe(body);
  });

  it.each(['/sse', '/chunked-json'])('%s starts at once', async (target) => {
    const connection = new Http1Connection(proxy().httpPort);
    // The origin sends nothing more: what waited for more would wait for ever.
    connection.write(`GET ${target}?held HTTP/1.1\r\nhost: site.example\r\n\r\n`);
    expect((await connection.head()).status).toBe(200);
    await connection.until('\r\n');
    proxy().origin.goOn();
    connection.close();
  });

  it('server-sent events flow on', async () => {
    const connection = new Http1Connection(proxy().httpPort);
    connection.write('GET /sse HTTP/1.1\r\nhost: site.example\r\n\r\n');
    await connection.until('data: event 5');
    connection.close();
  });

  it('a long poll shows its head before it has news', async () => {
    const connection = new Http1Connection(proxy().httpPort);
    connection.write('GET /long-poll?held HTTP/1.1\r\nhost: site.example\r\n\r\n');
    await connection.head();
    proxy().origin.goOn();
    await connection.until('{"news":true}');
    connection.close();
  });

  it('a JSON response that takes longer than a second is delivered whole', async () => {
    const started = performance.now();
    const { status, body } = await fetchOnce(proxy().httpPort, {
      ...{
        method: 'POST',
        target: '/slow-json',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      },
    });
    expect(performance.now() - started).toBeGreaterThan(slowJsonMs);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ slow: true });
  });

  it('a WebSocket is upgraded and carries bytes both ways, attacks included', async () => {
    const connection = new Http1Connection(proxy().httpPort);
    const upgrade = ['upgrade: websocket', 'connection: upgrade', 'sec-websocket-version: 13'];
    const head = ['GET /ws HTTP/1.1', 'host: site.example', ...upgrade];
    connection.write(`${head.join('\r\n')}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    expect((await connection.head()).status).toBe(101);
    connection.write('attack-block leak-block!');
    expect(await connection.until('!')).toBe('attack-block leak-block!');
    connection.close();
  });

  it('a WebSocket over HTTP/2 (RFC 8441) is, too', async () => {
    const connection = new Http2Connection(proxy().http2Port);
    await new Promise((resolve) => connection.session.once('remoteSettings', resolve));
    const pseudo = { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/ws' };
    const stream = connection.session.request({
      ...pseudo,
      ...{ ':authority': 'site.example', 'sec-websocket-version': '13' },
    });
    const echoed = new Promise((resolve) => stream.on('data', (bytes: Buffer) => resolve(bytes.toString())));
    stream.on('response', () => stream.write('ping!'));
    expect(await echoed).toBe('ping!');
    connection.close();
  });

  it('a WebSocket whose handshake carries an attack is refused', async () => {
    const connection = new Http1Connection(proxy().httpPort);
    const upgrade = ['upgrade: websocket', 'connection: upgrade', 'sec-websocket-version: 13'];
    const head = ['GET /ws?q=attack-block HTTP/1.1', 'host: site.example', ...upgrade];
    connection.write(`${head.join('\r\n')}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    expect((await connection.head()).status).toBe(403);
    connection.close();
  });

  it('nothing of all that was an error for HAProxy or the daemon', async () => {
    expect(proxy().haproxy.log.lines.filter((line) => line.includes('SPOE'))).toEqual([]);
    expect(await proxy().daemon.metric('errors_total')).toBe(0);
  });
});
