import type { Logger } from '../ops/log.ts';
import { readPages } from './engine-files.ts';
import type { Engines } from './engines.ts';
import type { Policy } from './policy.ts';
import type { Config } from './settings.ts';

/** SIGHUP: reads again what can change while the daemon runs. What is wrong with it is logged; the last good stays. */
export function reload(
  config: Config,
  engines: Pick<Engines, 'replacePages'>,
  policy: Pick<Policy, 'reload'>,
  logger: Logger,
): void {
  try {
    engines.replacePages(readPages(config));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    logger.error(`${reason}; the block pages stay as they were`);
  }
  policy.reload();
  logger.info(
    'SIGHUP: block pages and policy folder read again; settings and the ruleset take effect at a restart',
  );
}
