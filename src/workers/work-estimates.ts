/** What a job is like, as far as one can tell without doing it. */
export interface Work {
  /** A small number by which a door tells apart what takes times of its own. */
  readonly kind: number;
  /** In bytes, or whatever grows with the time it takes. */
  readonly size: number;
  /** What to believe while nothing like it was measured, in microseconds. */
  readonly guessUs: number;
}

/** One for each power of two. */
const sizeClasses = 32;

/** Weight of the newest measurement in the running average. */
const newestShare = 1 / 8;

/**
 * One measurement counts as so many times the estimate at most: the first jobs of a process, a collection of garbage
 * or a machine that stood still say little about the next job.
 */
const mostTimes = 4;

/**
 * How long jobs take, learned from those that were done: by kind, and by size in powers of two, since what takes time
 * does not grow with the bytes (parsing does, the WAF stops when its time is up).
 *
 * Estimates err on the low side, on purpose. Too high a one lets through unseen what would have been analysed in time;
 * what too low a one takes in is given up by the engine when its deadline is over, and costs a longer wait.
 */
export class WorkEstimates {
  /** Averages in microseconds by kind and size class; 0 where nothing was measured. */
  readonly #kinds: Float64Array[] = [];

  /** In microseconds. */
  of({ kind, size, guessUs }: Work): number {
    const averages = this.#kinds[kind];
    if (averages === undefined) return guessUs;
    const sizeClass = sizeClassOf(size);
    const known = averages[sizeClass] ?? 0;
    if (known > 0) return known;
    // At least what smaller ones take, at most what larger ones do.
    const smaller = averages.subarray(0, sizeClass).findLast((average) => average > 0) ?? 0;
    const larger = averages.subarray(sizeClass).find((average) => average > 0);
    return Math.min(Math.max(guessUs, smaller), larger ?? Number.POSITIVE_INFINITY);
  }

  learn(work: Work, elapsedUs: number): void {
    const estimateUs = this.of(work);
    const measuredUs = Math.min(elapsedUs, estimateUs * mostTimes);
    this.#kinds[work.kind] ??= new Float64Array(sizeClasses);
    const averages = this.#kinds[work.kind];
    if (averages !== undefined)
      averages[sizeClassOf(work.size)] = estimateUs + (measuredUs - estimateUs) * newestShare;
  }
}

function sizeClassOf(size: number): number {
  return 31 - Math.clz32(size | 1);
}
