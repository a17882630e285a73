import { isJsonObject, type JsonObject } from '../json.ts';
import type { Ruleset } from './waf-build.ts';

/*
 * Overrides of the same rule, decided. libddwaf keeps overrides under random ids and applies them in the order of a
 * hash table: which of several wins is a matter of luck, even within one file. So it only ever gets one for each rule.
 *
 * As libddwaf has it, one that names the rule by id outranks one by tags. Among equals the first wins, separately for
 * each thing it says: `enabled`, `on_match`, each tag it adds.
 */

/** A configuration in effect. */
export interface LoadedContent {
  readonly content: Ruleset;
  /** By part; overrides are `index:0` and so on. */
  readonly loadedIds: Readonly<Record<string, readonly string[]>>;
}

/** What all overrides together do to one rule. */
interface RuleChange {
  enabled?: unknown;
  on_match?: unknown;
  tags?: Record<string, unknown>;
}

type RuleTags = ReadonlyMap<string, JsonObject>;

/**
 * @param configs in the order in which they count.
 * @returns overrides of which no two name the same rule.
 */
export function decideOverrides(configs: readonly LoadedContent[]): object[] {
  const rules = rulesIn(configs);
  const overrides = configs.flatMap(overridesIn);
  const changes = new Map<string, RuleChange>();
  for (const targets of [idTargets, tagTargets]) {
    for (const override of overrides) {
      for (const id of targets(override, rules)) {
        const change = changes.get(id) ?? {};
        changes.set(id, change);
        addTo(change, override);
      }
    }
  }
  return groupByChange(changes);
}

/** Rules that can be overridden, by id: those of rulesets, not custom ones. */
function rulesIn(configs: readonly LoadedContent[]): RuleTags {
  const rules = new Map<string, JsonObject>();
  for (const { content, loadedIds } of configs) {
    for (const part of ['rules', 'rules_compat']) {
      const loaded = new Set(loadedIds[part]);
      for (const rule of listOf(content, part)) {
        const { id, tags } = rule;
        if (typeof id !== 'string' || !loaded.has(id) || rules.has(id)) continue;
        rules.set(id, isJsonObject(tags) ? tags : {});
      }
    }
  }
  return rules;
}

function overridesIn({ content, loadedIds }: LoadedContent): JsonObject[] {
  const loaded = new Set(loadedIds['rules_override']);
  return listOf(content, 'rules_override').filter((_override, index) => loaded.has(`index:${index}`));
}

/** An override without targets has the rule's id itself. */
function idTargets(override: JsonObject, rules: RuleTags): string[] {
  const targets = listOf(override, 'rules_target');
  const ids = targets.length === 0 ? [override['id']] : targets.map(idOf);
  return ids.filter((id): id is string => typeof id === 'string' && rules.has(id));
}

function tagTargets(override: JsonObject, rules: RuleTags): string[] {
  const wanted = listOf(override, 'rules_target').flatMap((target) =>
    idOf(target) === undefined && isJsonObject(target['tags']) ? [Object.entries(target['tags'])] : [],
  );
  return [...rules.keys()].filter((id) =>
    wanted.some(
      (tags) =>
        tags.length > 0 && tags.every(([key, value]) => String(rules.get(id)?.[key]) === String(value)),
    ),
  );
}

function idOf(target: JsonObject): string | undefined {
  const id = target['rule_id'] ?? target['id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

function addTo(change: RuleChange, { enabled, on_match: onMatch, tags }: JsonObject): void {
  if (enabled !== undefined) change.enabled ??= enabled;
  if (onMatch !== undefined) change.on_match ??= onMatch;
  if (isJsonObject(tags)) change.tags = { ...tags, ...change.tags };
}

function groupByChange(changes: ReadonlyMap<string, RuleChange>): object[] {
  const groups = new Map<string, { change: RuleChange; ids: string[] }>();
  for (const [id, change] of changes) {
    const key = JSON.stringify([change.enabled, change.on_match, change.tags]);
    const group = groups.get(key) ?? { change, ids: [] };
    group.ids.push(id);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ change, ids }) => ({
    rules_target: ids.map((id) => ({ rule_id: id })),
    ...change,
  }));
}

/** The objects of a list; anything else in it keeps its place, empty. */
function listOf(content: object, part: string): JsonObject[] {
  const list = (content as JsonObject)[part];
  return Array.isArray(list) ? (list as unknown[]).map((entry) => (isJsonObject(entry) ? entry : {})) : [];
}
