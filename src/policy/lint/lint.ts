import type { JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';
import type { LintRule, Remark, Severity } from './lint-rule.ts';
import { conditionRules } from './rules-conditions.ts';
import { referenceRules } from './rules-references.ts';
import { isSwitch, shapeRules } from './rules-shape.ts';
import { valueRules } from './rules-values.ts';
import { type Ordered, surroundingsOf } from './surroundings.ts';

/*
 * Finds configurations that parse but do nothing. libddwaf accepts an undefined action, an override of a rule that does
 * not exist, an unknown address; a file with nothing else in it is then in effect and does nothing. These rules change
 * nothing: they report the place, and what was most likely meant.
 */

/** All rules; docs/policy.md lists them. */
export const lintRules: readonly LintRule[] = [
  ...shapeRules,
  ...referenceRules,
  ...conditionRules,
  ...valueRules,
];

/** A configuration to look at. */
export interface Document {
  /** As the WAF knows it; it decides which of two equal items is in effect. */
  readonly path: string;
  readonly content: JsonObject;
}

export interface Finding extends Remark {
  /** Of the document; see `Document.path`. */
  readonly config: string;
  readonly severity: Severity;
  /** `id` of the rule. */
  readonly rule: string;
}

export interface LintOptions {
  /** Of libddwaf. */
  readonly libraryVersion: string;
  /** The documents come from Remote Config, whose configurations are written for applications as well. */
  readonly remote?: boolean;
  /** In milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * Checks the documents.
 * @param others everything else in effect: rulesets, and configurations of other sources. They are not checked.
 */
export function lint(
  documents: readonly Document[],
  others: readonly Document[],
  { libraryVersion, remote = false, nowMs }: LintOptions,
): Finding[] {
  const parts: Ordered[] = [...others, ...documents].filter(({ content }) => !isSwitch(content));
  const around = surroundingsOf(parts.sort(asTheyCount), libraryVersion);
  const rules = remote ? lintRules.filter((rule) => rule.remote) : lintRules;
  const now = Math.floor(nowMs / 1000);
  return documents.flatMap(({ path, content }) =>
    rules.flatMap(({ id, severity, find }) => {
      // Nothing else is read from a switch file, so nothing else can be wrong.
      if (isSwitch(content) && !shapeRules.some((rule) => rule.id === id)) return [];
      const remarks = firstOf(find({ path, content, around, now }));
      return remarks.map((remark) => ({ ...remark, ...{ config: path, severity, rule: id } }));
    }),
  );
}

/** A list of thousands of addresses may be wrong in every entry. */
const mostRemarks = 100;

function firstOf(found: Iterable<Remark>): Remark[] {
  const remarks: Remark[] = [];
  for (const remark of found) {
    if (remarks.length === mostRemarks) {
      remarks.push({ path: remark.path, text: `and more; only the first ${mostRemarks} are listed` });
      break;
    }
    remarks.push(remark);
  }
  return remarks;
}

/** Rulesets first, then by path: the order in which the WAF applies them. */
function asTheyCount(one: Ordered, other: Ordered): number {
  const rank = ({ content }: Ordered): number => ('rules' in content ? 0 : 1);
  return rank(one) - rank(other) || (one.path < other.path ? -1 : 1);
}

export type { JsonPath, Severity };
