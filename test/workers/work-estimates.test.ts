import { describe, expect, it } from 'vitest';
import { type Work, WorkEstimates } from '../../src/workers/work-estimates.ts';

const headers = (size = 500): Work => ({ kind: 0, size, guessUs: 100 });
const body = (size: number): Work => ({ kind: 1, size, guessUs: 10_000 });

/** Estimates that have learned from so many jobs of each. */
function learned(...jobs: readonly [Work, number][]): WorkEstimates {
  const estimates = new WorkEstimates();
  for (let round = 0; round < 60; round += 1) for (const [work, us] of jobs) estimates.learn(work, us);
  return estimates;
}

describe('the estimate of a job', () => {
  it('is the guess as long as nothing like it was measured', () => {
    expect(new WorkEstimates().of(body(100_000))).toBe(10_000);
    expect(learned([headers(), 300]).of(body(100_000))).toBe(10_000);
  });

  it.each([
    ['headers', headers(), 300],
    ['a small body', body(1_000), 2_500],
    ['a large body', body(120_000), 35_000],
    ['a very large body', body(4_000_000), 90_000],
  ])('is what %s take, each by itself', (_what, work, us) => {
    const estimates = learned(
      ...[headers(), body(1_000), body(120_000), body(4_000_000)].map((other): [Work, number] => [
        other,
        other.kind === work.kind && other.size === work.size ? us : 500,
      ]),
    );
    expect(estimates.of(work) / us).toBeCloseTo(1, 1);
  });

  it('follows the machine when it becomes slower, and when it becomes faster', () => {
    const estimates = learned([body(120_000), 15_000]);
    for (let count = 0; count < 20; count += 1) estimates.learn(body(120_000), 45_000);
    expect(estimates.of(body(120_000))).toBeGreaterThan(40_000);
    for (let count = 0; count < 40; count += 1) estimates.learn(body(120_000), 15_000);
    expect(estimates.of(body(120_000))).toBeLessThan(16_000);
  });

  it('of a size that was not seen does not grow with the bytes: it is what smaller ones take, or the guess', () => {
    const estimates = learned([body(1_000), 2_000], [body(8_000), 14_000]);
    expect(estimates.of(body(130_000)) / 14_000).toBeCloseTo(1, 1);
    expect(learned([body(1_000), 500]).of(body(130_000))).toBe(10_000);
  });

  it('of a size that was not seen is not above that of larger ones', () => {
    expect(learned([body(130_000), 4_000]).of(body(20_000)) / 4_000).toBeCloseTo(1, 1);
  });

  // The first body of a process takes three times as long as the tenth.
  it('is not spoiled by one that took very long', () => {
    const estimates = new WorkEstimates();
    estimates.learn(body(100_000), 2_000_000);
    expect(estimates.of(body(100_000))).toBeLessThan(15_000);
    const warm = learned([body(100_000), 20_000]);
    warm.learn(body(100_000), 5_000_000);
    expect(warm.of(body(100_000))).toBeLessThan(30_000);
  });

  it('has a place for whatever size a door says', () => {
    for (const size of [0, 1, 2 ** 24, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      const estimates = learned([{ ...headers(), size }, 200]);
      expect(estimates.of({ ...headers(), size }) / 200).toBeCloseTo(1, 1);
    }
  });
});
