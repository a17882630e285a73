import { messageOf } from '../message-of.ts';
import { AbandonedThreads } from './abandoned-threads.ts';
import { EngineThread, type ThreadLoss } from './engine-thread.ts';
import type { Job, JobResult, JobTaker } from './jobs.ts';
import { WorkEstimates } from './work-estimates.ts';

export interface EngineThreadsOptions {
  readonly count: number;
  /** The file that a thread runs. */
  readonly entry: URL;
  /** What the thread of this number starts with; asked anew for each replacement. */
  readonly dataOf: (index: number) => unknown;
  readonly environmentOf: (index: number) => NodeJS.ProcessEnv;
  /**
   * A thread that has jobs and gets on with nothing for so long is taken for stuck, in milliseconds; 5000 unless told
   * otherwise. To be above what a single piece of work may take.
   */
  readonly stuckMs?: number;
  /** A thread that is not ready after so long is ended, in milliseconds; 60,000 unless told otherwise. */
  readonly startMs?: number;
}

/** Told what happens to the threads. Must not throw. */
export interface EngineThreadsObserver {
  message(index: number, message: unknown): void;
  lost(index: number, loss: ThreadLoss): void;
  replaced(index: number): void;
  /** Not replaced for now: too many that were given up are still in native code. Once one of them ends, it is. */
  notReplaced(index: number, abandoned: number): void;
}

/** Why the threads could not be started. */
export class EngineThreadError extends Error {
  override readonly name = 'EngineThreadError';
}

/** A thread says so once it can take jobs. */
export const readyMessage = { kind: 'ready' } as const;

const defaultStuckMs = 5000;
const defaultStartMs = 60_000;
/** Looks at a thread in the time after which it is taken for stuck. */
const looks = 10;
const firstPauseMs = 50;
const longestPauseMs = 5000;
/** When all threads are to end, those in native code are waited for so long. */
const lastWaitMs = 500;
/** A thread that lived so long did not die of its start. */
const healthyMs = 10_000;

interface Slot {
  thread: EngineThread;
  ready: boolean;
  startedAtMs: number;
  pauseMs: number;
  timer: NodeJS.Timeout | undefined;
  /** Continues with the replacement that too many abandoned threads hold up. */
  resume: (() => void) | undefined;
}

/** All engine threads: gives jobs to them, keeps their number. */
export class EngineThreads implements JobTaker {
  readonly #options: EngineThreadsOptions;
  readonly #observer: EngineThreadsObserver;
  readonly #slots: Slot[] = [];
  readonly #abandoned: AbandonedThreads;
  /** By door. What one thread has learned holds for all of them. */
  readonly #estimates: WorkEstimates[] = [];
  #stopping = false;
  #supervisor: NodeJS.Timeout | undefined;
  #nextSlot = 0;

  constructor(options: EngineThreadsOptions, observer: EngineThreadsObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#abandoned = new AbandonedThreads(options.count, () => {
      for (const slot of this.#slots) slot.resume?.();
    });
  }

  /**
   * Resolves when all of them are ready.
   * @throws EngineThreadError when one ends before that.
   */
  async start(): Promise<void> {
    const lookEveryMs = this.#stuckMs / looks;
    this.#supervisor = setInterval(() => this.#supervise(2 * lookEveryMs), lookEveryMs);
    this.#supervisor.unref();
    try {
      const seated = Array.from({ length: this.#options.count }, (_, index) => this.#slot(index));
      await Promise.all(seated);
    } catch (cause) {
      await this.stop();
      if (cause instanceof EngineThreadError) throw cause;
      throw new EngineThreadError(`an engine thread cannot be started: ${messageOf(cause)}`, { cause });
    }
  }

  get count(): number {
    return this.#options.count;
  }

  get readyThreads(): number {
    return this.#slots.filter((slot) => slot.ready).length;
  }

  /** Threads that were given up in native code and have not ended. */
  get abandonedThreads(): number {
    return this.#abandoned.size;
  }

  get liveTransactions(): number {
    return this.#slots.reduce((sum, { thread }) => sum + thread.liveTransactions, 0);
  }

  get pendingJobs(): number {
    return this.#slots.reduce((sum, { thread }) => sum + thread.pendingJobs, 0);
  }

  /** The thread with the least to do; undefined when none is ready. Equal ones take turns. */
  leastBusy(): number | undefined {
    let best: number | undefined;
    let bestWaitMs = Number.POSITIVE_INFINITY;
    for (let step = 0; step < this.#slots.length; step += 1) {
      const index = (this.#nextSlot + step) % this.#slots.length;
      const slot = this.#slots[index];
      if (slot?.ready !== true) continue;
      const waitMs = slot.thread.expectedWaitMs();
      if (waitMs >= bestWaitMs) continue;
      best = index;
      bestWaitMs = waitMs;
    }
    if (best !== undefined) this.#nextSlot = (best + 1) % this.#slots.length;
    return best;
  }

  /** Whether the thread of this number takes jobs. */
  isReady(index: number): boolean {
    return this.#slots[index]?.ready === true;
  }

  expectedWaitMs(index: number): number {
    return this.#slots[index]?.thread.expectedWaitMs() ?? 0;
  }

  /** @returns false, without effect, when the thread takes no more. Otherwise `answered` is called exactly once. */
  submit(index: number, job: Job, answered: (result: JobResult) => void): boolean {
    const slot = this.#slots[index];
    return slot?.ready === true && slot.thread.submit(job, answered);
  }

  /** Tells a thread of a message that was answered without it. */
  skipped(index: number, door: number, payload: Uint8Array): void {
    this.#slots[index]?.thread.skipped(door, payload);
  }

  liveTransactionsOf(door: number): number {
    return this.#slots.reduce((sum, { thread }) => sum + thread.liveTransactionsOf(door), 0);
  }

  post(index: number, message: unknown): void {
    this.#slots[index]?.thread.post(message);
  }

  /** To every thread, those that start included. */
  broadcast(message: unknown): void {
    for (const { thread } of this.#slots) thread.post(message);
  }

  /** Ends all threads; nothing is replaced any more. One that stays in native code is not waited for beyond a moment. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#supervisor);
    for (const slot of this.#slots) clearTimeout(slot.timer);
    for (const { thread } of this.#slots) thread.giveUp('stopping');
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lastWaitMs);
    });
    await Promise.race([Promise.all(this.#threads().map(({ ended }) => ended)), timeout]);
    clearTimeout(timer);
  }

  /**
   * Before the process ends: keeps all threads out of native code, and blocks for a moment until they have left it.
   * @returns false when one has not. `process.exit` would abort the process, or wait for it forever.
   */
  keepOutOfNativeCode(): boolean {
    const untilMs = performance.now() + lastWaitMs;
    const threads = this.#threads();
    // All are asked before one is waited for.
    for (const thread of threads) thread.keepOut(0);
    return threads.every((thread) => thread.keepOut(Math.max(0, untilMs - performance.now())));
  }

  #threads(): EngineThread[] {
    return [...this.#slots.map(({ thread }) => thread), ...this.#abandoned.all];
  }

  get #stuckMs(): number {
    return this.#options.stuckMs ?? defaultStuckMs;
  }

  /** Resolves when the first thread of this number is ready. */
  #slot(index: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#slots[index] = this.#startThread(index, firstPauseMs, resolve, reject);
    });
  }

  /** @param failed told, in place of the observer, that it ended before it was ready; absent: it is replaced. */
  #startThread(index: number, pauseMs: number, ready: () => void, failed?: (cause: Error) => void): Slot {
    const { entry, dataOf, environmentOf } = this.#options;
    const thread = new EngineThread(
      entry,
      { index, data: dataOf(index) },
      (door) => this.#estimatesOf(door),
      environmentOf(index),
      {
        message: (message) => {
          if (isReadyMessage(message)) {
            slot.ready = true;
            ready();
          } else this.#observer.message(index, message);
        },
        gone: (loss) => {
          const wasReady = slot.ready;
          slot.ready = false;
          if (loss.inNativeCode) this.#abandoned.add(thread);
          if (!wasReady && failed !== undefined) {
            const { cause } = loss;
            failed(new EngineThreadError(`engine thread ${index}: ${messageOf(cause)}`, { cause }));
          } else if (!this.#stopping) {
            this.#observer.lost(index, loss);
            const healthy = performance.now() - slot.startedAtMs >= healthyMs;
            this.#replaceLater(index, slot, healthy ? firstPauseMs : slot.pauseMs);
          }
        },
      },
    );
    const slot: Slot = {
      ...{ thread, ready: false, startedAtMs: performance.now(), pauseMs },
      ...{ timer: undefined, resume: undefined },
    };
    return slot;
  }

  #estimatesOf(door: number): WorkEstimates {
    this.#estimates[door] ??= new WorkEstimates();
    return this.#estimates[door];
  }

  #replaceLater(index: number, former: Slot, pauseMs: number): void {
    if (this.#stopping) return;
    const nextPauseMs = Math.min(pauseMs * 2, longestPauseMs);
    former.resume = undefined;
    former.timer = setTimeout(() => {
      if (this.#abandoned.tooMany) {
        former.resume = () => this.#replaceLater(index, former, pauseMs);
        this.#observer.notReplaced(index, this.#abandoned.size);
        return;
      }
      try {
        this.#slots[index] = this.#startThread(index, nextPauseMs, () => this.#observer.replaced(index));
      } catch (cause) {
        // The system gives no thread, or no memory for it, now.
        this.#observer.lost(index, { jobs: 0, transactions: 0, cause, inNativeCode: false });
        this.#replaceLater(index, former, nextPauseMs);
      }
    }, pauseMs);
  }

  #supervise(longestGapMs: number): void {
    const startMs = this.#options.startMs ?? defaultStartMs;
    for (const { thread, ready, startedAtMs } of this.#slots) {
      if (!thread.alive) continue;
      if (ready && thread.stuckForMs(longestGapMs) >= this.#stuckMs)
        thread.giveUp(new EngineThreadError(`took no job for ${this.#stuckMs / 1000} s`));
      else if (!ready && performance.now() - startedAtMs >= startMs)
        thread.giveUp(new EngineThreadError(`was not ready within ${startMs / 1000} s`));
    }
  }
}

function isReadyMessage(message: unknown): boolean {
  return (
    typeof message === 'object' && message !== null && 'kind' in message && message.kind === readyMessage.kind
  );
}
