import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCookies } from '../../src/engine/cookies.ts';
import { decodePercent, parseQuery } from '../../src/engine/query.ts';
import { growthOf, inProportion } from '../support/growth.ts';

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
    [
      'gives a name without `=` that is no word as a value too',
      '/?%3Cx%3E&-._~',
      { '<x>': ['', '<x>'], '-._~': [''] },
    ],
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

  it('of ASCII agrees with URLSearchParams, but for repeated values and names that are no mere words', () => {
    const text = fc.array(fc.constantFrom('a', '=', '&', '+', '%', '2', '7', 'c', '3', 'f', ';', '#'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, (units) => {
        const query = units.join('');
        const expected: Record<string, string[]> = {};
        for (const pair of query.split('&')) {
          for (const [name, value] of new URLSearchParams(`?${pair}`)) {
            // URLSearchParams does not tell "a" from "a=".
            const isValueToo = !pair.includes('=') && !/^[a-z\d]*$/.test(name);
            for (const item of isValueToo ? [value, name] : [value]) {
              expected[name] ??= [];
              if (expected[name].at(-1) !== item) expected[name].push(item);
            }
          }
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

  it.each([
    ['escapes of escapes', '%2561%252527', ['%61%2527', 'a%27', "a'"]],
    ['escapes of escapes, at most three times', '%25252561', ['%252561', '%2561', '%61']],
    ['%uXXXX', '%u0061%27', ["%u0061'", "a'"]],
    ['overlong UTF-8 of two bytes', '%c0%ae%C1%A1%41', ['\ufffd\ufffd\ufffd\ufffdA', '.aA']],
    ['overlong UTF-8 of three bytes', '%e0%80%af', ['\ufffd\ufffd\ufffd', '/']],
    ['`+` in front of escapes of escapes', '+%2527+%252B', [' %27 %2B', " ' +"]],
    ['no more than there is: an escaped percent sign', '100%25+', ['100% ']],
    ['no more than there is: valid UTF-8', '%e0%a4%85%C3%A9', ['\u0905é']],
  ])('reads %s in every way that servers do', (_what, text, values) => {
    expect(parseQuery(`/?a=${text}`)['a']).toEqual(values);
    expect(parseCookies([`a=${text.replaceAll('+', ' ').trim()}`])['a']).toEqual(
      expect.arrayContaining(values.map((value) => value.trim())),
    );
  });

  it('keeps literal characters beyond ASCII beside escapes that do not decode', () => {
    expect(parseQuery('/?a=%aaé%C3%A9')['a']).toEqual(['\ufffdéé']);
  });

  it.each(['%', '%25', '%u0025', '%c0%a5', '%zz&', 'a=%ff&', '&', '=', '+'])(
    'of many times %j takes work in proportion to its length',
    async (hostile) => {
      const work = (size: number): unknown => parseQuery(`/?${hostile.repeat(size)}`);
      expect(await growthOf(work, 10_000)).toBeLessThan(inProportion);
    },
  );
});

describe('percent-decoding', () => {
  it('leaves plus signs and ampersands alone', () => {
    expect(decodePercent('a+b&c=%zz%27')).toBe("a+b&c=%zz'");
  });
});
