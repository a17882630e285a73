// Addresses, both versions of HTTP on one port, TLS, and how a receiver leaves. Real sockets.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { parseAllowList } from '../../../src/net/allow-list.ts';
import { CertificateFolder } from '../../support/certificates.ts';
import { closeReceivers, ok, Receiver, Sender, until, valueIn } from './receiver.ts';

const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-mirror-'));
const certificates = new CertificateFolder();
const sessions: ClientHttp2Session[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
  closeReceivers();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  certificates.remove();
});

function http2(receiver: Receiver, options: Parameters<typeof connectHttp2>[1] = {}, scheme = 'http') {
  const session = connectHttp2(`${scheme}://127.0.0.1:${receiver.port}`, options);
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

/** Sends a request, and resolves with the answer's headers once it has ended. */
function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: Buffer) {
  return new Promise<Record<string, unknown>>((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let answer: Record<string, unknown> = {};
    stream.on('response', (fields) => {
      answer = fields;
    });
    stream.on('error', reject).on('end', () => resolve(answer));
    stream.resume();
    if (body !== undefined) stream.end(body);
  });
}

/** The preface and empty SETTINGS. */
const http2Start = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');

function frameOf(type: number, stream: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, 0, payload.length, type, 0, 0, 0, 0, stream]), payload]);
}

/** HEADERS of `GET /` with a `host` in place of `:authority`. */
function framesOfRequest(stream: number, host: string): Buffer {
  const literal = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const fields = Buffer.from([0x82, 0x86, 0x84, 0, ...literal('host'), ...literal(host)]);
  return Buffer.concat([Buffer.from([0, 0, fields.length, 1, 5, 0, 0, 0, stream]), fields]);
}

describe('HTTP/2 with prior knowledge', () => {
  it('is spoken on the same port, and its copies look like those of HTTP/1', async () => {
    const receiver = await Receiver.start();
    const answer = await ask(
      http2(receiver),
      { ':method': 'POST', ':path': '/a?b', ':authority': 'shop.test', 'x-a': '1' },
      Buffer.from('hello'),
    );
    expect(answer[':status']).toBe(200);
    const [copy] = await receiver.copies(1);
    expect(copy?.request).toMatchObject({ method: 'POST', target: '/a?b', version: '2' });
    expect(copy?.request.fields).toEqual([
      ['host', 'shop.test'],
      ['x-a', '1'],
    ]);
    expect([copy?.wire, copy?.body.toString(), copy?.whole]).toEqual(['http2', 'hello', true]);
    const sender = await receiver.sender();
    sender.send('GET / HTTP/1.1\r\n\r\n');
    expect(await sender.answered(1)).toEqual([ok]);
  });

  it('takes the host from either field', async () => {
    const receiver = await Receiver.start();
    // NGINX sends it so; node only sends `:authority`.
    const sender = await receiver.sender();
    sender.send(Buffer.concat([http2Start, framesOfRequest(1, 'nginx.test')]));
    const [copy] = await receiver.copies(1);
    expect([copy?.wire, valueIn(copy?.request.fields ?? [], 'host')]).toEqual([
      'http2-without-authority',
      'nginx.test',
    ]);
  });

  it('begins however its first bytes are cut', async () => {
    const receiver = await Receiver.start();
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
    const sender = await receiver.sender();
    for (const byte of preface) {
      sender.send(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => sender.answers.join('').length > 9);
    const other = await receiver.sender();
    other.send('PRI * HT');
    other.send('TP/1.1\r\n\r\n');
    expect(await other.answered(1)).toEqual([ok]);
  });

  it('is no match for many fields, long ones, and large bodies', async () => {
    const receiver = await Receiver.start({ bodyLimitBytes: 10_000_000 });
    const session = http2(receiver, { maxSendHeaderBlockLength: 1_000_000 });
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-${at}`, 'v']));
    await ask(session, { ':path': '/many', ...many });
    await ask(session, { ':path': '/long', 'x-long': 'v'.repeat(60_000) });
    await ask(session, { ':method': 'POST', ':path': '/large' }, Buffer.alloc(20_000_000, 'x'));
    const copies = await receiver.copies(3);
    expect(copies.map(({ request }) => request.target)).toEqual(['/many', '/long', '/large']);
    expect(copies[0]?.request.fields.length).toBe(501);
    expect(copies[2]?.body.length).toBe(10_000_000);
  });

  it('answers a gRPC stream that does not end, once more came than is looked at', async () => {
    const receiver = await Receiver.start({ bodyLimitBytes: 1000 });
    const stream = http2(receiver).request({
      ':method': 'POST',
      ':path': '/shop.Cart/Watch',
      'content-type': 'application/grpc',
    });
    const answer = new Promise((resolve) => stream.once('response', resolve));
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(1_200_000));
    expect(await answer).toMatchObject({ ':status': 200, 'grpc-status': '0' });
    stream.close();
    const [copy] = await receiver.copies(1);
    expect(copy?.request.target).toBe('/shop.Cart/Watch');
  });

  it('takes an upgrade for the GET that it was', async () => {
    const receiver = await Receiver.start();
    const session = http2(receiver);
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat?q=1',
      ':authority': 'shop.test',
    });
    stream.on('error', () => undefined);
    const [copy] = await receiver.copies(1);
    expect(copy?.request).toMatchObject({ method: 'GET', target: '/chat?q=1' });
    expect(copy?.request.fields).toEqual([
      ['host', 'shop.test'],
      ['upgrade', 'websocket'],
    ]);
    expect([copy?.whole, copy?.bodySize]).toEqual([true, 0]);
  });

  it('analyses what came of a stream that is reset', async () => {
    const receiver = await Receiver.start();
    const sender = await receiver.sender();
    const request = framesOfRequest(1, 'cut.test');
    // The stream goes on.
    request.writeUInt8(4, 4);
    sender.send(Buffer.concat([http2Start, request, frameOf(0, 1, Buffer.from('<script>'))]));
    await until(() => receiver.memory.usedBytes > 0);
    const cancel = 8;
    sender.send(frameOf(3, 1, Buffer.from([0, 0, 0, cancel])));
    const [copy] = await receiver.copies(1);
    expect([copy?.body.toString(), copy?.whole]).toEqual(['<script>', false]);
  });
});

describe('a listener', () => {
  it('on a unix socket takes copies without an address', async () => {
    const socketPath = join(folder, 'mirror.sock');
    const receiver = await Receiver.start({ address: { socketPath } });
    const sender = new Sender(connect(socketPath));
    sender.send('GET / HTTP/1.1\r\n\r\n');
    expect(await sender.answered(1)).toEqual([ok]);
    expect((await receiver.copies(1))[0]?.peerAddress).toBeUndefined();
  });

  it('on every address knows IPv4 senders by their IPv4 address', async () => {
    const receiver = await Receiver.start({ address: { host: '::', port: 0 } });
    const sender = await receiver.sender();
    sender.send('GET / HTTP/1.1\r\n\r\n');
    expect((await receiver.copies(1))[0]?.peerAddress).toBe('127.0.0.1');
  });

  it('closes who is not on its list unread', async () => {
    const receiver = await Receiver.start({ allowed: parseAllowList(['10.0.0.0/8']) });
    const sender = await receiver.sender();
    await sender.closed;
    expect([receiver.told, sender.answers]).toEqual([['refused: address'], []]);
  });

  it('speaks TLS with those who show a certificate of its CA, in either version of HTTP', async () => {
    const authority = certificates.authority('senders');
    const [own, client] = ['receiver', 'proxy'].map((name) => certificates.issue(authority, name));
    const read = (path = ''): string => readFileSync(path, 'utf8');
    const receiver = await Receiver.start({
      tls: { certificate: read(own?.certificate), key: read(own?.key), ca: read(authority) },
    });
    const shown = { cert: read(client?.certificate), key: read(client?.key), rejectUnauthorized: false };
    await ask(http2(receiver, shown, 'https'), { ':path': '/over-http2' });
    const sender = new Sender(connectTls({ port: receiver.port, ...shown, ALPNProtocols: ['http/1.1'] }));
    sender.send('GET /over-http1 HTTP/1.1\r\n\r\n');
    await sender.answered(1);
    const stranger = new Sender(connectTls({ port: receiver.port, rejectUnauthorized: false }));
    await stranger.closed;
    const copies = await receiver.copies(2);
    expect(copies.map(({ request, tls }) => [request.target, tls])).toEqual([
      ['/over-http2', true],
      ['/over-http1', true],
    ]);
    expect(receiver.told).toEqual(['handshake failed']);
  });
});

describe('a receiver that leaves', () => {
  it('tells senders with their answers, takes new ones, and then ends idle connections', async () => {
    const receiver = await Receiver.start();
    const [idle, busy] = [await receiver.sender(), await receiver.sender()];
    idle.send('GET /before HTTP/1.1\r\n\r\n');
    await idle.answered(1);
    busy.send('POST /late HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel');
    await until(() => receiver.memory.usedBytes > 0);
    const drained = receiver.server.drain(200, 30_000);
    const fresh = await receiver.sender();
    fresh.send('GET /fresh HTTP/1.1\r\n\r\n');
    expect(await fresh.answered(1)).toEqual([`${ok}\r\nConnection: close`]);
    await Promise.all([idle.closed, fresh.closed]);
    busy.send('lo');
    expect(await busy.answered(1)).toEqual([`${ok}\r\nConnection: close`]);
    await drained;
    const targets = (await receiver.copies(3)).map(({ request }) => request.target);
    expect(targets).toEqual(['/before', '/fresh', '/late']);
  });

  it('still reads a copy that crosses with the end of its connection', async () => {
    const receiver = await Receiver.start();
    const socket = connect({ port: receiver.port, host: '127.0.0.1', allowHalfOpen: true });
    const sender = new Sender(socket);
    await sender.connected;
    sender.send('GET /first HTTP/1.1\r\n\r\n');
    await sender.answered(1);
    const ended = new Promise((resolve) => socket.once('end', resolve));
    const drained = receiver.server.drain(0, 30_000);
    await ended;
    sender.send('GET /crossing HTTP/1.1\r\n\r\n');
    socket.end();
    await drained;
    expect((await receiver.copies(2))[1]?.request.target).toBe('/crossing');
  });

  it('refuses no stream of HTTP/2 that was sent before its sender knew', async () => {
    const receiver = await Receiver.start();
    const sender = await receiver.sender();
    sender.send(Buffer.concat([http2Start, framesOfRequest(1, 'first.test')]));
    await receiver.copies(1);
    const drained = receiver.server.drain(200, 30_000);
    sender.send(framesOfRequest(3, 'crossing.test'));
    const copies = await receiver.copies(2);
    expect(valueIn(copies[1]?.request.fields ?? [], 'host')).toBe('crossing.test');
    sender.socket.end();
    await drained;
  });

  it('waits no longer than it may', async () => {
    const receiver = await Receiver.start();
    const stuck = await receiver.sender();
    stuck.send('POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel');
    await until(() => receiver.memory.usedBytes > 0);
    await receiver.server.drain(0, 100);
    await stuck.closed;
    expect((await receiver.copies(1))[0]?.body.toString()).toBe('hel');
  });
});
