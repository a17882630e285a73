import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { messageOf } from '../message-of.ts';

/** PEM, as in the files of an operator. */
export interface TlsIdentity {
  /** Our certificate first, then those between it and its CA. */
  readonly certificate: string;
  readonly key: string;
  /** The CA of HAProxy and of peers. Undefined: clients need no certificate. */
  readonly ca: string | undefined;
}

/** Which part of an identity cannot be used. The message is the end of "<file> …". */
export class TlsIdentityError extends Error {
  override readonly name = 'TlsIdentityError';
  readonly part: keyof TlsIdentity;

  constructor(part: keyof TlsIdentity, message: string) {
    super(message);
    this.part = part;
  }
}

/** The oldest version that is spoken; HAProxy since 2.2 has the same default. */
const minVersion = 'TLSv1.2';

/** What both ends of a connection use. @throws TlsIdentityError when the parts are not what they should be. */
export function secureContextOf(identity: TlsIdentity): SecureContext {
  const [own] = certificatesOf('certificate', identity.certificate);
  let fits: boolean;
  try {
    fits = own?.checkPrivateKey(createPrivateKey(identity.key)) ?? false;
  } catch {
    throw new TlsIdentityError('key', 'contains no PEM private key without a passphrase');
  }
  if (!fits) throw new TlsIdentityError('key', 'does not match the certificate');
  if (identity.ca !== undefined) certificatesOf('ca', identity.ca);
  try {
    return createSecureContext(contextOptions(identity));
  } catch (cause) {
    throw new TlsIdentityError('certificate', `is rejected by OpenSSL: ${messageOf(cause)}`);
  }
}

export function contextOptions({ certificate, key, ca }: TlsIdentity) {
  return { cert: certificate, key, ca, minVersion } as const;
}

/** When our certificate ends. */
export function expiryOf({ certificate }: TlsIdentity): Date | undefined {
  const [own] = certificatesOf('certificate', certificate);
  return own === undefined ? undefined : new Date(own.validTo);
}

/** At least one. OpenSSL silently ignores what it cannot read, which could be the operator's CA. */
function certificatesOf(part: 'certificate' | 'ca', pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new TlsIdentityError(part, 'contains no PEM certificate');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new TlsIdentityError(part, `contains an invalid certificate: ${messageOf(cause)}`);
  }
}

/** OpenSSL's messages contain a thread id and a place in its sources; the code is enough to look the error up. */
export function handshakeReason(cause: Error): string {
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
