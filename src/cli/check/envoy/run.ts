import type { SourceFile } from '../parse.ts';
import type { Finding } from '../run.ts';
import type { EnvoyRule } from './rule.ts';
import { bufferRules } from './rules-buffer.ts';
import { clusterRules } from './rules-cluster.ts';
import { filterRules } from './rules-filter.ts';
import { modeRules } from './rules-modes.ts';
import { orderRules } from './rules-order.ts';
import { createEnvoySetup, type EnvoyCheckSettings } from './setup.ts';

/** All rules for Envoy; docs/check.md lists them. */
export const envoyRules: readonly EnvoyRule[] = [
  ...filterRules,
  ...modeRules,
  ...orderRules,
  ...clusterRules,
  ...bufferRules,
];

/**
 * @param files YAML or JSON: a configuration of Envoy's, an EnvoyFilter, an EnvoyExtensionPolicy, or several of these
 * @throws ConfigError for a file that is neither
 */
export function checkEnvoyFiles(files: readonly SourceFile[], settings: EnvoyCheckSettings): Finding[] {
  const setup = createEnvoySetup(files, settings);
  const findings = envoyRules.flatMap(({ find, id, severity, why, remedy }) =>
    [...find(setup)].map(
      ({ line, what }): Finding => ({
        ...{ file: line.file, line: line.number, severity, rule: id },
        ...{ what, why, remedy },
      }),
    ),
  );
  const order = files.map(({ path }) => path);
  return findings.sort(
    (one, other) => order.indexOf(one.file) - order.indexOf(other.file) || one.line - other.line,
  );
}
