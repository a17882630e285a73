import { readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { messageOf } from '../message-of.ts';
import { secureContextOf, type TlsIdentity, TlsIdentityError } from '../net/tls.ts';
import { StartError } from './errors.ts';

/** What the settings of TLS name, as it was read last. */
export interface Tls {
  readonly identity: TlsIdentity;
  readonly secureContext: SecureContext;
}

/** Paths of PEM files, as settings name them. */
export type TlsPaths = Readonly<Record<keyof TlsIdentity, string | undefined>>;

/**
 * Undefined: TLS is off.
 * @param variables that the paths come from, for what is said of them.
 * @throws StartError naming setting, file and reason: a file cannot be read, is of another kind, or does not fit.
 */
export function readTlsFiles(
  paths: TlsPaths,
  variables: Readonly<Record<keyof TlsIdentity, string>>,
): Tls | undefined {
  if (paths.certificate === undefined) {
    for (const part of ['key', 'ca'] as const) {
      if (paths[part] === undefined) continue;
      throw new StartError(`${variables[part]} has no effect without ${variables.certificate}`);
    }
    return undefined;
  }
  const read = (part: keyof TlsIdentity, path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new StartError(`${variables[part]}: ${path} cannot be read: ${messageOf(cause)}`, { cause });
    }
  };
  const certificate = read('certificate', paths.certificate);
  const identity = {
    certificate,
    key: paths.key === undefined ? certificate : read('key', paths.key),
    ca: paths.ca === undefined ? undefined : read('ca', paths.ca),
  };
  try {
    return { identity, secureContext: secureContextOf(identity) };
  } catch (cause) {
    if (!(cause instanceof TlsIdentityError)) throw cause;
    // Without a file of its own, the key is looked for in that of the certificate.
    const named = paths[cause.part] === undefined ? 'certificate' : cause.part;
    throw new StartError(`${variables[named]}: ${paths[named]} ${cause.message}`, { cause });
  }
}
