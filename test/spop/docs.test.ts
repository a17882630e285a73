import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SPOP_ERRORS, SpopError, type SpopErrorCode, StatusCode } from '../../src/spop/index.ts';

/** The cells of every table row in docs/spop.md, heads and rules left out. */
const rows = readFileSync(new URL('../../docs/spop.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !line.startsWith('|---'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

const unquoted = (cell: string | undefined) => (cell ?? '').replaceAll('`', '');
const situations = rows.filter((row) => row.length === 4 && row[0] !== 'situation');
const codes = rows.filter((row) => row.length === 3 && row[0] !== 'code');

describe('docs/spop.md', () => {
  it('lists every error code with its status and sentence', () => {
    const documented = codes.map(([code, status, sentence]) => [
      unquoted(code),
      { status: Number(status), sentence },
    ]);
    expect(Object.fromEntries(documented)).toEqual(SPOP_ERRORS);
  });

  it('gives each situation the status of its code', () => {
    const named = situations.filter((row) => row[3] !== '');
    const documented = named.map((row) => [unquoted(row[3]), Number(row[2])]);
    const expected = named.map((row) => {
      const code = Object.keys(SPOP_ERRORS).find((candidate) => candidate === unquoted(row[3]));
      return [code, SPOP_ERRORS[code as SpopErrorCode].status];
    });
    expect(documented).toEqual(expected);
  });

  it('has a situation for every code but the one that only HAProxy’s side can meet', () => {
    const met = new Set(situations.map((row) => unquoted(row[3])));
    expect(Object.keys(SPOP_ERRORS).filter((code) => !met.has(code))).toEqual(['SPOP_BAD_ACTION']);
  });
});

describe('SpopError', () => {
  it('carries the status of its code and the message given', () => {
    const error = new SpopError('SPOP_FRAME_TOO_BIG', 'too long by 3');
    expect(error).toMatchObject({
      name: 'SpopError',
      code: 'SPOP_FRAME_TOO_BIG',
      status: 3,
      message: 'too long by 3',
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('uses only status codes of SPOE.txt 3.5', () => {
    expect(Object.values(StatusCode)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99]);
    for (const { status } of Object.values(SPOP_ERRORS)) expect(Object.values(StatusCode)).toContain(status);
  });
});
