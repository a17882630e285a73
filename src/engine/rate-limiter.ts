/** Says how often something may happen. */
export interface Limiter {
  /** True: once more. */
  take(): boolean;
}

/**
 * A token bucket: `tokens` in each `periodMs`, as many at once. Starts full; with 0 tokens it never gives one. Several
 * threads can draw from one bucket when they share its cell.
 *
 * The cell holds one number, the time in nanoseconds at which the bucket will be full again: a token is due when that
 * lies less than a period ahead (GCRA, ITU-T I.371, is the same rule).
 */
export class RateLimiter implements Limiter {
  readonly #intervalNs: bigint;
  readonly #periodNs: bigint;
  readonly #cell: BigInt64Array<ArrayBufferLike>;

  constructor(tokens: number, periodMs: number, cell: BigInt64Array<ArrayBufferLike> = new BigInt64Array(1)) {
    this.#periodNs = nanoseconds(periodMs);
    this.#intervalNs = tokens >= 1 ? this.#periodNs / BigInt(Math.floor(tokens)) : this.#periodNs + 1n;
    this.#cell = cell;
  }

  /** @param nowNs on the clock of `process.hrtime.bigint`, which all threads share. */
  take(nowNs = process.hrtime.bigint()): boolean {
    for (;;) {
      const fullAtNs = Atomics.load(this.#cell, 0);
      const next = (fullAtNs > nowNs ? fullAtNs : nowNs) + this.#intervalNs;
      if (next - nowNs > this.#periodNs) return false;
      if (Atomics.compareExchange(this.#cell, 0, fullAtNs, next) === fullAtNs) return true;
    }
  }
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1e6));
}
