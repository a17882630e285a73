import { isList, type WafValue } from './waf-value.ts';

/*
 * libddwaf's binding only inspects part of a value and silently ignores the rest (measured on
 * @datadog/native-appsec 11.0.3, and held by test/engine/waf/reshape-for-waf.test.ts):
 *
 *   strings and keys    the first 4,096 bytes of UTF-8
 *   objects and arrays  the first 256 entries
 *   depth               18 containers inside each other, below the address
 *
 * An attacker only has to exceed these limits. Larger values are therefore reshaped, without losing anything: long strings
 * become lists of overlapping pieces, wide containers become groups, deep subtrees and long keys move up into a list beside
 * the rest. Values within the limits are returned unchanged.
 *
 * No walk here recurses further than the 18 levels.
 */

export interface Reshaped {
  /** The value that was passed in, if nothing had to change. */
  readonly value: WafValue;
  /** How many values it holds, containers included. */
  readonly values: number;
  /** True when the value was larger than the bounds on total work, so that its end is missing. */
  readonly truncated: boolean;
}

/** What the binding inspects. */
export const wafLimits = { stringBytes: 4096, containerEntries: 256, containerDepth: 18 } as const;

/**
 * Bounds on one value. libddwaf spends about 0.5 µs per value and its time budget is 10 ms, so it would never
 * reach these bounds; they only keep the conversion from blocking the thread.
 */
export const reshapeBounds = { nodes: 200_000, stringUnits: 64 * 1024 * 1024 } as const;

/** Repeated at each seam, so that an attack up to this length is whole in one of the two pieces. */
export const pieceOverlapUnits = 256;

/** A UTF-16 unit becomes at most three bytes of UTF-8. */
const surelyShortUnits = Math.floor(wafLimits.stringBytes / 3);
/** Values that moved up lie below the root, the list of moved-up values and at most two levels of groups of that list. */
const movedUpLevel = 4;
const restKey = '(more)';

/** Reshapes a value so that the binding sees all of it. Never throws, takes time linear in the size. */
export function reshapeForWaf(value: WafValue): Reshaped {
  const inspection = new Inspection();
  if (inspection.fits(value, 0)) return { value, values: inspection.values, truncated: false };
  return new Reshaping().run(value);
}

/** One walk that allocates nothing per value. */
class Inspection {
  /** Visited so far. */
  values = 0;
  #units = 0;

  /** `level` counts the containers around the value. */
  fits(value: WafValue, level: number): boolean {
    this.values += 1;
    if (typeof value === 'string') return this.#stringFits(value);
    if (typeof value !== 'object' || value === null) return true;
    if (level >= wafLimits.containerDepth || this.values > reshapeBounds.nodes) return false;
    if (isList(value)) {
      if (value.length > wafLimits.containerEntries) return false;
      for (const item of value) if (!this.fits(item, level + 1)) return false;
      return true;
    }
    const record = value;
    let entries = 0;
    for (const key in record) {
      entries += 1;
      if (entries > wafLimits.containerEntries || !this.#stringFits(key)) return false;
      const item = record[key];
      if (item !== undefined && !this.fits(item, level + 1)) return false;
    }
    return true;
  }

  #stringFits(text: string): boolean {
    this.#units += text.length;
    return this.#units <= reshapeBounds.stringUnits && isShort(text);
  }
}

class Reshaping {
  #nodes = 0;
  #units = 0;
  #truncated = false;
  /** Values whose place was too deep, and the pieces of long keys. Grows while it is read. */
  readonly #movedUp: WafValue[] = [];

  run(value: WafValue): Reshaped {
    // A root that is not an object has to move down beside the values that move up.
    const root = this.#build(value, isList(value) ? 1 : 0);
    const rest: WafValue[] = [];
    // Building a value that moved up may move up further ones.
    for (let index = 0; index < this.#movedUp.length && !this.#isSpent(); index += 1) {
      rest.push(this.#build(this.#movedUp[index] ?? null, movedUpLevel));
    }
    return {
      value: rest.length === 0 ? root : withRest(root, inGroups(rest)),
      values: this.#nodes,
      truncated: this.#truncated,
    };
  }

  #build(value: WafValue, level: number): WafValue {
    this.#nodes += 1;
    if (typeof value === 'string') return this.#buildString(value, level);
    if (typeof value !== 'object' || value === null) return value;
    if (level + levelsOf(value) > wafLimits.containerDepth) {
      this.#movedUp.push(value);
      return null;
    }
    return isList(value) ? this.#buildArray(value, level) : this.#buildObject(value, level);
  }

  #buildString(text: string, level: number): WafValue {
    const room = reshapeBounds.stringUnits - this.#units;
    if (text.length > room) this.#truncated = true;
    const kept = text.length > room ? text.slice(0, room) : text;
    this.#units += kept.length;
    if (isShort(kept)) return kept;
    const pieces = inGroups(piecesOf(kept));
    if (level + levelsOf(pieces) + 1 <= wafLimits.containerDepth) return pieces;
    // Already counted.
    this.#units -= kept.length;
    this.#movedUp.push(kept);
    return null;
  }

  #buildArray(items: readonly WafValue[], level: number): WafValue {
    const childLevel = level + levelsOf(items);
    const built: WafValue[] = [];
    for (const item of items) {
      if (this.#isSpent()) break;
      built.push(this.#build(item, childLevel));
    }
    return inGroups(built);
  }

  #buildObject(record: Readonly<Record<string, WafValue>>, level: number): WafValue {
    const keys = Object.keys(record);
    const isWide = isWideObject(keys.length);
    const childLevel = level + levelsOf(record);
    const first: Record<string, WafValue> = Object.create(null);
    const rest: Record<string, WafValue>[] = [];
    let target = first;
    // One entry stays free for the rest, one more for what the root may have to hold.
    let room = wafLimits.containerEntries - (isWide ? 2 : 0);
    for (const key of keys) {
      if (this.#isSpent()) break;
      if (room === 0) {
        target = Object.create(null);
        rest.push(target);
        room = wafLimits.containerEntries;
      }
      room -= 1;
      this.#units += key.length;
      if (!isShort(key)) this.#moveUpKey(key);
      target[key] = this.#build(record[key] ?? null, childLevel);
    }
    return rest.length === 0 ? first : withRest(first, inGroups(rest));
  }

  /** The pieces of a long key, both as keys and as values: rules look at the one or at the other. */
  #moveUpKey(key: string): void {
    const pieces: Record<string, WafValue> = Object.create(null);
    for (const piece of piecesOf(key)) pieces[piece] = piece;
    this.#movedUp.push(pieces);
  }

  #isSpent(): boolean {
    if (this.#nodes < reshapeBounds.nodes && this.#units < reshapeBounds.stringUnits) return false;
    this.#truncated = true;
    return true;
  }
}

function isShort(text: string): boolean {
  if (text.length <= surelyShortUnits) return true;
  return text.length <= wafLimits.stringBytes && Buffer.byteLength(text) <= wafLimits.stringBytes;
}

function piecesOf(text: string): string[] {
  const isAscii = Buffer.byteLength(text) === text.length;
  const size = isAscii ? wafLimits.stringBytes : surelyShortUnits;
  const pieces: string[] = [];
  let start = 0;
  while (start + size < text.length) {
    pieces.push(text.slice(start, start + size));
    start += size - pieceOverlapUnits;
  }
  pieces.push(text.slice(start));
  return pieces;
}

/** Balanced groups of at most 256, of as many levels as it takes. */
function inGroups(items: readonly WafValue[]): readonly WafValue[] {
  let groups = items;
  while (groups.length > wafLimits.containerEntries) {
    const next: WafValue[] = [];
    for (let start = 0; start < groups.length; start += wafLimits.containerEntries) {
      next.push(groups.slice(start, start + wafLimits.containerEntries));
    }
    groups = next;
  }
  return groups;
}

/** How many containers inside each other the entries of this one will lie in, itself included. */
function levelsOf(value: WafValue): number {
  if (isList(value)) return groupLevels(value.length);
  const width = Object.keys(value as object).length;
  if (!isWideObject(width)) return 1;
  return 2 + groupLevels(Math.ceil(width / wafLimits.containerEntries));
}

/** One entry stays free: the root may have to hold what moved up. */
function isWideObject(width: number): boolean {
  return width >= wafLimits.containerEntries;
}

function groupLevels(count: number): number {
  let levels = 1;
  for (let left = count; left > wafLimits.containerEntries; left /= wafLimits.containerEntries) levels += 1;
  return levels;
}

/** Objects keep their entries in place, so that rules which name a key still find it. */
function withRest(root: WafValue, rest: readonly WafValue[]): WafValue {
  if (typeof root !== 'object' || root === null || isList(root)) return [root, rest];
  const record = root as Record<string, WafValue>;
  let key = restKey;
  while (key in record) key += '.';
  record[key] = rest;
  return record;
}
