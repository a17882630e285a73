import { isJsonObject, type JsonObject } from '../../engine/json.ts';
import { builtInActions, deliveredLists, givenAddresses } from './known-names.ts';
import { baseRuleParts, conditionsOf, listsOf, mappingsOf, objectsOf, textAt } from './parts.ts';

/* What can be referred to: everything that any of the configurations defines. */

export type Tags = JsonObject;

/** A configuration and its place in the order in which configurations count. */
export interface Ordered {
  readonly path: string;
  readonly content: JsonObject;
}

/** Lists of rules, or of exclusions. */
export interface Lists {
  /** Ids that a file gives. */
  readonly given: ReadonlySet<string>;
  /** Ids that conditions name. */
  readonly used: ReadonlySet<string>;
}

export interface Surroundings {
  /** By id. Overrides change these. */
  readonly baseRules: ReadonlyMap<string, Tags>;
  readonly customRules: ReadonlyMap<string, Tags>;
  readonly actions: ReadonlySet<string>;
  /** By the part that gives them. */
  readonly lists: { readonly rules_data: Lists; readonly exclusion_data: Lists };
  readonly processors: ReadonlySet<string>;
  readonly scanners: ReadonlyMap<string, Tags>;
  /** What the engine gives, and what processors make of it. */
  readonly addresses: ReadonlySet<string>;
  /** By space of names and id: the path of the first configuration that has it, and its index there. */
  readonly firsts: ReadonlyMap<string, { readonly path: string; readonly place: string }>;
  readonly libraryVersion: string;
}

/** Ids must be unique within each of these. */
export const idSpaces: readonly (readonly string[])[] = [
  ['rules', 'rules_compat', 'custom_rules'],
  ['exclusions'],
  ['actions'],
  ['processors'],
  ['scanners'],
];

/** @param configs in the order in which they count. */
export function surroundingsOf(configs: readonly Ordered[], libraryVersion: string): Surroundings {
  const contents = configs.map(({ content }) => content);
  const conditions = contents.flatMap(conditionsOf);
  const used = (inExclusions: boolean): ReadonlySet<string> =>
    new Set(
      conditions
        .filter(({ part }) => (part === 'exclusions') === inExclusions)
        .flatMap(({ parameters }) => textAt(parameters, 'data'))
        .map(({ value }) => value),
    );
  const given = (wanted: string): ReadonlySet<string> =>
    new Set(
      contents
        .flatMap(listsOf)
        .filter(({ part }) => part === wanted)
        .flatMap((list) => textAt(list, 'id'))
        .map(({ value }) => value),
    );
  return {
    baseRules: taggedIn(contents, baseRuleParts),
    customRules: taggedIn(contents, ['custom_rules']),
    actions: new Set([...builtInActions, ...taggedIn(contents, ['actions']).keys()]),
    lists: {
      rules_data: { given: given('rules_data'), used: used(false) },
      exclusion_data: { given: given('exclusion_data'), used: used(true) },
    },
    processors: new Set(taggedIn(contents, ['processors']).keys()),
    scanners: taggedIn(contents, ['scanners']),
    addresses: new Set([
      ...givenAddresses,
      ...contents
        .flatMap(mappingsOf)
        .flatMap((mapping) => textAt(mapping, 'output'))
        .map(({ value }) => value),
    ]),
    firsts: firstsIn(configs),
    libraryVersion,
  };
}

/** A list that needs no file: Remote Config brings it. */
export function isDelivered(id: string): boolean {
  return deliveredLists.has(id);
}

/** Items with an id, and their tags. */
function taggedIn(contents: readonly JsonObject[], parts: readonly string[]): Map<string, Tags> {
  const tagged = new Map<string, Tags>();
  for (const content of contents) {
    for (const { value } of parts.flatMap((part) => objectsOf(content, part))) {
      const { id, tags } = value;
      if (typeof id === 'string' && !tagged.has(id)) tagged.set(id, isJsonObject(tags) ? tags : {});
    }
  }
  return tagged;
}

function firstsIn(configs: readonly Ordered[]): Map<string, { path: string; place: string }> {
  const firsts = new Map<string, { path: string; place: string }>();
  for (const { path, content } of configs) {
    for (const [space, parts] of idSpaces.entries()) {
      // libddwaf reads rules first, then compatible ones, then custom ones.
      for (const part of parts) {
        for (const item of objectsOf(content, part)) {
          const { id } = item.value;
          if (typeof id !== 'string') continue;
          const key = `${space} ${id}`;
          if (!firsts.has(key)) firsts.set(key, { path, place: `${part}[${item.path.at(-1)}]` });
        }
      }
    }
  }
  return firsts;
}
