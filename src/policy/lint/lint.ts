import type { JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';
import type { LintRule, Remark, Severity } from './lint-rule.ts';
import { conditionRules } from './rules-conditions.ts';
import { referenceRules } from './rules-references.ts';
import { isSwitch, shapeRules } from './rules-shape.ts';
import { valueRules } from './rules-values.ts';
import { type Ordered, surroundingsOf } from './surroundings.ts';

/*
 * What parses and refers to nothing. libddwaf takes an action that nobody defines, an override of a rule that is not
 * there, an address that is none; a file with nothing else in it is then in effect and does nothing. Nothing here
 * changes what is in effect: it is said, with the place and with what was meant most likely.
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
  /** As the WAF knows it: it decides which of two equals counts. */
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
  /** The documents come from Remote Config, whose configurations are meant for applications, too. */
  readonly remote?: boolean;
  /** In milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * What is the matter with the documents.
 * @param others what else is in effect: rulesets, and what other sources gave. Nothing is said of them.
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
      // Of the switch nothing else is read, so nothing else is wrong.
      if (isSwitch(content) && !shapeRules.some((rule) => rule.id === id)) return [];
      const remarks = firstOf(find({ path, content, around, now }));
      return remarks.map((remark) => ({ ...remark, ...{ config: path, severity, rule: id } }));
    }),
  );
}

/** A list of thousands of addresses can be wrong in each of them, and nobody reads all that. */
const mostRemarks = 100;

function firstOf(found: Iterable<Remark>): Remark[] {
  const remarks: Remark[] = [];
  for (const remark of found) {
    if (remarks.length === mostRemarks) {
      remarks.push({ path: remark.path, text: `and more like this: ${mostRemarks} are listed` });
      break;
    }
    remarks.push(remark);
  }
  return remarks;
}

/** Rulesets first, each kind by its path, as the WAF takes them. */
function asTheyCount(one: Ordered, other: Ordered): number {
  const rank = ({ content }: Ordered): number => ('rules' in content ? 0 : 1);
  return rank(one) - rank(other) || (one.path < other.path ? -1 : 1);
}

export type { JsonPath, Severity };
