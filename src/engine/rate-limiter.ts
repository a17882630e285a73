/** A token bucket: `tokens` in each `periodMs`, as many at once. Starts full; with 0 tokens it never gives one. */
export class RateLimiter {
  readonly #capacity: number;
  readonly #periodMs: number;
  #tokens: number;
  #refilledAtMs: number;

  constructor(tokens: number, periodMs: number, nowMs = performance.now()) {
    this.#capacity = Math.max(0, tokens);
    this.#periodMs = periodMs;
    this.#tokens = this.#capacity;
    this.#refilledAtMs = nowMs;
  }

  take(nowMs = performance.now()): boolean {
    const refill = ((nowMs - this.#refilledAtMs) / this.#periodMs) * this.#capacity;
    this.#tokens = Math.min(this.#capacity, this.#tokens + refill);
    this.#refilledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
