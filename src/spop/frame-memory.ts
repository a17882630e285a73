/**
 * The memory for frames that came in part, shared by all connections: each of them may be as large as its peer may
 * send, but not all at the same time. What is too much is taken from the frame that was begun longest ago: a peer that
 * never finishes one cannot keep others from finishing theirs.
 */

/** Something that keeps a frame in part. */
export interface FrameKeeper {
  /** Lets go of the frame; to end with `release`. */
  drop(): void;
}

/** Bounds what the frames that came in part may take, over all connections together. */
export class FrameMemory {
  readonly #limitBytes: number;
  /** Bytes by keeper, in the order in which their frames were begun. */
  readonly #kept = new Map<FrameKeeper, number>();
  #keptBytes = 0;

  /** @param limitBytes at least that of one frame */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** From now on `keeper` keeps so many bytes. Frames may be dropped for it, its own at last. */
  keep(keeper: FrameKeeper, bytes: number): void {
    this.#keptBytes += bytes - (this.#kept.get(keeper) ?? 0);
    this.#kept.set(keeper, bytes);
    while (this.#keptBytes > this.#limitBytes) {
      const [oldest] = this.#kept.keys();
      if (oldest === undefined) break;
      oldest.drop();
    }
  }

  release(keeper: FrameKeeper): void {
    this.#keptBytes -= this.#kept.get(keeper) ?? 0;
    this.#kept.delete(keeper);
  }
}
