import type { HandedJob, JobHandler, JobResult } from './jobs.ts';

/** Told of a mistake in a door's handler, which is contained. Must not throw. */
export type HandlerFailed = (door: number, cause: unknown) => void;

const lost: JobResult = { kind: 'lost' };

/**
 * The handlers of one engine, by the number of their door. A handler that throws costs its job the analysis and nothing
 * else: transactions of all doors live in the engine, and outlive it.
 */
export class Handlers {
  readonly #handlers: readonly JobHandler[];
  readonly #failed: HandlerFailed;
  #next = 0;

  constructor(handlers: readonly JobHandler[], failed: HandlerFailed) {
    this.#handlers = handlers;
    this.#failed = failed;
  }

  get count(): number {
    return this.#handlers.length;
  }

  /** @param done called exactly once, now or later, whatever the handler does. */
  handle(door: number, job: HandedJob, done: (result: JobResult) => void): void {
    let settled = false;
    const settle = (result: JobResult): void => {
      if (settled) return;
      settled = true;
      done(result);
    };
    const fail = (cause: unknown): void => {
      this.#failed(door, cause);
      settle(lost);
    };
    try {
      const handled = this.#of(door).handle(job, (bytes) => settle({ kind: 'done', bytes }));
      if (handled instanceof Promise) handled.catch(fail);
    } catch (cause) {
      fail(cause);
    }
  }

  skipped(door: number, payload: Buffer): void {
    try {
      this.#of(door).skipped(payload);
    } catch (cause) {
      this.#failed(door, cause);
    }
  }

  liveTransactionsOf(door: number): number {
    return this.#of(door).liveTransactions;
  }

  /** One piece of work that was put off; doors that have some take turns. False: there is none. */
  workOnBacklog(): boolean {
    for (let step = 0; step < this.#handlers.length; step += 1) {
      const door = this.#next;
      this.#next = (this.#next + 1) % this.#handlers.length;
      if (this.#workOn(door)) return true;
    }
    return false;
  }

  /** After a mistake, others have their turn first: none can keep the engine busy with it. */
  #workOn(door: number): boolean {
    try {
      return this.#of(door).workOnBacklog();
    } catch (cause) {
      this.#failed(door, cause);
      return false;
    }
  }

  #of(door: number): JobHandler {
    const handler = this.#handlers[door];
    if (handler === undefined) throw new Error(`no door has the number ${door}`);
    return handler;
  }
}
