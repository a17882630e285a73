import { expect, it } from 'vitest';
import { growthOf, inProportion } from './growth.ts';

it.each<[string, (size: number) => unknown]>([
  ['a loop', (size) => [...'x'.repeat(size)].reduce((sum, unit) => sum + unit.charCodeAt(0), 0)],
  ['one search', (size) => 'x'.repeat(size).indexOf('y')],
  ['a regular expression', (size) => /y/.test('x'.repeat(size))],
  ['an asynchronous loop', async (size) => [...'x'.repeat(size)].map((unit) => unit.charCodeAt(0))],
])('%s is in proportion to its input', async (_what, work) => {
  expect(await growthOf(work, 20_000)).toBeLessThan(inProportion);
});

it.each<[string, number, (size: number) => unknown]>([
  ['a loop in a loop', 200, (size) => sum(size, () => sum(size, (index) => index & 1))],
  ['a regular expression that goes back', 300, (size) => /x*y/.test('x'.repeat(size))],
  ['a buffer that grows by a byte', 1000, (size) => grown(size)],
])('%s is not', async (_what, size, work) => {
  expect(await growthOf(work, size)).toBeGreaterThan(inProportion);
});

function sum(count: number, of: (index: number) => number): number {
  let total = 0;
  for (let index = 0; index < count; index += 1) total += of(index);
  return total;
}

function grown(size: number): Buffer {
  let all = Buffer.alloc(0);
  for (let index = 0; index < size; index += 1) all = Buffer.concat([all, Buffer.alloc(1)]);
  return all;
}
