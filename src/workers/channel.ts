import { createRingMemory, ringCapacity } from './ring.ts';

/** What an engine thread and the I/O thread share: two rings and a few words. */
export interface Channel {
  /** I/O thread to engine thread. */
  readonly jobs: SharedArrayBuffer;
  /** Engine thread to I/O thread. */
  readonly answers: SharedArrayBuffer;
  readonly state: SharedArrayBuffer;
}

/** Words of `state`. */
export const stateWords = {
  /** Counts jobs taken from the ring: a thread that has some and does not count is stuck. */
  progress: 0,
  /** Live transactions, so that they can be counted when the thread is lost. */
  live: 1,
} as const;

/** Kinds of jobs. */
export const JobTag = {
  /** Analyse the payload. */
  analyse: 0,
  /** The message was answered without us: note what it means for its transaction. No answer is due. */
  skipped: 1,
} as const;

/** Kinds of answers. */
export const AnswerTag = {
  /** The bytes are the answer. */
  done: 0,
  /** The payload was no payload: the bytes are a code and a sentence, separated by a line feed. */
  refused: 1,
} as const;

/** The value of an answer is the microseconds that its job took, or this. */
export const notMeasured = 0;

/** Jobs of the largest size that a ring holds, as long as that is not too much memory: two of them in any case. */
const largestJobs = 16;
const smallestCapacityBytes = 4 * 1024 * 1024;
const usualCapacityBytes = 64 * 1024 * 1024;

/** @param maxJobBytes largest payload, and largest answer. */
export function createChannel(maxJobBytes: number): Channel {
  const wanted = Math.min(usualCapacityBytes, ringCapacity(largestJobs, maxJobBytes));
  const capacity = Math.max(smallestCapacityBytes, wanted, ringCapacity(2, maxJobBytes));
  return {
    jobs: createRingMemory(capacity),
    answers: createRingMemory(capacity),
    state: new SharedArrayBuffer(Object.keys(stateWords).length * 4),
  };
}

/**
 * Milliseconds on a clock that all threads of the process share and that never jumps; `performance.now()` starts with
 * its thread.
 */
export function sharedNowMs(): number {
  return performance.now() + offsetMs;
}

const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
