import { isJsonObject, type JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';

/* The parts of a configuration, found without trust in its shape. Whatever has another shape, libddwaf refuses. */

/** An object somewhere in a configuration. */
export interface Part {
  readonly path: JsonPath;
  readonly value: JsonObject;
}

/** A text somewhere in a configuration. */
export interface Text {
  readonly path: JsonPath;
  readonly value: string;
}

/** Parts with rules that overrides change, and all parts with rules. */
export const baseRuleParts = ['rules', 'rules_compat'] as const;
const ruleParts = [...baseRuleParts, 'custom_rules'] as const;

/** Numbers and booleans are text to libddwaf where it wants text. */
export function scalarText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** The objects of a list. */
export function objectsOf(of: JsonObject, key: string, path: JsonPath = []): Part[] {
  const list = of[key];
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).flatMap((value, index) =>
    isJsonObject(value) ? [{ path: [...path, key, index], value }] : [],
  );
}

/** The texts of a list. */
export function textsOf(of: JsonObject, key: string, path: JsonPath = []): Text[] {
  const list = of[key];
  if (!Array.isArray(list)) return [];
  return (list as unknown[]).flatMap((value, index) =>
    typeof value === 'string' ? [{ path: [...path, key, index], value }] : [],
  );
}

/** The text at a key; none when there is another value. */
export function textAt({ path, value }: Part, key: string): Text[] {
  const text = value[key];
  return typeof text === 'string' ? [{ path: [...path, key], value: text }] : [];
}

export function objectAt({ path, value }: Part, key: string): Part[] {
  const inner = value[key];
  return isJsonObject(inner) ? [{ path: [...path, key], value: inner }] : [];
}

export function rulesOf(content: JsonObject): Part[] {
  return ruleParts.flatMap((part) => objectsOf(content, part));
}

/** A condition, with the rule, exclusion or processor that it belongs to. */
export interface Condition extends Part {
  readonly owner: Part;
  /** `custom_rules`, `exclusions`, … */
  readonly part: string;
  readonly operator: string;
  readonly parameters: Part;
}

export function conditionsOf(content: JsonObject): Condition[] {
  return [...ruleParts, 'exclusions', 'processors'].flatMap((part) =>
    objectsOf(content, part).flatMap((owner) =>
      objectsOf(owner.value, 'conditions', owner.path).flatMap((condition) => {
        const operator = condition.value['operator'];
        if (typeof operator !== 'string') return [];
        return objectAt(condition, 'parameters').map((parameters) => ({
          ...condition,
          ...{ owner, part, operator, parameters },
        }));
      }),
    ),
  );
}

/** The key and value of scanners: conditions without inputs. */
export function scannerMatchersOf(content: JsonObject): Part[] {
  return objectsOf(content, 'scanners').flatMap((scanner) =>
    ['key', 'value'].flatMap((key) => objectAt(scanner, key)),
  );
}

/** Parameters of conditions that name inputs. */
const inputParameters = ['inputs', 'resource', 'params', 'db_type'] as const;

export function inputsOf({ parameters }: Condition): Part[] {
  return inputParameters.flatMap((name) => objectsOf(parameters.value, name, parameters.path));
}

/** The mappings of processors. */
export function mappingsOf(content: JsonObject): Part[] {
  return objectsOf(content, 'processors').flatMap((processor) =>
    objectAt(processor, 'parameters').flatMap(({ path, value }) => objectsOf(value, 'mappings', path)),
  );
}

/** Inputs of anything but conditions: of exclusions, of processors and of what rules put into attributes. */
export function otherInputsOf(content: JsonObject): Part[] {
  const attributes = rulesOf(content)
    .flatMap((rule) => objectAt(rule, 'output'))
    .flatMap((output) => objectAt(output, 'attributes'))
    .flatMap((found) => Object.keys(found.value).flatMap((name) => objectAt(found, name)));
  return [
    ...objectsOf(content, 'exclusions').flatMap(({ path, value }) => objectsOf(value, 'inputs', path)),
    ...mappingsOf(content).flatMap(({ path, value }) =>
      Object.keys(value).flatMap((parameter) => objectsOf(value, parameter, path)),
    ),
    ...attributes,
  ];
}

/** An entry of a list, whose path is made only when something is the matter with it. */
export interface ListEntry {
  readonly value: unknown;
  readonly expiration: unknown;
  readonly index: number;
}

export function* entriesOf(list: JsonObject): Generator<ListEntry> {
  const { data } = list;
  if (!Array.isArray(data)) return;
  for (const [index, entry] of (data as unknown[]).entries())
    if (isJsonObject(entry)) yield { value: entry['value'], expiration: entry['expiration'], index };
}

/** Lists of blocked addresses and users, and the like. */
export function listsOf(content: JsonObject): (Part & { readonly part: string })[] {
  return (['rules_data', 'exclusion_data'] as const).flatMap((part) =>
    objectsOf(content, part).map((list) => ({ ...list, part })),
  );
}
