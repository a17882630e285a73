import { readFileSync } from 'node:fs';
import { recommendedRulesPath } from '../../src/datadog/dd-trace-package.ts';

/** The rules of a fixture with the processors and scanners of Datadog's ruleset: schemas and fingerprints. */
export function withProcessors(rules: object): object {
  const { processors, scanners } = JSON.parse(readFileSync(recommendedRulesPath(), 'utf8')) as {
    processors: unknown;
    scanners: unknown;
  };
  return { ...rules, processors, scanners };
}
