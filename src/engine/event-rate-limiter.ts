/** A token bucket: `perSecond` tokens a second, as many at once. */
export class EventRateLimiter {
  readonly #perSecond: number;
  #tokens: number;
  #refilledAtMs: number;

  constructor(perSecond: number, nowMs = performance.now()) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#refilledAtMs = nowMs;
  }

  take(nowMs = performance.now()): boolean {
    const refill = ((nowMs - this.#refilledAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + refill);
    this.#refilledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
