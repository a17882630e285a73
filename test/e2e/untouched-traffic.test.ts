// What the shipped files must not break, with an agent that wants every body: slow uploads, streams, upgrades. And
// what must not escape it: bodies that come late or in chunks.
import { setTimeout as elapse } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { fetchOnce, Http1Connection, Http2Connection, header } from './support/http-client.ts';
import { slowJsonMs } from './support/origin.ts';
import { describeEachHaproxy, type StubbedProxy, startStubbedProxy } from './support/stubbed-proxy.ts';

const requestBody = 'http-request-body-msg';
const responseBody = 'http-response-body-msg';
/** Between two of three pieces: together more than the second after which Datadog's files answer 408 or 504. */
const slowMs = 600;

describeEachHaproxy('traffic that is left alone', (binary) => {
  let proxy: StubbedProxy;
  beforeAll(async () => {
    // Without it HAProxy itself holds back a first small piece for up to 200 ms, agent or not.
    proxy = await startStubbedProxy(binary, { defaults: '    option http-no-delay' });
    proxy.agent.script = () => ({ span_id: '7', request_body: true, response_body: true });
  });
  beforeEach(() => {
    proxy.agent.messages.length = 0;
  });
  afterAll(() => proxy.stop());

  it.each([
    ['with a length', 'content-length: 9', ['{"a":', '"b', '"}']],
    ['in chunks', 'transfer-encoding: chunked', ['5\r\n{"a":\r\n', '2\r\n"b\r\n', '2\r\n"}\r\n0\r\n\r\n']],
    ['with a length and a meaningless Upgrade', 'content-length: 9\r\nupgrade: x', ['{"a":', '"b', '"}']],
  ])('a slow upload %s is waited for and inspected whole', async (_how, framing, pieces) => {
    const connection = new Http1Connection(proxy.httpPort);
    connection.write(`POST /status/201 HTTP/1.1\r\nhost: site.example\r\n${framing}\r\n\r\n`);
    for (const piece of pieces) {
      await elapse(slowMs);
      connection.write(piece);
    }
    expect((await connection.response()).status).toBe(201);
    connection.close();
    expect(proxy.agent.named(requestBody)[0]?.args.get('body')).toEqual(Buffer.from('{"a":"b"}'));
  });

  it('a body of HTTP/2 without a length that comes late is waited for and inspected whole', async () => {
    const connection = new Http2Connection(proxy.http2Port);
    const pseudo = { ':method': 'POST', ':path': '/status/201', ':authority': 'site.example' };
    const stream = connection.session.request(pseudo, { endStream: false });
    const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
    for (const piece of ['{"a":', '"b', '"}']) {
      await elapse(slowMs);
      stream.write(piece);
    }
    stream.end();
    expect(await status).toBe(201);
    connection.close();
    expect(proxy.agent.named(requestBody)[0]?.args.get('body')).toEqual(Buffer.from('{"a":"b"}'));
  });

  it('a client that waits for 100 Continue gets it, and its body is inspected', async () => {
    const connection = new Http1Connection(proxy.httpPort);
    const head = ['POST /echo HTTP/1.1', 'host: site.example', 'expect: 100-continue', 'content-length: 2'];
    connection.write(`${head.join('\r\n')}\r\n\r\n`);
    expect((await connection.head()).status).toBe(100);
    connection.write('{}');
    expect((await connection.response()).status).toBe(200);
    connection.close();
    expect(proxy.agent.named(requestBody)[0]?.args.get('body')).toEqual(Buffer.from('{}'));
  });

  it('a client that waits for 100 Continue is told by the origin when nobody looks at the body', async () => {
    const aside = proxy.agent.script;
    onTestFinished(() => {
      proxy.agent.script = aside;
    });
    proxy.agent.script = () => ({ span_id: '7', request_body: false });
    const framing = 'host: site.example\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n';
    const refused = new Http1Connection(proxy.httpPort);
    refused.write(`POST /no-upload HTTP/1.1\r\n${framing}`);
    expect((await refused.head()).status).toBe(417);
    refused.close();

    const taken = new Http1Connection(proxy.httpPort);
    taken.write(`POST /echo HTTP/1.1\r\n${framing}`);
    expect((await taken.head()).status).toBe(100);
    expect(proxy.origin.requests.at(-1)).toMatchObject({
      ...{ target: '/echo', headers: { expect: '100-continue' } },
    });
    taken.write('{}');
    expect((await taken.response()).status).toBe(200);
    taken.close();
  });

  it('a client that waits for 100 Continue is told by HAProxy when its body is inspected, and not by the origin', async () => {
    const connection = new Http1Connection(proxy.httpPort);
    connection.write('POST /no-upload HTTP/1.1\r\nhost: site.example\r\nexpect: 100-continue\r\n');
    connection.write('content-length: 2\r\n\r\n');
    expect((await connection.head()).status).toBe(100);
    connection.write('{}');
    expect((await connection.response()).status).toBe(200);
    connection.close();
    const received = proxy.origin.requests.at(-1);
    expect(received?.target).toBe('/no-upload');
    expect(received?.headers).not.toHaveProperty('expect');
  });

  it('a client that stops sending is ended by `timeout client`, as it would be without us', async () => {
    const impatient = await startStubbedProxy(binary, { defaults: '    timeout client 300ms' });
    impatient.agent.script = () => ({ request_body: true });
    const connection = new Http1Connection(impatient.httpPort);
    connection.write('POST /echo HTTP/1.1\r\nhost: site.example\r\ncontent-length: 10\r\n\r\n{"a');
    expect((await connection.response()).status).toBe(408);
    connection.close();
    expect(impatient.origin.requests).toEqual([]);
    await impatient.stop();
  });

  it('an upload of many buffers arrives whole; the agent sees its beginning and its size', async () => {
    const response = await fetchOnce(proxy.httpPort, {
      method: 'POST',
      target: '/echo',
      body: 'u'.repeat(300_000),
    });
    expect(header(response, 'x-body-size')).toBe('300000');
    expect(response.body).toHaveLength(300_000);
    const args = proxy.agent.named(requestBody)[0]?.args;
    expect(args?.get('body_size')).toBe(300_000n);
    expect(String(args?.get('body')).length).toBeGreaterThan(14_000);
  });

  it.each(['/sse', '/chunked-json'])('%s starts at once', async (target) => {
    const connection = new Http1Connection(proxy.httpPort);
    // The origin sends nothing more: what waited for more would wait for ever.
    connection.write(`GET ${target}?held HTTP/1.1\r\nhost: site.example\r\n\r\n`);
    expect((await connection.head()).status).toBe(200);
    await connection.until('\r\n');
    proxy.origin.goOn();
    connection.close();
  });

  it('a long poll shows its head before it has news', async () => {
    const connection = new Http1Connection(proxy.httpPort);
    connection.write('GET /long-poll?held HTTP/1.1\r\nhost: site.example\r\n\r\n');
    await connection.head();
    proxy.origin.goOn();
    await connection.until('{"news":true}');
    connection.close();
  });

  it('a JSON response of known length that takes long is waited for, inspected whole and delivered', async () => {
    const started = performance.now();
    const { status, body } = await fetchOnce(proxy.httpPort, { target: '/slow-json' });
    expect(performance.now() - started).toBeGreaterThan(slowJsonMs);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ slow: true });
    expect(proxy.agent.named(responseBody)[0]?.args.get('body')).toEqual(Buffer.from(body));
  });

  it.each([13_900, 14_500, 15_300, 16_384, 400_000])(
    'a JSON response of %d bytes is delivered',
    async (size) => {
      const { status, body } = await fetchOnce(proxy.httpPort, { target: `/json?size=${size}` });
      expect(status).toBe(200);
      expect(JSON.parse(body).filler).toHaveLength(size);
      expect(proxy.agent.named(responseBody)).toHaveLength(1);
      expect(proxy.agent.named(responseBody)[0]?.args.get('body_size')).toBe(BigInt(body.length));
    },
  );

  it.each([
    ['HEAD', '/json', 200],
    ['GET', '/status/204', 204],
    ['GET', '/status/304', 304],
  ])('%s %s has no body to wait for', async (method, target, expected) => {
    expect((await fetchOnce(proxy.httpPort, { method, target })).status).toBe(expected);
  });

  it('a WebSocket is upgraded and carries bytes both ways', async () => {
    const connection = new Http1Connection(proxy.httpPort);
    const upgrade = ['upgrade: websocket', 'connection: upgrade', 'sec-websocket-version: 13'];
    const head = ['GET /ws HTTP/1.1', 'host: site.example', ...upgrade];
    connection.write(`${head.join('\r\n')}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    expect((await connection.head()).status).toBe(101);
    connection.write('ping!');
    expect(await connection.until('ping!')).toBe('ping!');
    connection.close();
  });

  it('a WebSocket over HTTP/2 (RFC 8441) is, too', async () => {
    const connection = new Http2Connection(proxy.http2Port);
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
});
