import type { WafConfigs } from '../engine/waf/waf-configs.ts';
import { type FolderObserver, FolderSource, type FolderTarget } from '../policy/folder-source.ts';
import type { Config } from './settings.ts';
import { StartError } from './start-error.ts';

/** What a look through the folder came to. */
export interface AppliedFolder {
  /** For people: each file that is not, or not wholly, in effect. */
  readonly notes: readonly string[];
  /** The switch; undefined when no file says anything. */
  readonly enabled: boolean | undefined;
}

/**
 * Takes the policy folder into effect once, as it is now.
 * @throws StartError when the folder cannot be read.
 */
export function applyPolicyFolder(config: Config, configs: WafConfigs): AppliedFolder {
  const notes: string[] = [];
  let enabled: boolean | undefined;
  const source = openPolicyFolder(
    config,
    {
      apply: (change) => configs.apply(change),
      activate(value) {
        enabled = value;
      },
    },
    { failed: (file, problem) => notes.push(`policy ${file}: ${problem}`) },
  );
  if (source !== undefined) startOrExplain(config, () => source.load());
  return { notes, enabled };
}

/** Undefined when the setting names no folder. */
export function openPolicyFolder(
  config: Config,
  target: FolderTarget,
  observer: FolderObserver,
): FolderSource | undefined {
  if (config.policyFolder === undefined) return undefined;
  return new FolderSource(config.policyFolder, target, observer);
}

/** @throws StartError naming setting and folder. */
export function startOrExplain(config: Config, start: () => void): void {
  try {
    start();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`DD_HAPROXY_SPOA_POLICY_FOLDER: ${config.policyFolder} cannot be read: ${reason}`, {
      cause,
    });
  }
}
