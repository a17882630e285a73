import type { SecureContext } from 'node:tls';
import { StartError } from '../../config/errors.ts';
import { readTlsFiles, type Tls } from '../../config/tls-files.ts';
import { messageOf } from '../../message-of.ts';
import { expiryOf, type TlsIdentity } from '../../net/tls.ts';
import type { Logger } from '../../ops/log.ts';
import { type HaproxyConfig, haproxySettings } from './settings.ts';

type TlsConfig = Pick<HaproxyConfig, 'tlsCertificatePath' | 'tlsKeyPath' | 'tlsCaPath' | 'peers'>;

/** Certificate and CA of the door, read again when asked to. */
export class HaproxyTls {
  readonly #config: TlsConfig;
  readonly #logger: Logger;
  #tls: Tls | undefined;

  /** @throws StartError; see `readTls`. */
  constructor(config: TlsConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#tls = readTls(config);
  }

  /** Undefined: TLS is off. */
  get identity(): TlsIdentity | undefined {
    return this.#tls?.identity;
  }

  secureContext(): SecureContext | undefined {
    return this.#tls?.secureContext;
  }

  /**
   * Reads the files again, for connections from then on. Files that are not good change nothing.
   * @param renewed told of what was read
   */
  renew(renewed: (identity: TlsIdentity) => void): void {
    try {
      const tls = readTls(this.#config);
      if (tls === undefined) return;
      this.#tls = tls;
      renewed(tls.identity);
      this.#logger.info({ expires: expiryOf(tls.identity) }, 'TLS certificate and CA reloaded');
    } catch (cause) {
      this.#logger.error(`TLS files not reloaded, the current ones stay in use: ${messageOf(cause)}`);
    }
  }
}

/**
 * Undefined: TLS is off.
 * @throws StartError naming setting, file and reason.
 */
export function readTls({ tlsCertificatePath, tlsKeyPath, tlsCaPath, peers }: TlsConfig): Tls | undefined {
  const { tlsCertificatePath: certificate, tlsKeyPath: key, tlsCaPath: ca } = haproxySettings;
  if (tlsCertificatePath !== undefined && peers !== undefined && tlsCaPath === undefined) {
    throw new StartError(
      `${haproxySettings.peers.env} and ${certificate.env} need ${ca.env}: peers are identified by their certificates`,
    );
  }
  return readTlsFiles(
    { certificate: tlsCertificatePath, key: tlsKeyPath, ca: tlsCaPath },
    { certificate: certificate.env, key: key.env, ca: ca.env },
  );
}
