// Requests that are conversations: the client waits for a part of the answer before it sends the next piece. With the
// shipped files, the real daemon, and body inspection on.
import { setTimeout as elapse } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Http1Connection, Http2Connection, type HttpResponse } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { type ConfFile, uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const uncommentLog = uncomment('frontend-config.cfg', 'log-format');
const uncommentStream = uncomment('frontend-config.cfg', 'http-request set-var(txn.dd_stream)');
const edit = (file: ConfFile, text: string): string => uncommentStream(file, uncommentLog(file, text));

/** Long enough for HAProxy to have passed on what came before, had it not waited for more. */
const pauseMs = 300;

const connect = 'application/connect+json';
/** As Connect puts a message into a stream: flags, length, message. */
function envelope(message: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(Buffer.byteLength(message), 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}
const chunk = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
const lastChunk = Buffer.from('0\r\n\r\n');

describeEachHaproxy('a request that is a conversation', (binary) => {
  const proxy = shareProtectedProxy(binary, { defaults: '    option http-no-delay', edit });
  let requests = 0;

  const head = (target: string, fields: Readonly<Record<string, string>>): string =>
    [
      `POST ${target} HTTP/1.1`,
      'host: site.example',
      ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
      '\r\n',
    ].join('\r\n');

  const chunked = { 'transfer-encoding': 'chunked' };

  /** Head and first piece together, the others after a pause each. */
  const inPieces = async (start: string, pieces: readonly Buffer[]): Promise<HttpResponse> => {
    const connection = new Http1Connection(proxy().httpPort);
    const [first = Buffer.alloc(0), ...others] = pieces;
    connection.write(Buffer.concat([Buffer.from(start), first]));
    for (const piece of others) {
      await elapse(pauseMs);
      connection.write(piece);
    }
    const response = await connection.response();
    connection.close();
    return response;
  };

  it.each([
    ['application/connect+json', '/conversation?'],
    ['application/connect+proto', '/conversation?'],
    ['Application/Connect+JSON; charset=utf-8', '/conversation?'],
    ['application/grpc+proto', '/conversation?'],
    ['application/x-ndjson', '/events/ingest/../../conversation?'],
  ])('of %s goes on over HTTP/1.1 (%s)', async (type, target) => {
    const mark = `http1-${requests++}`;
    const connection = new Http1Connection(proxy().httpPort);
    connection.write(head(`${target}${mark}`, { 'content-type': type, ...chunked }));
    for (const piece of ['{"n":1}', '{"number":2}']) {
      connection.write(chunk(envelope(piece)));
      await connection.until(`<heard ${piece.length + 5}>`);
    }
    connection.write(lastChunk);
    await connection.until('<over>');
    connection.close();
    const line = await proxy().haproxy.log.waitFor(new RegExp(`\\?${mark} `));
    expect(line).toContain(type.startsWith('application/grpc') ? 'dd_verdict=pass' : 'dd_verdict=partial');
  });

  it.each(['application/connect+json', 'application/connect+proto', 'application/grpc'])(
    'of %s goes on over HTTP/2',
    async (type) => {
      const connection = new Http2Connection(proxy().http2Port);
      const stream = connection.session.request({
        ...{
          ':method': 'POST',
          ':path': '/conversation',
          ':authority': 'site.example',
          'content-type': type,
        },
      });
      let heard = '';
      let wake = (): void => {};
      stream.setEncoding('latin1').on('data', (text: string) => {
        heard += text;
        wake();
      });
      const hears = async (words: string): Promise<void> => {
        while (!heard.includes(words))
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      };
      for (const piece of ['{"n":1}', '{"number":2}']) {
        stream.write(envelope(piece));
        await hears(`<heard ${piece.length + 5}>`);
      }
      stream.end();
      await hears('<over>');
      connection.close();
    },
  );

  it('is inspected as far as it comes with its head', async () => {
    const mark = `early-${requests++}`;
    const start = head(`/echo?${mark}`, { 'content-type': connect, ...chunked });
    // Escaped, so that it is found only where the messages are read as JSON.
    const response = await inPieces(start, [chunk(envelope('{"a":"\\u0061ttack-block"}')), lastChunk]);
    expect(response.status).toBe(403);
    expect(proxy().reached(mark)).toBe(false);
  });

  it('is said to be inspected in part: what comes later passes', async () => {
    const mark = `late-${requests++}`;
    const start = head(`/echo?${mark}`, { 'content-type': connect, ...chunked });
    const pieces = [chunk(envelope('{"a":1}')), chunk(envelope('{"a":"attack-block"}')), lastChunk];
    expect((await inPieces(start, pieces)).status).toBe(200);
    const line = await proxy().haproxy.log.waitFor(new RegExp(`\\?${mark} `));
    expect(line).toContain('dd_verdict=partial');
  });

  it.each<[string, Record<string, string>, (bytes: Buffer) => Buffer]>([
    ['names a length', { 'content-type': connect, 'content-length': '25' }, (bytes) => bytes],
    [
      'names a second type',
      { 'content-type': 'application/json', 'Content-Type': connect, ...chunked },
      chunk,
    ],
    ['names another type behind it', { 'content-type': `${connect}, application/json`, ...chunked }, chunk],
    ['names the type among others', { 'content-type': `text/plain, ${connect}`, ...chunked }, chunk],
    ['is NDJSON', { 'content-type': 'application/x-ndjson', ...chunked }, chunk],
    ['is of another type of Connect', { 'content-type': 'application/connectx', ...chunked }, chunk],
  ])('is none when it %s: the whole body is waited for', async (_what, fields, framed) => {
    const mark = `whole-${requests++}`;
    const whole = envelope('{"a":"attack-block"}');
    const pieces = [framed(whole.subarray(0, 14)), framed(whole.subarray(14))];
    const end = framed === chunk ? [lastChunk] : [];
    expect((await inPieces(head(`/echo?${mark}`, fields), [...pieces, ...end])).status).toBe(403);
    expect(proxy().reached(mark)).toBe(false);
  });
});
