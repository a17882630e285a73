import type { JobHandler } from './jobs.ts';

/** The handlers of one engine, by the number of their door. */
export class Handlers {
  readonly #handlers: readonly JobHandler[];
  #next = 0;

  constructor(handlers: readonly JobHandler[]) {
    this.#handlers = handlers;
  }

  get count(): number {
    return this.#handlers.length;
  }

  /** @throws Error for a number that no open door has. */
  of(door: number): JobHandler {
    const handler = this.#handlers[door];
    if (handler === undefined) throw new Error(`no door has the number ${door}`);
    return handler;
  }

  /** One piece of work that was put off; doors that have some take turns. False: there is none. */
  workOnBacklog(): boolean {
    for (let step = 0; step < this.#handlers.length; step += 1) {
      const handler = this.#handlers[this.#next];
      this.#next = (this.#next + 1) % this.#handlers.length;
      if (handler?.workOnBacklog() === true) return true;
    }
    return false;
  }
}
