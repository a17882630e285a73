// TCP, TLS and unix sockets, and who gets past them.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { parseAllowList } from '../../src/net/allow-list.ts';
import { selfSignedIdentity } from '../../src/net/self-signed.ts';
import { CertificateFolder } from '../support/certificates.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { echoPath, startServer as start, type TestServer } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-grpc-'));
const certificates = new CertificateFolder();
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  certificates.remove();
});

async function startServer(...parameters: Parameters<typeof start>): Promise<TestServer> {
  const started = await start(...parameters);
  cleanUp.push(() => started.server.close());
  return started;
}

async function connect(...parameters: Parameters<typeof GrpcClient.connect>): Promise<GrpcClient> {
  const client = await GrpcClient.connect(...parameters);
  cleanUp.push(() => client.close());
  return client;
}

const read = (path: string): string => readFileSync(path, 'utf8');

describe('TLS', () => {
  const tls = selfSignedIdentity();
  const trusting = { tls: true, ca: tls.certificate, servername: 'localhost' };

  it('is spoken with ALPN h2', async () => {
    const { port } = await startServer({ tls });
    const client = await connect({ port }, trusting);
    expect((client.session.socket as TLSSocket).alpnProtocol).toBe('h2');
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
  });

  it('is spoken with clients that name no protocol, as some health checks do', async () => {
    const { port } = await startServer({ tls });
    const createConnection = () =>
      connectTls({ port, host: '127.0.0.1', ca: tls.certificate, servername: 'localhost' });
    const client = await connect({ port }, { tls: true, createConnection });
    expect((client.session.socket as TLSSocket).alpnProtocol).toBe(false);
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
  });

  it('is refused to clients that name others only', async () => {
    const { port, seen } = await startServer({ tls });
    const socket = connectTls({ port, host: '127.0.0.1', ca: tls.certificate, ALPNProtocols: ['http/1.1'] });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    await expect.poll(() => seen, { timeout: 15_000 }).toEqual([expect.stringMatching(/^handshake failed/)]);
  });

  it('uses a new certificate for connections from then on, and leaves those that are open', async () => {
    const { port, server } = await startServer({ tls });
    const before = await connect({ port }, trusting);
    const renewed = selfSignedIdentity();
    server.renewTls(renewed);
    const after = await connect({ port }, { ...trusting, ca: renewed.certificate });
    for (const client of [before, after])
      expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
    await expect(GrpcClient.connect({ port }, trusting)).rejects.toThrow('self-signed');
  });

  it('asks for certificates of clients where there is a CA for them', async () => {
    const authority = certificates.authority('ca');
    const [own, theirs] = ['server', 'envoy'].map((name) => certificates.issue(authority, name));
    const identity = {
      certificate: read(own?.certificate ?? ''),
      key: read(own?.key ?? ''),
      ca: read(authority),
    };
    const { port, seen } = await startServer({ tls: identity });
    const options = { tls: true, ca: read(authority), checkServerIdentity: () => undefined };
    const known = { cert: read(theirs?.certificate ?? ''), key: read(theirs?.key ?? '') };
    const client = await connect({ port }, { ...options, ...known });
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
    const stranger = connectTls({ port, host: '127.0.0.1', ca: read(authority), ALPNProtocols: ['h2'] });
    stranger.on('error', () => undefined).resume();
    await new Promise((resolve) => stranger.once('close', resolve));
    expect(stranger.bytesRead).toBe(0);
    await expect
      .poll(() => seen.filter((line) => line.startsWith('handshake failed')), { timeout: 15_000 })
      .toHaveLength(1);
  });

  it('is not waited for longer than a handshake may take', async () => {
    const { port, seen } = await startServer({ tls, helloTimeoutMs: 100 });
    const socket = connectTcp({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined).resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(seen).toEqual(['handshake failed: ERR_TLS_HANDSHAKE_TIMEOUT']);
  });
});

describe('a unix socket', () => {
  it('is served, with the mode asked for, after one that a killed process left', async () => {
    const socketPath = join(folder, 'edge.sock');
    const first = await startServer({ socketMode: 0o660 }, undefined, {}, { socketPath });
    expect(first.where).toBe(socketPath);
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    const client = await connect({ path: socketPath });
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
    expect(first.calls[0]?.call.peerAddress).toBeUndefined();
    await expect(start({}, undefined, {}, { socketPath })).rejects.toThrow('EADDRINUSE');
  });
});

describe('a listener', () => {
  it('closes addresses that are not on the list, and connections beyond the limit, unread', async () => {
    const { port, seen } = await startServer({ maxConnections: 1, allowed: parseAllowList(['127.0.0.1']) });
    const client = await connect({ port });
    for (const localAddress of ['127.0.0.9', '127.0.0.1']) {
      const socket = connectTcp({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined).resume();
      await new Promise((resolve) => socket.once('close', resolve));
      expect(socket.bytesRead).toBe(0);
    }
    expect(seen).toEqual(['connected', 'refused: address', 'refused: limit']);
    expect(await client.unary(echoPath, 'x')).toMatchObject({ status: 0 });
  });

  it('rejects with the error of Node when it cannot listen', async () => {
    const { port } = await startServer();
    await expect(start({}, undefined, {}, { host: '127.0.0.1', port })).rejects.toThrow('EADDRINUSE');
  });
});
