import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTls } from '../../../src/adapters/haproxy/tls-renewal.ts';
import { readConfig } from '../../../src/daemon/settings.ts';
import { CertificateFolder } from '../../support/certificates.ts';

const folder = new CertificateFolder();
afterAll(() => folder.remove());
const ca = folder.authority('ca');
const own = folder.issue(ca, 'agent');
const other = folder.issue(ca, 'other');
const empty = folder.file('empty.pem', '');
const broken = folder.file('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');

type Files = Partial<Record<'tlsCertificatePath' | 'tlsKeyPath' | 'tlsCaPath' | 'peers', string>>;
const read = (files: Files) => readTls(readConfig(files, {}));

describe('the files of TLS', () => {
  it('are none when TLS is off', () => expect(read({})).toBeUndefined());

  it.each<[string, Files]>([
    ['certificate and key', { tlsCertificatePath: own.certificate, tlsKeyPath: own.key }],
    ['both in one file, as for HAProxy', { tlsCertificatePath: own.both }],
    ['a CA too', { tlsCertificatePath: own.both, tlsCaPath: ca, peers: 'other' }],
  ])('can be %s', (_what, files) => {
    expect(read(files)?.identity.certificate).toContain('BEGIN CERTIFICATE');
  });

  it.each<[string, Files, string]>([
    [
      'a key alone',
      { tlsKeyPath: own.key },
      'DD_HAPROXY_SPOA_TLS_KEY has no effect without DD_HAPROXY_SPOA_TLS_CERT',
    ],
    [
      'a CA alone',
      { tlsCaPath: ca },
      'DD_HAPROXY_SPOA_TLS_CA has no effect without DD_HAPROXY_SPOA_TLS_CERT',
    ],
    [
      'peers without a CA',
      { tlsCertificatePath: own.both, peers: 'other' },
      'DD_HAPROXY_SPOA_PEERS and DD_HAPROXY_SPOA_TLS_CERT need DD_HAPROXY_SPOA_TLS_CA',
    ],
    [
      'a missing file',
      { tlsCertificatePath: join(folder.path, 'none') },
      `DD_HAPROXY_SPOA_TLS_CERT: ${join(folder.path, 'none')} cannot be read: ENOENT`,
    ],
    [
      'a folder for the key',
      { tlsCertificatePath: own.certificate, tlsKeyPath: folder.path },
      `DD_HAPROXY_SPOA_TLS_KEY: ${folder.path} cannot be read: EISDIR`,
    ],
    [
      'an empty certificate',
      { tlsCertificatePath: empty, tlsKeyPath: own.key },
      `DD_HAPROXY_SPOA_TLS_CERT: ${empty} contains no PEM certificate`,
    ],
    [
      'a certificate that is none',
      { tlsCertificatePath: broken, tlsKeyPath: own.key },
      `DD_HAPROXY_SPOA_TLS_CERT: ${broken} contains an invalid certificate: `,
    ],
    [
      'a certificate without its key',
      { tlsCertificatePath: own.certificate },
      `DD_HAPROXY_SPOA_TLS_CERT: ${own.certificate} contains no PEM private key`,
    ],
    [
      'the key of another',
      { tlsCertificatePath: own.certificate, tlsKeyPath: other.key },
      `DD_HAPROXY_SPOA_TLS_KEY: ${other.key} does not match the certificate`,
    ],
    [
      'an empty CA, which would let nobody in',
      { tlsCertificatePath: own.both, tlsCaPath: empty },
      `DD_HAPROXY_SPOA_TLS_CA: ${empty} contains no PEM certificate`,
    ],
  ])('%s ends the start with a sentence', (_what, files, sentence) => {
    expect(() => read(files)).toThrow(sentence);
  });
});
