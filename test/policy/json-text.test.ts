import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mistakeText, pathText, scanJson } from '../../src/policy/json-text.ts';

describe('a mistake in JSON', () => {
  it.each([
    ['{"a": [\n  {,}\n]}', 'line 2, column 4: expected a key in double quotes, found ","'],
    ['{"a": 1,\n}', 'line 1, column 8: trailing comma: JSON allows none after the last entry'],
    ['[1,\n 2\n 3]', "line 3, column 2: expected ',' or ']', found \"3\""],
    ['{"a": 1\n "b": 2}', "line 2, column 2: ',' or '}' is missing before this string"],
    ['{\n  // why\n}', 'line 2, column 3: JSON has no comments; expected a key in double quotes'],
    ["{'a': 1}", 'line 1, column 2: JSON needs straight double quotes; expected a key in double quotes'],
    [
      '{"a": "b\nc"}',
      'line 1, column 7: this string has no closing quote on its line, or contains a character that must be escaped',
    ],
    ['{"a": [1', "line 1, column 9: expected ',' or ']', but the text ends"],
    ['', 'line 1, column 1: expected a value, but the text ends'],
    ['{} {}', 'line 1, column 4: expected the end of the text, found "{"'],
    ['\n\nTrue', 'line 3, column 1: expected a value, found "T"'],
  ])('%j is at %s', (text, place) => {
    const { mistake } = scanJson(text);
    expect(mistake === undefined ? undefined : mistakeText(mistake)).toBe(place);
  });

  it('is there when JSON.parse finds one, whatever the text', () => {
    const pieces = fc.array(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '"',
        '1',
        '-',
        '0',
        '.5',
        'e3',
        'true',
        'null',
        ' ',
        '\n',
        '\\',
        '\\u00e9',
        '\u0001',
        '/',
      ),
      { maxLength: 12 },
    );
    const text = fc.oneof(
      pieces.map((parts) => parts.join('')),
      fc.json(),
      fc.tuple(fc.json(), fc.nat()).map(([json, at]) => json.slice(0, at % (json.length + 1))),
    );
    fc.assert(
      fc.property(text, (json) => {
        expect(scanJson(json).mistake === undefined).toBe(isJson(json));
      }),
      { numRuns: 2000 },
    );
  });

  it('is looked for in any depth and length', () => {
    expect(scanJson('['.repeat(500_000)).mistake?.column).toBe(500_001);
    expect(scanJson(`["${'x'.repeat(5_000_000)}"]`).mistake).toBeUndefined();
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('a place in JSON', () => {
  const text = '{\n "a": [\n  1,\n  {"b c":\n   2}\n ]\n}';

  it.each([
    [[], 1, ''],
    [['a'], 2, 'a'],
    [['a', 0], 3, 'a[0]'],
    [['a', 1], 4, 'a[1]'],
    [['a', 1, 'b c'], 5, 'a[1]["b c"]'],
    [['a', 1, 'missing'], 4, 'a[1].missing'],
  ])('%j is on line %i', (path, line, shown) => {
    expect(scanJson(text).lineOf(path)).toBe(line);
    expect(pathText(path)).toBe(shown);
  });
});

describe('a key that comes twice', () => {
  it('is told with the line of the value that is dropped', () => {
    const { dropped } = scanJson('{"a": 1,\n "b": [{"c": 1,\n "c": 2}],\n "a": 3}');
    expect(dropped).toEqual([
      { path: ['b', 0, 'c'], line: 2 },
      { path: ['a'], line: 1 },
    ]);
  });
});
