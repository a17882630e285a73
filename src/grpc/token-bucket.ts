/** Bounds how often something may happen: so often at once, and again as time passes. */
export class TokenBucket {
  readonly #size: number;
  readonly #perMs: number;
  #used = 0;
  #atMs = 0;

  /** @param size that may be taken at once @param perSecond how many come back */
  constructor(size: number, perSecond: number) {
    this.#size = size;
    this.#perMs = perSecond / 1000;
  }

  /** How many were taken and have not come back. */
  used(nowMs: number): number {
    if (this.#used === 0) return 0;
    this.#used = Math.max(0, this.#used - (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    return this.#used;
  }

  /** Takes one, whether there is one or not. @returns whether there was */
  take(nowMs: number): boolean {
    this.#used = this.used(nowMs) + 1;
    this.#atMs = nowMs;
    return this.#used <= this.#size;
  }
}
