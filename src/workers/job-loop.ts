import type { MessagePort } from 'node:worker_threads';
import {
  AnswerTag,
  type Channel,
  clockWordUs,
  doorOfTag,
  JobTag,
  kindOfTag,
  notMeasured,
  sharedNowMs,
  stateWords,
} from './channel.ts';
import type { Handlers } from './handlers.ts';
import type { HandedJob, JobResult } from './jobs.ts';
import { LaneReader, LaneWriter, largestInRing } from './lane.ts';

/** After so long the event loop has its turn: timers, the port, the tracer's sockets. */
const sliceMs = 5;

/** While further jobs wait, answers wait so long for the wake-up: waking the I/O thread costs more than an answer. */
const quietMs = 1;

/** The same while jobs of more bytes than that wait: they take longer by far, and the I/O thread wants the core too. */
const busyQuietMs = 3;
const busyBytes = 8192;

/** Jobs above this take long enough that the answers before them are announced first. */
const longJobBytes = 4096;

/** Answers are small; a page of the operator's may be as large as a frame. */
const largeAnswersBytes = 32 * 1024 * 1024;

/** An answer that finds the ring full waits in the thread; the I/O thread is bound to come by. */
const retryMs = 1;

const noBytes = Buffer.alloc(0);

/** Transactions also end by themselves. */
const countMs = 1000;

/** The life of an engine thread: takes jobs from its ring, gives answers back. */
export class JobLoop {
  readonly #jobs: LaneReader;
  readonly #answers: LaneWriter;
  readonly #state: Int32Array;
  readonly #port: MessagePort;
  readonly #handlers: Handlers;
  /** Answers that found the ring full. */
  readonly #unsent: { readonly jobId: number; readonly tag: number; readonly bytes: Uint8Array }[] = [];
  readonly #liveTransactions: () => number;
  #running = false;
  #unannounced = 0;
  #announcedAtMs = 0;

  /** @param port wake-ups go and come by it, as the message 0. */
  constructor(channel: Channel, port: MessagePort, handlers: Handlers, liveTransactions: () => number) {
    this.#jobs = new LaneReader(channel.jobs, channel.largeBytes);
    this.#answers = new LaneWriter(channel.answers, channel.largeBytes, largeAnswersBytes);
    this.#state = new Int32Array(channel.state);
    this.#port = port;
    this.#handlers = handlers;
    this.#liveTransactions = liveTransactions;
    setInterval(() => this.#countLive(), countMs).unref();
  }

  /** Looks for jobs now. To be called at the start and for each wake-up. */
  wake(): void {
    if (this.#running) return;
    this.#running = true;
    this.#run();
  }

  readonly #run = (): void => {
    const untilMs = performance.now() + sliceMs;
    for (;;) {
      if (!this.#step()) {
        this.#announce();
        this.#countLive();
        if (!this.#jobs.sleep()) continue;
        this.#running = false;
        return;
      }
      if (performance.now() >= untilMs) break;
    }
    this.#announce();
    this.#countLive();
    setImmediate(this.#run);
  };

  #countLive(): void {
    Atomics.store(this.#state, stateWords.live, this.#liveTransactions());
    for (let door = 0; door < this.#handlers.count; door += 1)
      Atomics.store(this.#state, stateWords.liveOfDoor + door, this.#handlers.liveTransactionsOf(door));
  }

  #step(): boolean {
    if (this.#jobs.next()) {
      this.#take();
      return true;
    }
    this.#announce();
    if (!this.#handlers.workOnBacklog()) return false;
    // Jobs that came meanwhile have waited for it: that is no reason to give up a thread that works.
    Atomics.add(this.#state, stateWords.progress, 1);
    return true;
  }

  #take(): void {
    const { record } = this.#jobs;
    const { jobId, tag, value, timeMs } = record;
    // What is large is ours already.
    const payload = record.bytes.length > largestInRing ? record.bytes : Buffer.from(record.bytes);
    this.#jobs.release();
    Atomics.store(this.#state, stateWords.begunAtUs, clockWordUs());
    Atomics.store(this.#state, stateWords.current, jobId);
    Atomics.add(this.#state, stateWords.progress, 1);
    // What is ready must not wait for a body.
    if (payload.length > longJobBytes) this.#announce();
    const door = doorOfTag(tag);
    if (kindOfTag(tag) === JobTag.skipped) this.#handlers.skipped(door, payload);
    else this.#analyse(door, jobId, { payload, maxAnswerBytes: value, deadlineMs: timeMs });
    Atomics.store(this.#state, stateWords.current, 0);
  }

  #analyse(door: number, jobId: number, job: HandedJob): void {
    const startedAtMs = performance.now();
    // A job that came too late costs nothing, and one that waits for something costs less than its time.
    let measured = sharedNowMs() <= job.deadlineMs;
    this.#handlers.handle(door, job, (result) =>
      this.#settle(jobId, result, measured ? startedAtMs : undefined),
    );
    measured = false;
  }

  #settle(jobId: number, result: JobResult, startedAtMs: number | undefined): void {
    if (result.kind === 'done') this.#answer(jobId, AnswerTag.done, startedAtMs, result.bytes);
    else this.#answer(jobId, AnswerTag.failed, undefined, noBytes);
  }

  /** @param startedAtMs undefined: says nothing about the time that jobs take. */
  #answer(jobId: number, tag: number, startedAtMs: number | undefined, bytes: Uint8Array): void {
    const nowMs = performance.now();
    const elapsedUs = startedAtMs === undefined ? notMeasured : Math.ceil((nowMs - startedAtMs) * 1000);
    if (this.#unsent.length > 0 || !this.#answers.write(jobId, tag, elapsedUs, 0, bytes)) {
      this.#unsent.push({ jobId, tag, bytes: Buffer.from(bytes) });
      if (this.#unsent.length === 1) setTimeout(this.#retry, retryMs);
      this.#announce();
      return;
    }
    if (this.#unannounced === 0) this.#announcedAtMs = nowMs;
    this.#unannounced += 1;
    // A late answer, of a body that was decompressed, comes while the loop sleeps.
    if (!this.#running || nowMs - this.#announcedAtMs >= this.#quietMs) this.#announce();
  }

  get #quietMs(): number {
    return this.#jobs.usedBytes > busyBytes ? busyQuietMs : quietMs;
  }

  readonly #retry = (): void => {
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      if (!this.#answers.write(next.jobId, next.tag, notMeasured, 0, next.bytes)) break;
      this.#unsent.shift();
    }
    this.#unannounced += 1;
    this.#announce();
    if (this.#unsent.length > 0) setTimeout(this.#retry, retryMs);
  };

  #announce(): void {
    if (this.#unannounced === 0) return;
    this.#unannounced = 0;
    if (this.#answers.needsWakeUp()) this.#port.postMessage(0);
  }
}
