import { StartError } from '../config/errors.ts';
import type { WafConfigs } from '../engine/waf/waf-configs.ts';
import { messageOf } from '../message-of.ts';
import {
  type FailureDetails,
  type FolderObserver,
  FolderSource,
  type FolderTarget,
} from '../policy/folder-source.ts';
import { type FileFinding, findingText } from '../policy/policy-file.ts';
import type { Config } from './settings.ts';

/** A file that is not, or not wholly, in effect. */
export interface FolderFailure extends FailureDetails {
  readonly file: string;
  readonly problem: string;
}

/** What a look through the folder came to. */
export interface AppliedFolder {
  /** For people: each file that is not, or not wholly, in effect, and what does nothing in the others. */
  readonly notes: readonly string[];
  /** Findings about files in effect. */
  readonly findings: readonly FileFinding[];
  /** Files that are not, or not wholly, in effect. */
  readonly failures: readonly FolderFailure[];
  /** The switch; undefined when no file says anything. */
  readonly enabled: boolean | undefined;
  /** How many policy files there are. */
  readonly files: number;
}

/**
 * Takes the policy folder into effect once, as it is now.
 * @throws StartError when the folder cannot be read.
 */
export function applyPolicyFolder(config: Config, configs: WafConfigs): AppliedFolder {
  const failures: FolderFailure[] = [];
  const findings: FileFinding[] = [];
  const files = new Set<string>();
  let enabled: boolean | undefined;
  const source = openPolicyFolder(
    config,
    {
      apply: (change) => configs.apply(change),
      inEffect: () => configs.inEffect,
      activate(value) {
        enabled = value;
      },
    },
    {
      applied: (file) => files.add(file),
      failed(file, problem, details = {}) {
        files.add(file);
        failures.push({ file, problem, ...details });
      },
      found: (more) => findings.push(...more),
    },
  );
  if (source !== undefined) startOrExplain(config, () => source.load());
  const notes = [
    ...failures.map(({ file, problem }) => `policy ${file}: ${problem}`),
    ...findings.map((finding) => `policy ${finding.file}: ${findingText(finding)}`),
  ];
  return { notes, findings, failures, files: files.size, enabled };
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
    const reason = messageOf(cause);
    throw new StartError(`APPSEC_EDGE_POLICY_FOLDER: ${config.policyFolder} cannot be read: ${reason}`, {
      cause,
    });
  }
}
