import { readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { expiryOf, secureContextOf, type TlsIdentity, TlsIdentityError } from '../adapters/haproxy/tls.ts';
import type { Logger } from '../ops/log.ts';
import { type Config, type SettingName, settings } from './settings.ts';
import { StartError } from './start-error.ts';

/** What the settings of TLS name, as it was read last. */
export interface Tls {
  readonly identity: TlsIdentity;
  readonly secureContext: SecureContext;
}

const settingOf = {
  certificate: 'tlsCertificatePath',
  key: 'tlsKeyPath',
  ca: 'tlsCaPath',
} as const satisfies Record<keyof TlsIdentity, SettingName>;

/**
 * Undefined: TLS is off.
 * @throws StartError naming setting, file and reason: a file cannot be read, is none of its kind, or does not fit.
 */
export function readTls(config: Config): Tls | undefined {
  const { tlsCertificatePath, tlsKeyPath, tlsCaPath, peers } = config;
  if (tlsCertificatePath === undefined) {
    for (const name of ['tlsKeyPath', 'tlsCaPath'] as const) {
      if (config[name] === undefined) continue;
      throw new StartError(`${settings[name].env} is of no use without ${settings.tlsCertificatePath.env}`);
    }
    return undefined;
  }
  if (peers !== undefined && tlsCaPath === undefined) {
    throw new StartError(
      `${settings.peers.env} and ${settings.tlsCertificatePath.env} need ${settings.tlsCaPath.env}: other agents are known by their certificates`,
    );
  }
  const certificate = read('certificate', tlsCertificatePath);
  const identity = {
    certificate,
    key: tlsKeyPath === undefined ? certificate : read('key', tlsKeyPath),
    ca: tlsCaPath === undefined ? undefined : read('ca', tlsCaPath),
  };
  try {
    return { identity, secureContext: secureContextOf(identity) };
  } catch (cause) {
    if (!(cause instanceof TlsIdentityError)) throw cause;
    const setting = settingOf[cause.part];
    // Without a file of its own, the key is looked for in that of the certificate.
    const named = config[setting] === undefined ? settingOf.certificate : setting;
    throw new StartError(`${settings[named].env}: ${config[named]} ${cause.message}`, { cause });
  }
}

/**
 * On SIGHUP the files are read again, for connections from then on. Files that are not good change nothing.
 * @param renewed told of what was read
 */
export function renewTlsOnHangup(config: Config, logger: Logger, renewed: (tls: Tls) => void): void {
  process.on('SIGHUP', () => {
    try {
      const tls = readTls(config);
      if (tls === undefined) return;
      renewed(tls);
      logger.info({ expires: expiryOf(tls.identity) }, 'TLS certificate and CA were read again');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      logger.error(`TLS goes on with the certificate and CA it had: ${reason}`);
    }
  });
}

function read(part: keyof TlsIdentity, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`${settings[settingOf[part]].env}: ${path} cannot be read: ${reason}`, { cause });
  }
}
