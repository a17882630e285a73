/**
 * The memory for messages that came in part and for answers that wait to be read, shared by all calls: each of them may be
 * as large as a message may be, but not all at the same time. What is too much is taken from the call that has held something for longest: a client that
 * never finishes a message cannot keep others from finishing theirs.
 */

/** Something that holds bytes of a message. */
export interface Holder {
  /** Lets go of them; to end with `release`. */
  letGo(): void;
}

export class HeldMemory {
  readonly #limitBytes: number;
  /** Bytes by holder, in the order in which they began to hold any. */
  readonly #held = new Map<Holder, number>();
  #heldBytes = 0;

  /** @param limitBytes at least that of one message */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** From now on `holder` holds so many bytes. Others may have to let go for it, itself at last. */
  hold(holder: Holder, bytes: number): void {
    this.#heldBytes += bytes - (this.#held.get(holder) ?? 0);
    this.#held.set(holder, bytes);
    while (this.#heldBytes > this.#limitBytes) {
      const [oldest] = this.#held.keys();
      if (oldest === undefined) break;
      oldest.letGo();
      // Whoever does not keep to it must not make this loop endless.
      this.release(oldest);
    }
  }

  release(holder: Holder): void {
    this.#heldBytes -= this.#held.get(holder) ?? 0;
    this.#held.delete(holder);
  }
}
