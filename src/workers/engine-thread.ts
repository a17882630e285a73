import { type MessagePort, Worker } from 'node:worker_threads';
import {
  AnswerTag,
  type Channel,
  clockWordUs,
  createChannel,
  JobTag,
  jobTag,
  notMeasured,
  sharedNowMs,
  stateWords,
} from './channel.ts';
import type { Job, JobResult } from './jobs.ts';
import { LaneReader, LaneWriter } from './lane.ts';
import { NativeGateKeeper } from './native-gate.ts';
import type { Work, WorkEstimates } from './work-estimates.ts';

interface PendingJob {
  readonly estimates: WorkEstimates;
  readonly work: Work;
  readonly estimateUs: number;
  readonly answered: (result: JobResult) => void;
}

/** What a thread is started with, besides what its entry file wants to know. */
export interface ThreadData<T> {
  readonly index: number;
  readonly channel: Channel;
  readonly data: T;
}

/** What went with a thread. */
export interface ThreadLoss {
  readonly jobs: number;
  readonly transactions: number;
  readonly cause: unknown;
  /** It was given up in native code, which cannot be interrupted: it ends, and gives its memory back, after that. */
  readonly inNativeCode: boolean;
}

export interface EngineThreadEvents {
  /** Anything that the thread says but wake-ups. */
  message(message: unknown): void;
  /** Gone, with its transactions; every pending job has been told. */
  gone(loss: ThreadLoss): void;
}

/** Jobs that are too large for the ring and wait: some of them, for each takes long. */
const largeJobsBytes = 32 * 1024 * 1024;

/** A job that takes longer than it should is taken to need so much of its time still. */
const overdueShare = 1 / 8;

/** The I/O thread's hold on one engine thread, from its start to its end. */
export class EngineThread {
  readonly #worker: Worker;
  readonly #jobs: LaneWriter;
  readonly #answers: LaneReader;
  readonly #largeBytes: MessagePort;
  readonly #estimatesOf: (door: number) => WorkEstimates;
  readonly #state: Int32Array;
  readonly #gate: NativeGateKeeper;
  readonly #ended = Promise.withResolvers<void>();
  readonly #events: EngineThreadEvents;
  /** By jobId. */
  readonly #pending = new Map<number, PendingJob>();
  #nextJobId = 1;
  #pendingUs = 0;
  #gone = false;
  #running = true;
  #collecting = false;
  #cause: unknown;
  #progressSeen = 0;
  #lookedAtMs = sharedNowMs();
  #stuckForMs = 0;

  constructor(
    entry: URL,
    threadData: Omit<ThreadData<unknown>, 'channel'>,
    estimatesOf: (door: number) => WorkEstimates,
    environment: NodeJS.ProcessEnv,
    events: EngineThreadEvents,
  ) {
    const { channel, largeBytes } = createChannel();
    this.#largeBytes = largeBytes;
    this.#estimatesOf = estimatesOf;
    this.#jobs = new LaneWriter(channel.jobs, largeBytes, largeJobsBytes);
    this.#answers = new LaneReader(channel.answers, largeBytes);
    this.#state = new Int32Array(channel.state);
    this.#gate = new NativeGateKeeper(channel);
    this.#events = events;
    this.#answers.sleep();
    this.#worker = new Worker(entry, {
      workerData: { ...threadData, channel } satisfies ThreadData<unknown>,
      transferList: [channel.largeBytes],
      env: environment,
      name: `engine-${threadData.index}`,
    });
    this.#worker.on('message', (message: unknown) => {
      // A thread that is being ended may still speak, and has a successor by then.
      if (this.#gone) return;
      if (message === 0) this.collect();
      else events.message(message);
    });
    this.#worker.on('error', (cause: unknown) => {
      this.#cause = cause;
    });
    this.#worker.on('exit', (code) => {
      this.#running = false;
      this.#lost(this.#cause ?? new Error(`exit code ${code}`), false);
      this.#ended.resolve();
    });
  }

  /** Resolves when nothing is left of the thread. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get alive(): boolean {
    return !this.#gone;
  }

  /** Time until a job that came now would be begun, as far as one can know, in milliseconds. Hands out answers. */
  expectedWaitMs(): number {
    if (this.#answers.usedBytes > 0) this.collect();
    return this.#pending.size === 0 ? 0 : (this.#pendingUs - this.#workedUs()) / 1000;
  }

  get pendingJobs(): number {
    return this.#pending.size;
  }

  get liveTransactions(): number {
    return this.#gone ? 0 : Atomics.load(this.#state, stateWords.live);
  }

  liveTransactionsOf(door: number): number {
    return this.#gone ? 0 : Atomics.load(this.#state, stateWords.liveOfDoor + door);
  }

  /**
   * How long jobs have waited without the thread getting on with anything, in milliseconds, as far as somebody looked; 0 when none waits.
   * @param longestGapMs counted at most since the last look: while the whole process stood still, nobody was stuck.
   */
  stuckForMs(longestGapMs: number): number {
    const progress = Atomics.load(this.#state, stateWords.progress);
    const nowMs = sharedNowMs();
    const moves = progress !== this.#progressSeen || this.#pending.size === 0;
    this.#stuckForMs = moves ? 0 : this.#stuckForMs + Math.min(nowMs - this.#lookedAtMs, longestGapMs);
    this.#progressSeen = progress;
    this.#lookedAtMs = nowMs;
    return this.#stuckForMs;
  }

  /** @returns false, without effect, when the ring is full or the thread is gone. `answered` is called exactly once. */
  submit(job: Job, answered: (result: JobResult) => void): boolean {
    if (this.#gone) return false;
    // The I/O thread is awake: answers need no wake-up.
    if (this.#answers.usedBytes > 0) this.collect();
    const jobId = this.#nextJobId;
    if (
      !this.#jobs.write(
        jobId,
        jobTag(JobTag.analyse, job.door),
        job.maxAnswerBytes,
        job.deadlineMs,
        job.payload,
      )
    )
      return false;
    this.#nextJobId = jobId >= 0x7fff_ffff ? 1 : jobId + 1;
    const estimates = this.#estimatesOf(job.door);
    const estimateUs = estimates.of(job.work);
    this.#pending.set(jobId, { estimates, work: job.work, estimateUs, answered });
    this.#pendingUs += estimateUs;
    this.#ring();
    return true;
  }

  /** Tells of a message that was answered without the thread. May get lost when the ring is full. */
  skipped(door: number, payload: Uint8Array): void {
    if (!this.#gone && this.#jobs.write(0, jobTag(JobTag.skipped, door), 0, 0, payload)) this.#ring();
  }

  post(message: unknown): void {
    if (!this.#gone) this.#worker.postMessage(message);
  }

  /** Hands out the answers that are there. */
  collect(): void {
    // An answer may lead to a new job.
    if (this.#collecting) return;
    this.#collecting = true;
    try {
      do this.#takeAnswers();
      while (!this.#answers.sleep());
    } finally {
      this.#collecting = false;
    }
  }

  /**
   * Gives the thread up, whatever it does; its jobs are told at once. It ends now or, from within native code, when that
   * returns: see `ended`.
   */
  giveUp(cause: unknown): void {
    const outside = this.#gate.close();
    this.#lost(cause, !outside && this.#running);
    if (outside) void this.#worker.terminate();
  }

  /**
   * Before the process ends: keeps the thread out of native code, and blocks until it has returned from there.
   * @returns false when it has not in this time: then the process must not end in a way that ends its threads first.
   */
  keepOut(timeoutMs: number): boolean {
    return !this.#running || this.#gate.close() || this.#gate.waitUntilClosed(timeoutMs);
  }

  #takeAnswers(): void {
    while (this.#answers.next()) {
      const { jobId, tag, value, bytes } = this.#answers.record;
      this.#settle(jobId, value, tag === AnswerTag.done ? { kind: 'done', bytes } : { kind: 'lost' });
      this.#answers.release();
    }
  }

  /** How much of the estimated time is over of the job under way. */
  #workedUs(): number {
    const job = this.#pending.get(Atomics.load(this.#state, stateWords.current));
    if (job === undefined) return 0;
    const elapsedUs = (clockWordUs() - Atomics.load(this.#state, stateWords.begunAtUs)) | 0;
    return Math.min(Math.max(0, elapsedUs), job.estimateUs * (1 - overdueShare));
  }

  #ring(): void {
    if (this.#jobs.needsWakeUp()) this.#worker.postMessage(0);
  }

  #settle(jobId: number, elapsedUs: number, result: JobResult): void {
    const job = this.#pending.get(jobId);
    if (job === undefined) return;
    this.#pending.delete(jobId);
    // These are fractions: what is left of their sum when nothing is pending would make an idle thread look busy.
    this.#pendingUs = this.#pending.size === 0 ? 0 : this.#pendingUs - job.estimateUs;
    if (elapsedUs !== notMeasured) job.estimates.learn(job.work, elapsedUs);
    job.answered(result);
  }

  #lost(cause: unknown, inNativeCode: boolean): void {
    if (this.#gone) return;
    const transactions = this.liveTransactions;
    this.#gone = true;
    // What it had finished is still in the ring.
    this.#takeAnswers();
    this.#largeBytes.close();
    const jobs = [...this.#pending.values()];
    this.#pending.clear();
    this.#pendingUs = 0;
    for (const job of jobs) job.answered({ kind: 'lost' });
    this.#events.gone({ jobs: jobs.length, transactions, cause, inNativeCode });
  }
}
