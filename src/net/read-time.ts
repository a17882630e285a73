/**
 * When the bytes that are read now had arrived. They may have waited in the kernel while this thread was busy with others.
 * All sockets that are read in one turn of the event loop were ready, as far as one can know, when the turn began.
 */
export class ReadTime {
  readonly #nowMs: () => number;
  #startedAtMs: number | undefined;

  /** @param nowMs a clock that never jumps, in milliseconds */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** When somebody first asked in this turn of the event loop, on the clock of the constructor. */
  turnStartedAtMs(): number {
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = this.#nowMs();
      setImmediate(() => {
        this.#startedAtMs = undefined;
      });
    }
    return this.#startedAtMs;
  }
}
