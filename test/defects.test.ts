// docs/defects.md names a test for each defect of the agent that this one replaces. They must exist, under that name.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '..');
const defects = 23;

interface Row {
  readonly number: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

const rows = readFileSync(join(repository, 'docs', 'defects.md'), 'utf8')
  .split('\n')
  .flatMap((line): Row[] => {
    const [number, , tests] = line
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    if (number === undefined || tests === undefined || !/^0\.\d+$/.test(number)) return [];
    return [{ number, tests: tests.split('<br>').map(readTest) }];
  });

function readTest(text: string): Row['tests'][number] {
  const [, file, title] = /^`(test\/[\w./-]+\.test\.ts)` › (.+)$/.exec(text) ?? [];
  if (file === undefined || title === undefined) throw new Error(`not "\`file\` › title": ${text}`);
  return { file, title };
}

/** The literals that stand where `it(…)` and `])(…)` have their titles. */
function titlesIn(file: string): string[] {
  const source = readFileSync(join(repository, file), 'utf8');
  const literal =
    /(?:\bit|\]\)|\bit\.each(?:<[^(]*>)?\([^\n]*\))\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/g;
  return [...source.matchAll(literal)].map(([, single, double]) =>
    (single ?? double ?? '').replaceAll("\\'", "'"),
  );
}

describe('docs/defects.md', () => {
  it('has one line for each defect, in order', () => {
    const numbers = Array.from({ length: defects }, (_, index) => `0.${index + 1}`);
    expect(rows.map(({ number }) => number)).toEqual(numbers);
  });

  it.each(rows)('names tests for $number that exist', ({ tests }) => {
    for (const { file, title } of tests) {
      expect(existsSync(join(repository, file)), file).toBe(true);
      expect(titlesIn(file)).toContain(title);
    }
  });
});
