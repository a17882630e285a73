// When the requests of an open loop are due, whatever the answers do.
import { tickMs } from './ticker.ts';

/** Evenly spaced arrivals, each moved to the next tick. Units: milliseconds of clock.ts. */
export class Schedule {
  #perMs: number;
  #startMs: number;
  #taken = 0;

  constructor(perSecond: number, startMs: number) {
    this.#perMs = perSecond / 1000;
    this.#startMs = startMs;
  }

  changeRate(perSecond: number, atMs: number): void {
    this.#perMs = perSecond / 1000;
    this.#startMs = atMs;
    this.#taken = 0;
  }

  /** The next arrival that is due by `nowMs`; undefined when there is none yet. */
  take(nowMs: number): number | undefined {
    const exactMs = this.#startMs + (this.#taken + 1) / this.#perMs;
    const dueMs = Math.ceil(exactMs / tickMs) * tickMs;
    if (dueMs > nowMs) return undefined;
    this.#taken += 1;
    return dueMs;
  }
}
