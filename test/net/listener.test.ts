// Who gets past the listening socket, seen from outside: real sockets only.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { SpopServer, type SpopServerOptions } from '../../src/adapters/haproxy/server.ts';
import type { ServerObserver } from '../../src/adapters/haproxy/server-observer.ts';
import { text } from '../../src/adapters/haproxy/set-var.ts';
import type { ListenAddress } from '../../src/net/address.ts';
import { parseAllowList } from '../../src/net/allow-list.ts';
import { CertificateFolder } from '../support/certificates.ts';
import { SpopClient } from '../support/spop-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-listener-'));
const certificates = new CertificateFolder();
const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  certificates.remove();
});

async function start(
  changes: Partial<SpopServerOptions>,
  address: ListenAddress = { host: '127.0.0.1', port: 0 },
) {
  const refused: string[] = [];
  const failed: string[] = [];
  const observer: ServerObserver = {
    refused: (reason, from) => refused.push(`${reason} ${from}`),
    handshakeFailed: (cause, from) => failed.push(`${'code' in cause ? cause.code : cause.message} ${from}`),
  };
  const options = {
    ...{ maxFrameSizeBytes: 65_536, maxFramesInFlight: 32, maxConnections: 100 },
    ...{ helloTimeoutMs: 60_000, idleTimeoutMs: 60_000, ...changes },
  };
  const server = new SpopServer(options, { answer: (_, done) => done([text('a', 'b')]) }, observer);
  const where = await server.listen(address);
  cleanUp.push(() => server.close());
  return { server, refused, failed, port: Number(where.split(':').at(-1)) };
}

/** Resolves with what came before the end. */
function bytesUntilEnd(port: number, host: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => socket.write('anything'));
    socket.on('data', () => undefined).on('error', () => undefined);
    socket.once('close', () => resolve(socket.bytesRead));
  });
}

describe('the list of addresses', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.0/8', '127.9.9.9', true],
    ['127.0.0.2', '127.0.0.1', false],
    ['10.0.0.0/8,192.0.2.7', '192.0.2.7', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:11.1.2.3', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '::1', true],
    ['::1', 'nonsense', false],
  ])('%s and %s: %s', (list, address, allowed) => {
    expect(parseAllowList(list.split(','))?.(address)).toBe(allowed);
  });

  it.each(['10.0.0.0/33', '::/129', '10.0.0', 'localhost', '10.0.0.1/', '10.0.0.1/x', '', '1:2', '/8'])(
    'cannot have %j',
    (network) => expect(parseAllowList([network])).toBeUndefined(),
  );

  it('closes others unread, and serves those who are on it', async () => {
    const allowed = parseAllowList(['127.0.0.0/30']);
    const { port, refused, server } = await start({ allowed });
    const good = await SpopClient.connect({ port });
    cleanUp.push(() => good.socket.destroy());
    await good.hello();
    const stranger = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.9' });
    stranger.on('error', () => undefined).resume();
    await new Promise((resolve) => stranger.once('close', resolve));
    expect(stranger.bytesRead).toBe(0);
    expect(refused).toEqual(['address 127.0.0.9']);
    expect(server.connections).toBe(1);
  });

  it('knows IPv4 clients of a listener on :: by their IPv4 address', async () => {
    const both = { host: '::', port: 0 };
    const { port, refused } = await start({ allowed: parseAllowList(['127.0.0.1']) }, both);
    const good = await SpopClient.connect({ port });
    cleanUp.push(() => good.socket.destroy());
    await good.hello();
    expect(await bytesUntilEnd(port, '::1')).toBe(0);
    expect(refused).toEqual(['address ::1']);
  });

  it('is not asked for unix sockets', async () => {
    const path = join(folder, 'listed.sock');
    await start({ allowed: parseAllowList(['10.0.0.1']) }, { socketPath: path });
    const client = await SpopClient.connect({ path });
    cleanUp.push(() => client.socket.destroy());
    await client.hello();
  });
});

describe('a unix socket', () => {
  it.each([0o600, 0o660, 0o666])('has mode %o, whatever the umask, which stays as it was', async (mode) => {
    const path = join(folder, `${mode}.sock`);
    const before = process.umask(0o027);
    cleanUp.push(() => process.umask(before));
    await start({ socketMode: mode }, { socketPath: path });
    expect(statSync(path).mode & 0o777).toBe(mode);
    expect(process.umask()).toBe(0o027);
  });

  it('leaves the umask alone when it cannot be made', async () => {
    const before = process.umask();
    await expect(start({ socketMode: 0o600 }, { socketPath: '/nowhere/a.sock' })).rejects.toThrow();
    expect(process.umask()).toBe(before);
  });
});

describe('TLS', () => {
  const authority = certificates.authority('ca');
  const own = certificates.issue(authority, 'agent');
  const read = (path: string): string => readFileSync(path, 'utf8');
  const identity = { certificate: read(own.certificate), key: read(own.key), ca: undefined };

  it('counts handshakes against the limit of connections, and ends them in time', async () => {
    const { port, refused, failed } = await start({ maxConnections: 1, helloTimeoutMs: 2000, tls: identity });
    const silent = silence(port);
    expect(await bytesUntilEnd(port, '127.0.0.1')).toBe(0);
    expect(refused).toEqual(['limit 127.0.0.1']);
    await silent;
    expect(failed).toEqual(['ERR_TLS_HANDSHAKE_TIMEOUT 127.0.0.1']);
    const next = tlsConnect({
      port,
      host: '127.0.0.1',
      ca: read(authority),
      checkServerIdentity: () => undefined,
    });
    cleanUp.push(() => next.destroy());
    await new Promise((resolve) => next.once('secureConnect', resolve));
    expect(next.authorized).toBe(true);
  });

  it('refuses an address before any handshake', async () => {
    const { port, refused, failed } = await start({ tls: identity, allowed: parseAllowList(['10.0.0.1']) });
    expect(await bytesUntilEnd(port, '127.0.0.1')).toBe(0);
    expect({ refused, failed }).toEqual({ refused: ['address 127.0.0.1'], failed: [] });
  });

  it('does not keep a server from closing', async () => {
    const { port, server } = await start({ tls: identity });
    const silent = silence(port);
    await silent.connected;
    server.close();
    await silent;
  });
});

/** Connects and says nothing; resolves when it is closed. */
function silence(port: number): Promise<void> & { readonly connected: Promise<void> } {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const connected = new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return Object.assign(closed, { connected });
}
