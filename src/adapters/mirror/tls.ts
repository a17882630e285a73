import { readTlsFiles, type Tls } from '../../config/tls-files.ts';
import { messageOf } from '../../message-of.ts';
import { expiryOf, type TlsIdentity } from '../../net/tls.ts';
import type { Logger } from '../../ops/log.ts';
import { type MirrorConfig, mirrorSettings } from './settings.ts';

/**
 * Undefined: TLS is off.
 * @throws StartError naming setting, file and reason.
 */
export function readMirrorTls(config: MirrorConfig): Tls | undefined {
  const { mirrorTlsCertificatePath, mirrorTlsKeyPath, mirrorTlsCaPath } = mirrorSettings;
  return readTlsFiles(
    {
      certificate: config.mirrorTlsCertificatePath,
      key: config.mirrorTlsKeyPath,
      ca: config.mirrorTlsCaPath,
    },
    {
      certificate: mirrorTlsCertificatePath.env,
      key: mirrorTlsKeyPath.env,
      ca: mirrorTlsCaPath.env,
    },
  );
}

/** Reads the files again, for connections from then on. Files that are not good change nothing. */
export function renewMirrorTls(
  config: MirrorConfig,
  logger: Logger,
  renewed: (identity: TlsIdentity) => void,
): void {
  try {
    const tls = readMirrorTls(config);
    if (tls === undefined) return;
    renewed(tls.identity);
    logger.info(
      { expires: expiryOf(tls.identity) },
      'TLS certificate and CA of the receiver were read again',
    );
  } catch (cause) {
    logger.error(`TLS of the receiver goes on with the certificate and CA it had: ${messageOf(cause)}`);
  }
}
