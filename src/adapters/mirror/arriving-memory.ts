/** Something that keeps bytes, and can do with what it has. */
export interface Holder {
  readonly keptBytes: number;
  /** Keeps nothing from now on; `give` for all it kept has been called when this returns. */
  cut(): void;
}

/**
 * The memory for requests that are still arriving, heads and bodies, of all connections together. When it is used up, the largest goes on
 * without: many slow uploads cannot take the room of small requests.
 */
export class ArrivingMemory {
  readonly #maxBytes: number;
  readonly #holders = new Set<Holder>();
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** To be called after `holder` has kept so many more bytes. */
  took(holder: Holder, bytes: number): void {
    this.#holders.add(holder);
    this.#usedBytes += bytes;
    while (this.#usedBytes > this.#maxBytes) {
      const largest = this.#largest();
      if (largest === undefined) return;
      largest.cut();
      // One that gave nothing back must not be asked again.
      this.#holders.delete(largest);
    }
  }

  /** To be called once, with everything it took. */
  gave(holder: Holder, bytes: number): void {
    this.#holders.delete(holder);
    this.#usedBytes -= bytes;
  }

  #largest(): Holder | undefined {
    let largest: Holder | undefined;
    for (const holder of this.#holders) {
      if (largest === undefined || holder.keptBytes > largest.keptBytes) largest = holder;
    }
    return largest;
  }
}
