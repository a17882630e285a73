// Times of millions of messages in a few kilobytes, for percentiles.

/** Values below are kept exactly; above, each doubling has this many buckets: a percentile is at most 1.6 % too large. */
const bucketsPerDoubling = 64;

/** What travels between processes: counts by bucket, those after the last one that has any left out. */
export interface HistogramData {
  readonly counts: readonly number[];
  readonly max: number;
}

/** Whole numbers from 0 to 2^31 − 1, microseconds here. Fractions are cut off; what is negative counts as 0. */
export class Histogram {
  readonly #counts: number[] = [];
  #count = 0;
  #max = 0;

  static from(data: HistogramData): Histogram {
    const histogram = new Histogram();
    histogram.add(data);
    return histogram;
  }

  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly; 0 when there is none. */
  get max(): number {
    return this.#max;
  }

  record(value: number): void {
    const whole = Math.max(0, Math.trunc(value));
    const bucket = bucketOf(whole);
    while (this.#counts.length <= bucket) this.#counts.push(0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    if (whole > this.#max) this.#max = whole;
  }

  /**
   * The smallest bucket's upper end below or at which `percent` of all values lie (nearest rank).
   * @param percent above 0, at most 100
   * @returns undefined when there is no value
   */
  percentile(percent: number): number | undefined {
    if (this.#count === 0) return undefined;
    // 99.9 / 100 * 1000 is a little more than 999.
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count - 1e-9));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank) return Math.min(this.#max, upperEndOf(bucket));
    }
    return this.#max;
  }

  add({ counts, max }: HistogramData): void {
    for (const [bucket, count] of counts.entries()) {
      while (this.#counts.length <= bucket) this.#counts.push(0);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#count += count;
    }
    if (max > this.#max) this.#max = max;
  }

  toJSON(): HistogramData {
    return { counts: this.#counts, max: this.#max };
  }
}

function bucketOf(value: number): number {
  if (value < bucketsPerDoubling) return value;
  const doublings = Math.floor(Math.log2(value / bucketsPerDoubling));
  return bucketsPerDoubling * (doublings + 1) + Math.floor(value / 2 ** doublings) - bucketsPerDoubling;
}

/** The largest whole number in the bucket. */
function upperEndOf(bucket: number): number {
  if (bucket < bucketsPerDoubling) return bucket;
  const doublings = Math.floor(bucket / bucketsPerDoubling) - 1;
  return ((bucket % bucketsPerDoubling) + bucketsPerDoubling + 1) * 2 ** doublings - 1;
}
