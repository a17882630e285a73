import { isList, type WafValue } from './waf-value.ts';

/*
 * libddwaf spends about 3 µs on a string, however short, and stops when its time is up, so an attack could hide behind
 * thousands of strings. But an attack is neither very short nor a single plain word. If there are very many values, those
 * that may be attacks are therefore inspected on their own first. Each of these costs the sender at least eight bytes:
 * what fits into a proxy's usual buffer of 16 KB takes half of the default time.
 */

/** Up to this number, all values take at most a third of the default time. */
export const suspiciousFirstAbove = 1000;

const shortestAttackUnits = 8;
const plainWord = /^[\w.-]*$/;

function mayBeAttack(text: string): boolean {
  return text.length >= shortestAttackUnits && !plainWord.test(text);
}

/**
 * The part of an input that may be an attack, under the same keys; a key that may be one is part of it. Texts that are
 * the whole value of an address stay as they are.
 *
 * @param values by address, no deeper than `wafLimits`.
 */
export function suspiciousPart(values: Readonly<Record<string, WafValue>>): Record<string, WafValue> {
  const suspicious: Record<string, WafValue> = {};
  for (const address in values) {
    const value = values[address];
    const part = typeof value === 'string' ? value : partOf(value ?? null);
    if (part !== undefined) suspicious[address] = part;
  }
  return suspicious;
}

/** Undefined: nothing in it is suspicious. */
function partOf(value: WafValue): WafValue | undefined {
  if (typeof value === 'string') return mayBeAttack(value) ? value : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  return isList(value) ? itemsOf(value) : entriesOf(value);
}

function itemsOf(items: readonly WafValue[]): WafValue | undefined {
  const parts = items.map(partOf).filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts;
}

function entriesOf(record: Readonly<Record<string, WafValue>>): WafValue | undefined {
  const parts: Record<string, WafValue> = Object.create(null);
  let isEmpty = true;
  for (const key in record) {
    const part = partOf(record[key] ?? null);
    if (part === undefined && !mayBeAttack(key)) continue;
    parts[key] = part ?? null;
    isEmpty = false;
  }
  return isEmpty ? undefined : parts;
}
