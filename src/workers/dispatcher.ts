import { sharedNowMs } from './channel.ts';
import type { Job, JobResult, JobTaker } from './jobs.ts';

/**
 * Why a job was not analysed. `no-engine`: none takes jobs. `overload`: it would have waited longer than its deadline
 * allows. `engine-lost`: its engine ended with it, or made a mistake over it.
 */
export type Shed = 'no-engine' | 'overload' | 'engine-lost';

export type Dispatched = Exclude<JobResult, { readonly kind: 'lost' }> | ShedJob;

export interface ShedJob {
  readonly kind: 'shed';
  readonly reason: Shed;
}

/**
 * Which engine gets the jobs of one door, and whether one gets them at all: a job that no engine can begin by its
 * deadline is shed at once, so that its door can answer in time.
 */
export class Dispatcher {
  readonly #engines: JobTaker;
  readonly #door: number;

  constructor(engines: JobTaker, door: number) {
    this.#engines = engines;
    this.#door = door;
  }

  /** Transactions of the door that wait for a message, in all engines. */
  get liveTransactions(): number {
    return this.#engines.liveTransactionsOf(this.#door);
  }

  /** The engine where a transaction lives, if it still takes jobs; else the one with the least to do, if any does. */
  engineFor(owner: number | undefined): number | undefined {
    return owner !== undefined && this.#engines.isReady(owner) ? owner : this.#engines.leastBusy();
  }

  /**
   * @param engine as `engineFor` gave it just now.
   * @param done called exactly once, now or later. Bytes are valid during the call only.
   */
  dispatch(engine: number | undefined, job: Omit<Job, 'door'>, done: (result: Dispatched) => void): void {
    if (engine === undefined) {
      done(shed['no-engine']);
      return;
    }
    const inTime = sharedNowMs() + this.#engines.expectedWaitMs(engine) <= job.deadlineMs;
    const taken =
      inTime &&
      this.#engines.submit(engine, { ...job, door: this.#door }, (result) =>
        done(result.kind === 'lost' ? shed['engine-lost'] : result),
      );
    if (!taken) done(shed.overload);
  }

  /** Tells the engine of a transaction that a message of it was answered without analysis. May get lost. */
  skipped(engine: number, payload: Uint8Array): void {
    this.#engines.skipped(engine, this.#door, payload);
  }
}

const shed = {
  'no-engine': { kind: 'shed', reason: 'no-engine' },
  overload: { kind: 'shed', reason: 'overload' },
  'engine-lost': { kind: 'shed', reason: 'engine-lost' },
} as const satisfies Record<Shed, ShedJob>;
