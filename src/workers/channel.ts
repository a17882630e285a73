import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { createRingMemory } from './ring.ts';

/** What an engine thread and the I/O thread share: two rings and a few words. And a port for what is too large. */
export interface Channel {
  /** I/O thread to engine thread. */
  readonly jobs: SharedArrayBuffer;
  /** Engine thread to I/O thread. */
  readonly answers: SharedArrayBuffer;
  readonly state: SharedArrayBuffer;
  /** The engine thread's end: see lane.ts. */
  readonly largeBytes: MessagePort;
}

/** Doors that can be open at a time: their number shares a word with the kind of a job. */
export const mostDoors = 16;

/** Words of `state`. Those from `liveOfDoor` on are one for each door. */
export const stateWords = {
  /** Counts whatever the thread gets on with: a thread that has jobs and does not count is stuck. */
  progress: 0,
  /** Live transactions of all doors, so that they can be counted when the thread is lost. */
  live: 1,
  /** Ticket of the job under way, 0 between jobs; and when it was begun, by `clockWordUs`. */
  current: 2,
  begunAtUs: 3,
  /** Whether the thread is in native code: see native-gate.ts. */
  gate: 4,
  liveOfDoor: 5,
} as const;

/** Kinds of jobs; the tag of a job's record is one of these and the number of its door: see `jobTag`. */
export const JobTag = {
  /** Analyse the payload. */
  analyse: 0,
  /** The message was answered without us: note what it means for its transaction. No answer is due. */
  skipped: 1,
} as const;

export type JobKind = (typeof JobTag)[keyof typeof JobTag];

const doorShift = 8;

/** What a record of a job says besides its bytes. */
export function jobTag(kind: JobKind, door: number): number {
  return kind | (door << doorShift);
}

export function kindOfTag(tag: number): number {
  return tag & 0xff;
}

export function doorOfTag(tag: number): number {
  return tag >>> doorShift;
}

/** Kinds of answers. */
export const AnswerTag = {
  /** The bytes are the answer. */
  done: 0,
  /** The handler made a mistake; no bytes. */
  failed: 1,
} as const;

/** The value of an answer is the microseconds that its job took, or this. */
export const notMeasured = 0;

/** Room for some hundred jobs of the usual size. */
const ringCapacityBytes = 4 * 1024 * 1024;

/** A channel, and the I/O thread's end of its port. */
export function createChannel(): { readonly channel: Channel; readonly largeBytes: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  const channel = {
    jobs: createRingMemory(ringCapacityBytes),
    answers: createRingMemory(ringCapacityBytes),
    state: new SharedArrayBuffer((stateWords.liveOfDoor + mostDoors) * 4),
    largeBytes: port2,
  };
  return { channel, largeBytes: port1 };
}

/**
 * Milliseconds on a clock that all threads of the process share and that never jumps; `performance.now()` starts with
 * its thread.
 */
export function sharedNowMs(): number {
  return performance.now() + offsetMs;
}

const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Microseconds on that clock, as far as a word of 32 bits holds them: for differences of less than half an hour. */
export function clockWordUs(): number {
  return Math.floor(sharedNowMs() * 1000) | 0;
}
