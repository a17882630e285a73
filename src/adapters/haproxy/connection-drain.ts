/** A connection that leaves holds its answers for so long after the last one, and no answer longer than the bound. */
const holdMs = 10;
const longestHoldMs = 50;

/**
 * How a connection leaves with an answer: once asked to, it holds its answers back a moment, and the goodbye goes out in
 * one write with them. HAProxy gives a NOTIFY to the connection that owes least, so that none is on its way here, to be
 * lost, when this one ends.
 */
export class Farewell {
  readonly #release: (goodbye: string) => void;
  /** Leaves with the next answer after which none is due. */
  #goodbye: string | undefined;
  /** While it runs, answers wait for the goodbye. */
  #holdTimer: NodeJS.Timeout | undefined;
  #heldSinceMs: number | undefined;
  #hasAnswered = false;

  /**
   * @param release sends what was held back, with the goodbye unless an answer is still under way: the next one tries
   * again. Must not throw.
   */
  constructor(release: (goodbye: string) => void) {
    this.#release = release;
  }

  /** The connection was asked to leave with an answer. */
  get asked(): boolean {
    return this.#goodbye !== undefined;
  }

  /** Answers are not to be sent yet. */
  get holding(): boolean {
    return this.#holdTimer !== undefined;
  }

  ask(goodbye: string): void {
    this.#goodbye = goodbye;
  }

  /** An answer is ready to be sent. */
  answered(): void {
    this.#hasAnswered = true;
  }

  /** Holds the answers since the last call, if the connection is to leave with them. */
  hold(): void {
    if (this.#goodbye !== undefined && this.#hasAnswered) this.#prolong(this.#goodbye);
    this.#hasAnswered = false;
  }

  /** The connection is gone. */
  cancel(): void {
    clearTimeout(this.#holdTimer);
  }

  /** Each answer prolongs it, up to a bound. */
  #prolong(goodbye: string): void {
    const nowMs = performance.now();
    this.#heldSinceMs ??= nowMs;
    clearTimeout(this.#holdTimer);
    const waitMs = Math.min(holdMs, this.#heldSinceMs + longestHoldMs - nowMs);
    this.#holdTimer = setTimeout(() => {
      this.#holdTimer = undefined;
      this.#heldSinceMs = undefined;
      this.#release(goodbye);
    }, waitMs);
  }
}
