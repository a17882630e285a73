import type { Environment } from './words.ts';

/** Numbers of a HAProxy version, for instance [3, 2, 26]. */
export type Version = readonly number[];

/** The first two numbers and what may follow them; undefined when `text` has none. */
export function parseVersion(text: string): Version | undefined {
  const numbers = /^v?(\d+)\.(\d+)(?:[.-](?:dev)?(\d+))?/.exec(text.trim());
  if (numbers === null) return undefined;
  return numbers
    .slice(1)
    .filter((part) => part !== undefined)
    .map(Number);
}

export function isAtLeast(version: Version, wanted: Version): boolean {
  for (let index = 0; index < wanted.length; index += 1) {
    const difference = (version[index] ?? 0) - (wanted[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * The condition of an `.if` (configuration manual, 2.4); undefined when it depends on what only the running HAProxy
 * knows: both branches are then looked at.
 */
export function evaluate(condition: string, version: Version, environment: Environment): boolean | undefined {
  const text = condition.replaceAll(/\s/g, '');
  if (text === '') return false;
  const either = text.split('||');
  if (either.length > 1) return anyOf(either.map((part) => evaluate(part, version, environment)));
  const all = text.split('&&');
  if (all.length > 1) {
    const parts = all.map((part) => evaluate(part, version, environment));
    return not(anyOf(parts.map(not)));
  }
  if (text.startsWith('!')) return not(evaluate(text.slice(1), version, environment));
  if (/^\d+$/.test(text)) return Number(text) !== 0;
  const predicate = /^(\w+)\(([^()]*)\)$/.exec(text);
  const [, name, argument = ''] = predicate ?? [];
  const wanted = parseVersion(argument);
  if (name === 'version_atleast' && wanted !== undefined) return isAtLeast(version, wanted);
  if (name === 'version_before' && wanted !== undefined) return !isAtLeast(version, wanted);
  if (name === 'defined') return environment.has(argument);
  return undefined;
}

function not(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

function anyOf(values: readonly (boolean | undefined)[]): boolean | undefined {
  if (values.includes(true)) return true;
  return values.includes(undefined) ? undefined : false;
}
