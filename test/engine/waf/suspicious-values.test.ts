import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recommendedRulesPath } from '../../../src/datadog/dd-trace-package.ts';
import { suspiciousFirstAbove, suspiciousPart } from '../../../src/engine/waf/suspicious-values.ts';
import { Waf } from '../../../src/engine/waf/waf.ts';
import type { WafValue } from '../../../src/engine/waf/waf-value.ts';
import { loadTestWaf } from '../../support/test-engine.ts';

const body = (value: WafValue) => ({ 'server.request.body': value });
const plentyUs = 1_000_000;
const padding = (text: (index: number) => string): string[] =>
  Array.from({ length: suspiciousFirstAbove + 1 }, (_, index) => text(index));

describe('what may be an attack', () => {
  it.each<[string, WafValue, WafValue | undefined]>([
    ['long enough and no plain word', ['short', "' or 1=1", 'plain-words_only.1'], ["' or 1=1"]],
    ['a key, whatever its value', { "' or 1=1 --": 1, b: 2 }, { "' or 1=1 --": null }],
    [
      'deep down, under its keys',
      { a: { b: ['x', { c: 'a b c d e' }] } },
      { a: { b: [{ c: 'a b c d e' }] } },
    ],
    ['beyond ASCII', ['ünïcödeß'], ['ünïcödeß']],
    ['nothing', { a: 1, b: ['x', true, null] }, undefined],
    ['named like a part of every object', { ['__proto__']: "' or 1=1" }, { ['__proto__']: "' or 1=1" }],
  ])('%s', (_what, value, suspicious) => {
    expect(suspiciousPart(body(value))).toEqual(suspicious === undefined ? {} : body(suspicious));
  });

  it('is all of a text that is the whole value of an address', () => {
    expect(suspiciousPart({ 'server.request.method': 'GET' })).toEqual({ 'server.request.method': 'GET' });
  });

  it('is a part of what was given, whatever that is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const whole = new Set(textsIn(value as WafValue));
        const [suspicious] = Object.values(suspiciousPart({ address: [value as WafValue] }));
        for (const text of textsIn(suspicious ?? null)) expect(whole).toContain(text);
      }),
    );
  });
});

describe('of very many values', () => {
  it('an attack is found among those that may be one, once', () => {
    const context = loadTestWaf().createContext(plentyUs);
    const result = context.run(body([...padding(() => ''), 'an attack-report']));
    expect(result?.events.map(({ rule }) => rule.id)).toEqual(['report-1', 'report-2']);
  });

  it('one that looks like none is found when all are looked at, and what was found before stays', () => {
    const context = Waf.load(
      { version: '2.2', rules: ['some words', 'word'].map(ruleFor) },
      'test',
    ).createContext(plentyUs);
    const result = context.run(body([...padding(() => ''), 'some words', 'word']));
    expect(result?.events.map(({ rule }) => rule.id)).toEqual(['some words', 'word']);
  });

  it('all are part of the schema', () => {
    const path = recommendedRulesPath();
    const waf = Waf.load(JSON.parse(readFileSync(path, 'utf8')), path);
    const schemaOf = (value: WafValue): unknown =>
      waf
        .createContext(plentyUs, true)
        .run({ ...body(value), 'waf.context.processor': { 'extract-schema': true } })?.attributes;
    const entries = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, index % 2 ? 1.5 : 'x']));
    const [few, many] = [entries(100), { list: padding(() => 'x'), ...entries(100) }];
    expect(schemaOf(few)).not.toEqual({});
    expect(JSON.stringify(schemaOf(many))).toContain('"key99":[');
  });

  it.each<[string, (index: number) => string]>([
    ['empty texts', () => ''],
    ['short words', (index) => index.toString(36)],
    ['single quotes', (index) => `'${index.toString(36)}`],
  ])('%s as many as fit into 14 kB do not hide an attack from Datadog’s rules', (_name, text) => {
    const path = recommendedRulesPath();
    const waf = Waf.load(JSON.parse(readFileSync(path, 'utf8')), path);
    const values: string[] = [];
    for (let size = 0; size < 14_000; size += (values.at(-1)?.length ?? 0) + 3)
      values.push(text(values.length));
    // A tenth of the default time: this is about the order, not about the machine.
    const result = waf.createContext(1000).run(body([...values, "1' OR 1=1-- "]));
    expect(result?.events.map(({ rule }) => rule.id)).toContain('crs-942-100');
  });
});

function ruleFor(word: string): object {
  return {
    id: word,
    name: 'test',
    tags: { type: word, category: 'attack_attempt' },
    conditions: [
      {
        operator: 'match_regex',
        parameters: { inputs: [{ address: 'server.request.body' }], regex: `^${word}$` },
      },
    ],
  };
}

function textsIn(value: WafValue): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return (value as readonly WafValue[]).flatMap(textsIn);
  return Object.entries(value).flatMap(([key, item]) => [key, ...textsIn(item)]);
}
