// Links between agents with TLS: who is a peer, and who gets not even a HELLO.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { CertificateFolder } from '../../../support/certificates.ts';
import { startNetwork } from '../../../support/peer-agents.ts';

const folder = new CertificateFolder();
const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});
afterAll(() => folder.remove());

const read = (path: string): string => readFileSync(path, 'utf8');
const ca = folder.authority('ca');
const own = folder.issue(ca, 'agent');
const stranger = folder.issue(folder.authority('other-ca'), 'stranger');
const context = createSecureContext({ cert: read(own.certificate), key: read(own.key), ca: read(ca) });

describe('an agent with TLS', () => {
  it('sends nothing to a process whose certificate is of another CA', async () => {
    let bytes = 0;
    const server = createTlsServer(
      { cert: read(stranger.certificate), key: read(stranger.key) },
      (socket) => {
        socket
          .on('error', () => undefined)
          .on('data', (chunk) => {
            bytes += chunk.length;
          });
      },
    );
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp.push(() => server.close());
    const { port } = server.address() as { port: number };
    const { network, told } = startNetwork('a'.repeat(16), [port], { secureContext: () => context });
    cleanUp.push(() => network.stop());
    expect(await told.until('not linked')).toBe(`not linked 127.0.0.1:${port}: tls`);
    expect(bytes).toBe(0);
  });

  it('is not linked to one without', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).end('no TLS');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp.push(() => server.close());
    const { port } = server.address() as { port: number };
    const { network, told } = startNetwork('a'.repeat(16), [port], { secureContext: () => context });
    cleanUp.push(() => network.stop());
    expect(await told.until('not linked')).toBe(`not linked 127.0.0.1:${port}: tls`);
  });
});
