import { DDWAF } from '@datadog/native-appsec';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  pieceOverlapUnits,
  reshapeBounds,
  reshapeForWaf,
  wafLimits,
} from '../../../src/engine/waf/reshape-for-waf.ts';
import type { WafValue } from '../../../src/engine/waf/waf-value.ts';

// The real binding, so that a new version with other limits is noticed here.
const address = 'server.request.body';
const attack = 'evil-attack';
const rule = (id: string, transformers: string[]) => ({
  id,
  name: id,
  // One event per type and run.
  tags: { type: id, category: 'attack_attempt' },
  conditions: [
    {
      operator: 'match_regex',
      parameters: { inputs: [{ address }], regex: attack, options: { min_length: 1 } },
    },
  ],
  transformers,
});
const waf = new DDWAF(
  {
    version: '2.2',
    metadata: { rules_version: '1' },
    rules: [rule('value', []), rule('key', ['keys_only'])],
  },
  'test',
  {},
);
afterAll(() => waf.dispose());

/** Ids of the rules that match. */
function matches(value: WafValue): string[] {
  const context = waf.createContext();
  const result = context.run({ persistent: { [address]: value } }, 5_000_000);
  context.dispose();
  return ((result.events ?? []) as { rule: { id: string } }[]).map((event) => event.rule.id).sort();
}

function nested(depth: number, inner: WafValue, wrap: (value: WafValue) => WafValue): WafValue {
  let value = inner;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
}

const inList = (value: WafValue): WafValue => [value];
const inRecord = (value: WafValue): WafValue => ({ k: value });
const recordOf = (count: number, last: string): Record<string, WafValue> => {
  const record: Record<string, WafValue> = {};
  for (let index = 0; index < count; index += 1) record[`key${index}`] = 'harmless';
  record['last'] = last;
  return record;
};

describe('the binding', () => {
  it('looks at 4,096 bytes of a string, not at 4,096 characters', () => {
    expect(matches('x'.repeat(wafLimits.stringBytes - attack.length) + attack)).toEqual(['value']);
    expect(matches('x'.repeat(wafLimits.stringBytes - attack.length + 1) + attack)).toEqual([]);
    expect(matches(`${'é'.repeat(2042)}x${attack}`)).toEqual(['value']);
    expect(matches(`${'é'.repeat(2043)}x${attack}`)).toEqual([]);
  });

  it('looks at 4,096 bytes of a key', () => {
    expect(matches({ ['x'.repeat(wafLimits.stringBytes - attack.length) + attack]: 1 })).toEqual(['key']);
    expect(matches({ ['x'.repeat(wafLimits.stringBytes - attack.length + 1) + attack]: 1 })).toEqual([]);
  });

  it('looks at 256 entries of a container', () => {
    expect(matches([...Array<string>(255).fill('a'), attack])).toEqual(['value']);
    expect(matches([...Array<string>(256).fill('a'), attack])).toEqual([]);
    expect(matches(recordOf(255, attack))).toEqual(['value']);
    expect(matches(recordOf(256, attack))).toEqual([]);
  });

  it('looks at 18 containers inside each other', () => {
    for (const wrap of [inList, inRecord]) {
      expect(matches(nested(wafLimits.containerDepth, attack, wrap))).toEqual(['value']);
      expect(matches(nested(wafLimits.containerDepth + 1, attack, wrap))).toEqual([]);
    }
  });
});

describe('fit', () => {
  const outOfReach: [string, WafValue, string[]][] = [
    ['at position 20,000 of a string', 'x'.repeat(20_000) + attack, ['value']],
    ['at position 3,000,000 of a string', 'x'.repeat(3_000_000) + attack, ['value']],
    ['behind 20,000 characters of three bytes', '€'.repeat(20_000) + attack, ['value']],
    ['behind 20,000 surrogate pairs', '😀'.repeat(20_000) + attack, ['value']],
    ['as entry 5,000 of an object', recordOf(5000, attack), ['value']],
    ['as key 5,000 of an object', { ...recordOf(5000, 'x'), [attack]: 1 }, ['key']],
    ['as item 5,000 of a list', [...Array<string>(5000).fill('a'), attack], ['value']],
    ['as item 100,000 of a list', [...Array<string>(100_000).fill('a'), attack], ['value']],
    ['200 lists deep', nested(200, attack, inList), ['value']],
    ['200 objects deep', nested(200, attack, inRecord), ['value']],
    ['100,000 lists deep', nested(100_000, attack, inList), ['value']],
    ['at position 20,000 of a key', { ['x'.repeat(20_000) + attack]: 1 }, ['key', 'value']],
    ['in a long string 18 levels deep', nested(18, 'x'.repeat(20_000) + attack, inRecord), ['value']],
    [
      'in a long string, in a wide list, 300 levels deep',
      nested(300, [...Array<string>(999).fill('a'), 'x'.repeat(20_000) + attack], inRecord),
      ['value'],
    ],
    ['in a wide object of a wide object', { ...recordOf(400, 'x'), deep: recordOf(400, attack) }, ['value']],
  ];
  for (const [where, value, found] of outOfReach) {
    it(`brings an attack ${where} into reach`, () => {
      expect(matches(value)).toEqual([]);
      const reshaped = reshapeForWaf(value);
      expect(reshaped.truncated).toBe(false);
      expect(matches(reshaped.value)).toEqual(found);
    });
  }

  it('returns the same reference when nothing has to change', () => {
    for (const value of [
      'x',
      1,
      null,
      true,
      7n,
      [],
      {},
      ['a', { b: [1, 'c'] }],
      nested(18, 'x', inList),
      recordOf(255, 'x'),
    ]) {
      expect(reshapeForWaf(value as WafValue).value).toBe(value);
    }
  });

  it('keeps an attack whole that lies across a seam', () => {
    const long = 'y'.repeat(pieceOverlapUnits - 1);
    for (let start = 4096 - 300; start < 4096 + 300; start += 7) {
      const { value } = reshapeForWaf(`${'x'.repeat(start)}${long}${'z'.repeat(5000)}`);
      expect((value as string[]).some((piece) => piece.includes(long))).toBe(true);
    }
  });

  it('leaves the keys of an object in place when something has to move', () => {
    const { value } = reshapeForWaf({ 'user-agent': ['x'.repeat(9000)], deep: nested(30, attack, inList) });
    expect(Object.keys(value as object)).toEqual(['user-agent', 'deep', '(more)']);
  });

  it('keeps the key __proto__', () => {
    const value = JSON.parse(`{"__proto__":{"a":"${'x'.repeat(5000)}${attack}"}}`) as WafValue;
    expect(matches(reshapeForWaf(value).value)).toEqual(['value']);
  });

  it('does not replace a key that has the name of the rest', () => {
    const { value } = reshapeForWaf({ '(more)': 'mine', deep: nested(30, attack, inList) });
    expect((value as Record<string, WafValue>)['(more)']).toBe('mine');
    expect(matches(value)).toEqual(['value']);
  });

  it('says so when the value exceeds the bounds on work', () => {
    const many = reshapeForWaf([...Array<number>(reshapeBounds.nodes).fill(1), attack]);
    expect(many.truncated).toBe(true);
    const long = reshapeForWaf('x'.repeat(reshapeBounds.stringUnits + 1));
    expect(long.truncated).toBe(true);
    const deep = reshapeForWaf(nested(reshapeBounds.nodes * 2, attack, inList));
    expect(deep.truncated).toBe(true);
  });

  it('never exceeds what the binding looks at, and loses nothing', () => {
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.tuple(fc.constantFrom('x', 'é', '€', '😀'), fc.nat(9000)).map(([unit, count]) => unit.repeat(count)),
    );
    const { tree } = fc.letrec<{ tree: WafValue }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'medium', withCrossShrink: true },
        leaf,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('tree'), { maxKeys: 4 }),
        fc.tuple(tie('tree'), fc.nat(40)).map(([value, depth]) => nested(depth, value, inRecord)),
        fc
          .tuple(tie('tree'), fc.integer({ min: 250, max: 700 }))
          .map(([value, width]) => [...Array<string>(width).fill('w'), value]),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const reshaped = reshapeForWaf(value);
        expect(reshaped.truncated).toBe(false);
        expect(exceeds(reshaped.value, 0)).toBe(false);
        expect(matches(reshapeForWaf([value, attack]).value)).toEqual(['value']);
        // A marker in the innermost place of any shape is found.
        expect(matches(reshapeForWaf(withMarker(value)).value)).toEqual(['value']);
      }),
      { numRuns: 150 },
    );
  });
});

function exceeds(value: WafValue, level: number): boolean {
  if (typeof value === 'string') return Buffer.byteLength(value) > wafLimits.stringBytes;
  if (typeof value !== 'object' || value === null) return false;
  const items = Object.values(value) as WafValue[];
  if (level >= wafLimits.containerDepth || items.length > wafLimits.containerEntries) return true;
  return items.some((item) => exceeds(item, level + 1));
}

/** Appends the attack to the last string on the way down the last entries. */
function withMarker(value: WafValue): WafValue {
  if (typeof value === 'string') return value + attack;
  if (typeof value !== 'object' || value === null) return attack;
  if (Array.isArray(value)) {
    const items = value as readonly WafValue[];
    return items.length === 0 ? [attack] : [...items.slice(0, -1), withMarker(items.at(-1) ?? null)];
  }
  const entries = Object.entries(value);
  const last = entries.pop();
  if (last === undefined) return { k: attack };
  return Object.fromEntries([...entries, [last[0], withMarker(last[1] as WafValue)]]);
}
