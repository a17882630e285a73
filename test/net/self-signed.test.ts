import { X509Certificate } from 'node:crypto';
import { type AddressInfo, isIP } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { selfSignedIdentity } from '../../src/net/self-signed.ts';
import { expiryOf, secureContextOf } from '../../src/net/tls.ts';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo();
});

describe('a certificate made at start', () => {
  it('is one that the checks of an identity from files accept, with a key of its own each time', () => {
    const [one, other] = [selfSignedIdentity(), selfSignedIdentity()];
    secureContextOf(one);
    expect(one.key).not.toBe(other.key);
    expect(new X509Certificate(one.certificate).serialNumber).not.toBe(
      new X509Certificate(other.certificate).serialNumber,
    );
  });

  it('is signed by itself, is no CA, and is for servers', () => {
    const certificate = new X509Certificate(selfSignedIdentity().certificate);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.ca).toBe(false);
    expect(certificate.subject).toBe('CN=localhost');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('has the names asked for beside localhost and its addresses', () => {
    const { certificate } = selfSignedIdentity({ names: ['edge.example', '10.1.2.3', 'localhost'] });
    expect(new X509Certificate(certificate).subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:edge.example, IP Address:10.1.2.3',
    );
  });

  it.each([
    [Date.UTC(2026, 10, 25, 8), '2026-11-24T08:00:00.000Z', '2029-02-27T08:00:00.000Z'],
    // UTCTime ends with 2049.
    [Date.UTC(2049, 11, 31, 23, 59, 59), '2049-12-30T23:59:59.000Z', '2052-04-04T23:59:59.000Z'],
  ])('made at %d is valid from a day before, for more than two years', (nowMs, from, to) => {
    const identity = selfSignedIdentity({ nowMs });
    expect(new Date(new X509Certificate(identity.certificate).validFrom).toISOString()).toBe(from);
    expect(expiryOf(identity)?.toISOString()).toBe(to);
  });

  it('can be for any address and any name that DNS has', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), { maxLength: 40 }), (names) => {
        const certificate = new X509Certificate(selfSignedIdentity({ names }).certificate);
        for (const name of names) {
          const found = isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name);
          expect(found, name).toBeDefined();
        }
      }),
      { numRuns: 40 },
    );
  });

  it.each(['', 'zwölf.example', 'a b'])('cannot be for %j', (name) => {
    expect(() => selfSignedIdentity({ names: [name] })).toThrow(RangeError);
  });

  it('is accepted by a TLS client that trusts it, and by no other', async () => {
    const { certificate, key } = selfSignedIdentity();
    const server = createServer({ cert: certificate, key }, (socket) => socket.end());
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const attempt = (ca?: string): Promise<string> =>
      new Promise((resolve) => {
        const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca }, () => {
          resolve(String(socket.authorized));
          socket.destroy();
        });
        socket.on('error', (cause: NodeJS.ErrnoException) => resolve(cause.code ?? ''));
      });
    expect(await attempt(certificate)).toBe('true');
    expect(await attempt()).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  });
});
