import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../bench/support/histogram.ts';

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

/** Nearest rank, on all the values. */
function exactPercentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil((percent * 1000 * sorted.length) / 100_000)) - 1] ?? Number.NaN;
}

describe('Histogram', () => {
  it('has no percentile without a value', () => {
    expect(new Histogram().percentile(50)).toBeUndefined();
    expect(new Histogram().max).toBe(0);
  });

  it('is exact for small values', () => {
    const histogram = histogramOf(Array.from({ length: 50 }, (_, index) => index + 1));
    expect([1, 50, 90, 99, 100].map((percent) => histogram.percentile(percent))).toEqual([1, 25, 45, 50, 50]);
  });

  it('counts the one slow value of a thousand for the largest percentile only', () => {
    const histogram = histogramOf([...Array.from({ length: 999 }, () => 10), 5000]);
    expect(histogram.percentile(99.9)).toBe(10);
    expect(histogram.percentile(99.91)).toBe(5000);
    expect(histogram.max).toBe(5000);
  });

  it('takes what is negative for 0 and cuts fractions off', () => {
    expect(histogramOf([-3]).percentile(100)).toBe(0);
    expect(histogramOf([7.9]).max).toBe(7);
  });

  it('is never below the exact percentile and at most 1.6 % above it', () => {
    const values = fc.array(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 300 });
    const percents = fc.constantFrom(1, 25, 50, 90, 99, 99.9, 100);
    fc.assert(
      fc.property(values, percents, (all, percent) => {
        const exact = exactPercentile(all, percent);
        const found = histogramOf(all).percentile(percent) ?? Number.NaN;
        expect(found).toBeGreaterThanOrEqual(exact);
        expect(found).toBeLessThanOrEqual(exact * 1.016);
      }),
    );
  });

  it('is the same after a journey as JSON, and adds up', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000_000)), fc.array(fc.nat(10_000_000)), (left, right) => {
        const whole = histogramOf([...left, ...right]);
        const sum = Histogram.from(JSON.parse(JSON.stringify(histogramOf(left))));
        sum.add(histogramOf(right).toJSON());
        expect(sum.count).toBe(whole.count);
        expect(sum.toJSON()).toEqual(whole.toJSON());
      }),
    );
  });
});
