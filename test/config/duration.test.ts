import { describe, expect, it } from 'vitest';
import { parseHaproxyTime } from '../../src/config/duration.ts';

describe("HAProxy's way to write durations", () => {
  it.each([
    ['500', 500],
    ['0', 0],
    ['1500us', 1.5],
    ['20ms', 20],
    ['30s', 30_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    [' 5s ', 5000],
    ['24d', 2_073_600_000],
  ])('reads %j as %d ms', (text, durationMs) => {
    expect(parseHaproxyTime(text)).toBe(durationMs);
  });

  it.each(['', ' ', 's', '1.5s', '-1s', '1 s', '1m30s', '1S', '1w', 'soon', '1e3', `${'9'.repeat(400)}d`])(
    'finds no duration in %j',
    (text) => {
      expect(parseHaproxyTime(text)).toBeUndefined();
    },
  );
});
