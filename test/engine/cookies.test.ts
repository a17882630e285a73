import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCookies } from '../../src/engine/cookies.ts';
import { growthOf, inProportion } from '../support/growth.ts';

describe('cookies', () => {
  const cases: [string, string[], Record<string, string[]>][] = [
    ['are none without a field', [], {}],
    ['are split at `;`', ['a=1; b=2;c=3'], { a: ['1'], b: ['2'], c: ['3'] }],
    ['of several fields are put together', ['a=1', 'a=2'], { a: ['1', '2'] }],
    ['keep repeated names', ['a=1; a=2'], { a: ['1', '2'] }],
    ['without `=` are values without a name', ['<x>; a=1'], { '': ['<x>'], a: ['1'] }],
    ['keep further `=`', ['a=b=c'], { a: ['b=c'] }],
    ['lose the quotes around the value', ['a="b c"'], { a: ['b c'] }],
    ['are percent-decoded', ['a=%3Cx%3E'], { a: ['<x>'] }],
    ['keep plus signs', ['a=1+1'], { a: ['1+1'] }],
    ['are listed raw and decoded when not all escapes decode', ['a=%zz%27'], { a: ['%zz%27', "%zz'"] }],
    ['with a quoted `;` are listed both ways', ['a="b;c"; d=1'], { a: ['"b', 'b;c'], '': ['c"'], d: ['1'] }],
    ['with backslash escapes are listed both ways', ['a="\\074x\\""'], { a: ['\\074x\\"', '<x"'] }],
    ['with an empty value are kept', ['a=; b'], { a: [''], '': ['b'] }],
    ['skip nothing but blanks', [' ;; ; '], {}],
  ];
  for (const [behaviour, fields, expected] of cases) {
    it(behaviour, () => expect({ ...parseCookies(fields) }).toEqual(expected));
  }

  it('keep the name __proto__', () => {
    expect(Object.entries(parseCookies(['__proto__=x']))).toEqual([['__proto__', ['x']]]);
  });

  it('never throw, and no text gets lost', () => {
    const field = fc.array(fc.constantFrom('a', 'b', '=', ';', '"', '%', '\\', ' ', '2', '7'), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(fc.array(field, { maxLength: 3 }), (fields) => {
        const texts = fields.map((units) => units.join(''));
        const cookies = parseCookies([...texts, 'last=needle']);
        expect(cookies['last']).toContain('needle');
      }),
    );
  });

  it.each(['"', 'a="', 'a=";', ';', 'a="\\', '%;', '='])(
    'of many times %j take work in proportion to their length',
    async (hostile) => {
      const work = (size: number): unknown => parseCookies([hostile.repeat(size)]);
      expect(await growthOf(work, 10_000)).toBeLessThan(inProportion);
    },
  );
});
