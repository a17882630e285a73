import type { Work } from './work-estimates.ts';

/** A piece of work for an engine, whichever thread it lives in. Bytes in, bytes out. */
export interface Job {
  /** The number of an open door, whose handler the bytes are for. */
  readonly door: number;
  readonly payload: Buffer;
  readonly maxAnswerBytes: number;
  /** On `sharedNowMs`'s clock: begun later than this, it is answered without analysis. */
  readonly deadlineMs: number;
  readonly work: Work;
}

/** A job as its handler sees it. */
export type HandedJob = Pick<Job, 'payload' | 'maxAnswerBytes' | 'deadlineMs'>;

export type JobResult =
  /** `bytes` are valid during the call only. */
  | { readonly kind: 'done'; readonly bytes: Uint8Array }
  /** The engine ended with the job, or its handler failed on it. */
  | { readonly kind: 'lost' };

/** What gives jobs to engines: see EngineThreads and InlineEngine. Doors ask by a Dispatcher of their own. */
export interface JobTaker {
  /** The engine with the least to do; undefined when none takes jobs. */
  leastBusy(): number | undefined;
  isReady(index: number): boolean;
  /** Time until a job that came now would be begun, as far as one can know and rather less, in milliseconds. */
  expectedWaitMs(index: number): number;
  /** @returns false, without effect, when that engine takes no more. Otherwise `answered` is called exactly once. */
  submit(index: number, job: Job, answered: (result: JobResult) => void): boolean;
  /** Tells an engine of a message that was answered without it, in words of the door. */
  skipped(index: number, door: number, payload: Uint8Array): void;
  /** Transactions of this door that wait for a message, in all engines. */
  liveTransactionsOf(door: number): number;
}

/** The engine's side of one door. */
export interface JobHandler {
  /**
   * @param job its payload may change once `handle` has returned.
   * @param answer to be called exactly once, now or later. What is no payload of the door never becomes a job.
   * @returns nothing, or a promise if it takes time. An error, thrown or from the promise, is a bug: it is logged and
   *   counted, and the job ends as `lost`.
   */
  handle(job: HandedJob, answer: (bytes: Uint8Array) => void): void | Promise<void>;
  skipped(payload: Buffer): void;
  /** Transactions of the door that wait for a message in this engine. */
  readonly liveTransactions: number;
  /** Work that was put off until its answer had left, done while nothing else waits. False: there is none. */
  workOnBacklog(): boolean;
}
