import { describe, expect, it } from 'vitest';
import { median } from '../../bench/support/median.ts';

describe('median', () => {
  it.each([
    [[], Number.NaN],
    [[7], 7],
    [[9, 1, 10], 9],
    [[4, 100, 1, 2], 3],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});
