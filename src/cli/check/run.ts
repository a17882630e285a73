import type { Rule, Severity } from './rule.ts';
import { backendRules } from './rules-backend.ts';
import { bufferRules } from './rules-buffer.ts';
import { filterRules } from './rules-filters.ts';
import { frontendRules } from './rules-frontend.ts';
import { orderRules } from './rules-order.ts';
import { processRules } from './rules-process.ts';
import { settingRules } from './rules-settings.ts';
import { spoeRules } from './rules-spoe.ts';
import { type CheckInput, createSetup } from './setup.ts';
import { parseVersion, type Version } from './version.ts';

/** All rules; docs/check.md lists them. */
export const checkRules: readonly Rule[] = [
  ...frontendRules,
  ...filterRules,
  ...orderRules,
  ...spoeRules,
  ...processRules,
  ...bufferRules,
  ...backendRules,
  ...settingRules,
];

/** The versions to check for when HAProxy's is not known: the ends of each variant of SPOE. */
export const everyVersion = ['2.6', '3.0', '3.1', '3.2'] as const;

/** One finding, as `--json` prints it. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly severity: Severity;
  readonly rule: string;
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
  /** The versions of HAProxy that it applies to, unless it applies to all that were checked. */
  readonly versions?: readonly string[];
}

/**
 * @param versions of HAProxy to check for. A finding that does not apply to all of them is only a hint, because it is
 *   not known which of them runs.
 */
export function checkFiles(input: CheckInput, versions: readonly string[]): Finding[] {
  const found = new Map<string, { readonly finding: Finding; readonly versions: string[] }>();
  for (const text of versions) {
    for (const finding of findingsFor(input, parseVersion(text) ?? [])) {
      const key = JSON.stringify([finding.file, finding.line, finding.rule, finding.what]);
      const known = found.get(key);
      if (known === undefined) found.set(key, { finding, versions: [text] });
      // Lines of defaults are visited once for each proxy that inherits them.
      else if (!known.versions.includes(text)) known.versions.push(text);
    }
  }
  const order = input.files.map(({ path }) => path);
  const place = ({ file }: Finding): number => (order.includes(file) ? order.indexOf(file) : order.length);
  return [...found.values()]
    .map(
      ({ finding, versions: holdsFor }): Finding =>
        holdsFor.length === versions.length ? finding : { ...finding, severity: 'hint', versions: holdsFor },
    )
    .sort((one, other) => place(one) - place(other) || one.line - other.line);
}

function findingsFor(input: CheckInput, version: Version): Finding[] {
  const setup = createSetup(input, version);
  return checkRules.flatMap(({ find, id, severity, why, remedy }) =>
    [...find(setup)].map(({ line, what }) => ({
      ...{ file: line.file, line: line.number, severity, rule: id },
      ...{ what, why, remedy },
    })),
  );
}

/** `file:line: severity: what, why, remedy`, one finding a line. */
export function printFinding(finding: Finding): string {
  const { file, line, severity, what, why, remedy, rule, versions } = finding;
  const only = versions === undefined ? '' : ` (on HAProxy ${versions.join(', ')})`;
  return `${file}:${line}: ${severity}: ${what}${only}: ${why}. Remedy: ${remedy} [${rule}]`;
}
