import type { Handlers } from './handlers.ts';
import type { Job, JobResult, JobTaker } from './jobs.ts';

/** The engine in the I/O thread itself, for small machines: nothing crosses threads, and a body holds up everything. */
export class InlineEngine implements JobTaker {
  readonly #handlers: Handlers;
  #backlogScheduled = false;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  leastBusy(): number {
    return 0;
  }

  isReady(index: number): boolean {
    return index === 0;
  }

  /** What waits, waits in the sockets, where it cannot be seen: the deadline of a job is what counts. */
  expectedWaitMs(): number {
    return 0;
  }

  submit(_index: number, job: Job, answered: (result: JobResult) => void): boolean {
    this.#handlers.handle(job.door, job, answered);
    this.#workOnBacklogSoon();
    return true;
  }

  skipped(_index: number, door: number, payload: Uint8Array): void {
    this.#handlers.skipped(door, Buffer.from(payload));
  }

  liveTransactionsOf(door: number): number {
    return this.#handlers.liveTransactionsOf(door);
  }

  /** One piece a turn of the event loop: frames that came meanwhile are answered first. */
  #workOnBacklogSoon(): void {
    if (this.#backlogScheduled) return;
    this.#backlogScheduled = true;
    setImmediate(() => {
      this.#backlogScheduled = false;
      if (this.#handlers.workOnBacklog()) this.#workOnBacklogSoon();
    });
  }
}
