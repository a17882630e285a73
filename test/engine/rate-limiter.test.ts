import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';

const second = 1_000_000_000n;
/** As long after the start of the machine as a clock may show. */
const start = 3_600n * second;

describe('a rate limiter', () => {
  it('gives so many tokens at once, and each again after its share of the period', () => {
    const limiter = new RateLimiter(4, 1000);
    const take = (nowNs: bigint): boolean => limiter.take(nowNs);
    expect([1, 2, 3, 4, 5].map(() => take(start))).toEqual([true, true, true, true, false]);
    expect(take(start + second / 4n - 1n)).toBe(false);
    expect([take(start + second / 4n), take(start + second / 4n)]).toEqual([true, false]);
    expect([1, 2, 3, 4, 5].map(() => take(start + 100n * second))).toEqual([true, true, true, true, false]);
  });

  it.each([0, 0.5, -1])('with %s tokens gives none', (tokens) => {
    const limiter = new RateLimiter(tokens, 1000);
    expect([limiter.take(start), limiter.take(start + 1000n * second), limiter.take()]).toEqual([
      ...[false, false, false],
    ]);
  });

  it('never gives more than twice its tokens in a period, nor fewer than asked for when it is not exhausted', () => {
    const steps = fc.array(fc.bigInt({ min: 0n, max: second / 2n }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), steps, (tokens, pauses) => {
        const limiter = new RateLimiter(tokens, 1000);
        const taken: bigint[] = [];
        let nowNs = start;
        for (const pause of pauses) {
          nowNs += pause;
          const inPeriod = taken.filter((atNs) => atNs > nowNs - second).length;
          const given = limiter.take(nowNs);
          if (given) taken.push(nowNs);
          // The bucket is full at first and refills meanwhile.
          expect(inPeriod + (given ? 1 : 0)).toBeLessThanOrEqual(2 * tokens);
          if (!given) expect(inPeriod).toBeGreaterThan(0);
        }
        const elapsedNs = nowNs - start;
        expect(BigInt(taken.length)).toBeLessThanOrEqual(
          BigInt(tokens) + (elapsedNs * BigInt(tokens)) / second + 1n,
        );
      }),
    );
  });

  it('is one bucket for all that share its cell', () => {
    const cell = new BigInt64Array(new SharedArrayBuffer(8));
    const [one, other] = [new RateLimiter(3, 1000, cell), new RateLimiter(3, 1000, cell)];
    const given = [one, other, one, other, one].map((limiter) => limiter.take(start));
    expect(given).toEqual([true, true, true, false, false]);
  });
});
