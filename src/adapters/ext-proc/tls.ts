import { readTlsFiles } from '../../config/tls-files.ts';
import { messageOf } from '../../message-of.ts';
import { selfSignedIdentity } from '../../net/self-signed.ts';
import { expiryOf, type TlsIdentity } from '../../net/tls.ts';
import type { Logger } from '../../ops/log.ts';
import { type ExtProcConfig, extProcSettings } from './settings.ts';

/** Certificate and CA of the door, read again when asked to. */
export class ExtProcTls {
  readonly #config: ExtProcConfig;
  readonly #logger: Logger;
  /** Undefined: TLS is off. */
  readonly identity: TlsIdentity | undefined;

  /** @throws StartError naming setting, file and reason. */
  constructor(config: ExtProcConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.identity = this.#first();
  }

  /**
   * Reads the files again, for connections from then on. Files that are not good change nothing.
   * @param renewed told of what was read
   */
  renew(renewed: (identity: TlsIdentity) => void): void {
    if (this.identity === undefined) return;
    try {
      const identity = this.#read();
      if (identity === undefined) return;
      renewed(identity);
      this.#logger.info({ expires: expiryOf(identity) }, 'TLS certificate and CA reloaded');
    } catch (cause) {
      this.#logger.error(`TLS files not reloaded, the current ones stay in use: ${messageOf(cause)}`);
    }
  }

  #first(): TlsIdentity | undefined {
    const { extProcTls, extProcSocketPath } = this.#config;
    if (!extProcTls || extProcSocketPath !== undefined) return undefined;
    const identity = this.#read();
    if (identity !== undefined) return identity;
    this.#logger.info(
      `using a self-signed certificate generated at start: Envoy cannot verify it, set ${extProcSettings.extProcTlsCertificatePath.env}`,
    );
    return selfSignedIdentity();
  }

  #read(): TlsIdentity | undefined {
    const { extProcTlsCertificatePath: certificate, extProcTlsKeyPath: key } = this.#config;
    const { extProcTlsCaPath: ca } = this.#config;
    const settings = extProcSettings;
    return readTlsFiles(
      { certificate, key, ca },
      {
        certificate: settings.extProcTlsCertificatePath.env,
        key: settings.extProcTlsKeyPath.env,
        ca: settings.extProcTlsCaPath.env,
      },
    )?.identity;
  }
}
