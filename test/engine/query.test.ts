import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePercent, parseQuery } from '../../src/engine/query.ts';

describe('a query', () => {
  const cases: [string, string, Record<string, string[]>][] = [
    ['is empty without `?`', '/path', {}],
    ['is empty after a bare `?`', '/path?', {}],
    ['keeps repeated names in order', '/?a=1&b=2&a=3', { a: ['1', '3'], b: ['2'] }],
    ['reads `+` as a space', '/?a+b=c+d', { 'a b': ['c d'] }],
    ['decodes escapes in names and values', '/?%61=%3Cscript%3E', { a: ['<script>'] }],
    ['keeps bad escapes beside good ones', '/?a=%zz%27%', { a: ["%zz'%"] }],
    ['keeps `+` a space beside bad escapes, and an escaped plus a plus', '/?a=%zz+%2B', { a: ['%zz +'] }],
    ['replaces bytes that are no UTF-8', '/?a=%ff%27', { a: ["\ufffd'"] }],
    ['gives a name without `=` the value ""', '/?a&b=', { a: [''], b: [''] }],
    ['keeps further `=` in the value', '/?a=b=c', { a: ['b=c'] }],
    ['keeps a value without a name', '/?=x', { '': ['x'] }],
    ['does not split at `;`', '/?a=1;b=2', { a: ['1;b=2'] }],
    ['keeps a fragment in the value', '/?a=1#<x>', { a: ['1#<x>'] }],
    ['begins at the first `?`', '/?a=1?b=2', { a: ['1?b=2'] }],
    ['is found in a target in absolute form', 'http://h:80/p?a=1', { a: ['1'] }],
    ['skips empty pairs', '/?&&a=1&', { a: ['1'] }],
    ['is found in `*` with a query', '*?a=1', { a: ['1'] }],
  ];
  for (const [behaviour, target, expected] of cases) {
    it(behaviour, () => expect({ ...parseQuery(target) }).toEqual(expected));
  }

  it('keeps names that objects inherit', () => {
    const query = parseQuery('/?__proto__=1&constructor=2&__proto__=3');
    expect(Object.entries(query)).toEqual([
      ['__proto__', ['1', '3']],
      ['constructor', ['2']],
    ]);
    expect(Object.getPrototypeOf(query)).toBe(null);
  });

  it('of ASCII agrees with URLSearchParams, but for a value that is the same as the one before', () => {
    const text = fc.array(fc.constantFrom('a', '=', '&', '+', '%', '2', '7', 'c', '3', 'f', ';', '#'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, (units) => {
        const query = units.join('');
        const expected: Record<string, string[]> = {};
        for (const [name, value] of new URLSearchParams(`?${query}`)) {
          expected[name] ??= [];
          if (expected[name].at(-1) !== value) expected[name].push(value);
        }
        expect(Object.fromEntries(Object.entries(parseQuery(`/?${query}`)))).toEqual(expected);
      }),
    );
  });

  it('of any text is read without an error', () => {
    const text = fc.array(fc.constantFrom('a', '=', '&', '%', 'e', '2', 'é', '\ud800', '\0'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, (units) => {
        expect(parseQuery(`/?${units.join('')}&last=needle`)['last']).toContain('needle');
      }),
    );
  });

  it('keeps literal characters beyond ASCII beside escapes that do not decode', () => {
    expect(parseQuery('/?a=%aaé%C3%A9')['a']).toEqual(['\ufffdéé']);
  });

  it('takes time in proportion to its length', () => {
    for (const hostile of ['%', '%zz&', 'a=%ff&', '&', '=', '+']) {
      const startedAt = performance.now();
      parseQuery(`/?${hostile.repeat(500_000)}`);
      expect(performance.now() - startedAt).toBeLessThan(5000);
    }
  });
});

describe('percent-decoding', () => {
  it('leaves plus signs and ampersands alone', () => {
    expect(decodePercent('a+b&c=%zz%27')).toBe("a+b&c=%zz'");
  });
});
