// Certificates for one test file, made by openssl in a folder that goes with it. None is ever committed.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  /** Files in PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Both in one, as HAProxy's `crt` wants them. */
  readonly both: string;
}

export class CertificateFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'appsec-edge-certificates-'));

  /** @returns its file; the key lies beside it. */
  authority(name: string): string {
    const [file, key] = [join(this.path, `${name}.pem`), join(this.path, `${name}.key`)];
    this.#openssl('req', '-x509', ...newKey(key), '-out', file, '-days', '2', '-subj', `/CN=${name}`);
    return file;
  }

  /**
   * @param authority what `authority` returned
   * @param dnsNames alternative names, for who looks at those alone
   */
  issue(authority: string, name: string, dnsNames: readonly string[] = []): Certificate {
    const [certificate, key, request, both] = ['pem', 'key', 'csr', 'both'].map((end) =>
      join(this.path, `${name}.${end}`),
    ) as [string, string, string, string];
    this.#openssl('req', ...newKey(key), '-out', request, '-subj', `/CN=${name}`);
    const names = dnsNames.map((dnsName) => `DNS:${dnsName}`).join(',');
    const extensions =
      names === '' ? [] : ['-extfile', this.file(`${name}.ext`, `subjectAltName = ${names}\n`)];
    const signer = ['-CA', authority, '-CAkey', authority.replace(/pem$/, 'key'), '-CAcreateserial'];
    this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...signer,
      '-out',
      certificate,
      '-days',
      '2',
      ...extensions,
    );
    writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
    return { certificate, key, both };
  }

  /** A file of its own with any content. */
  file(name: string, content: string): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const newKey = (file: string): string[] => [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
  ...['-nodes', '-keyout', file],
];
