import type { Rule, Severity } from './check-rule.ts';
import { backendRules } from './check-rules-backend.ts';
import { bufferRules } from './check-rules-buffer.ts';
import { filterRules } from './check-rules-filters.ts';
import { frontendRules } from './check-rules-frontend.ts';
import { orderRules } from './check-rules-order.ts';
import { processRules } from './check-rules-process.ts';
import { settingRules } from './check-rules-settings.ts';
import { spoeRules } from './check-rules-spoe.ts';
import { type CheckInput, createSetup } from './check-setup.ts';
import { parseVersion, type Version } from './check-version.ts';

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

/** What is looked at when nobody knows the version of HAProxy: the ends of each way of speaking SPOE. */
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
  /** The versions of HAProxy that it holds for, when it does not hold for all that were looked at. */
  readonly versions?: readonly string[];
}

/**
 * @param versions of HAProxy to look at the files with the eyes of. What holds for some of several only is a hint:
 *   nobody knows whether it is the right one.
 */
export function checkFiles(input: CheckInput, versions: readonly string[]): Finding[] {
  const found = new Map<string, { readonly finding: Finding; readonly versions: string[] }>();
  for (const text of versions) {
    for (const finding of findingsFor(input, parseVersion(text) ?? [])) {
      const key = JSON.stringify([finding.file, finding.line, finding.rule, finding.what]);
      const known = found.get(key);
      if (known === undefined) found.set(key, { finding, versions: [text] });
      // Lines of defaults are met once for each proxy that takes them.
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
