import type { EngineThread } from './engine-thread.ts';

/** Threads that were given up in native code and have not left it: each keeps its memory, and perhaps a processor. */
export class AbandonedThreads {
  readonly #threads = new Set<EngineThread>();
  readonly #most: number;
  readonly #ended: () => void;

  /**
   * @param count of all engine threads. One of two may be abandoned, so that neither memory nor processors run out over
   *   threads that never come back.
   * @param ended called whenever one has ended.
   */
  constructor(count: number, ended: () => void) {
    this.#most = Math.ceil(count / 2);
    this.#ended = ended;
  }

  get size(): number {
    return this.#threads.size;
  }

  /** Too many for further threads in their place. */
  get tooMany(): boolean {
    return this.#threads.size > this.#most;
  }

  get all(): readonly EngineThread[] {
    return [...this.#threads];
  }

  add(thread: EngineThread): void {
    this.#threads.add(thread);
    void thread.ended.then(() => {
      this.#threads.delete(thread);
      this.#ended();
    });
  }
}
