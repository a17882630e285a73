import { sharedNowMs } from '../../workers/channel.ts';
import type { Dispatched, Dispatcher, Shed } from '../../workers/dispatcher.ts';

/*
 * Copies that wait for their analysis. Whoever sent them has its answer. Engines get them as they come along with their
 * work: only a little ahead, for an engine may have messages of other doors to answer, whose senders wait. What waits is
 * bounded by bytes and by age; the oldest goes first.
 */

export interface BacklogOptions {
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** Why a copy went unseen. `backlog-full`, `too-old`; `engine-lost`: the engine died with it. */
export type LostReason = 'backlog-full' | 'too-old' | 'engine-lost';

/** Must not throw. */
export interface BacklogObserver {
  unseen(reason: LostReason): void;
}

/** An engine gets a copy only when it can begin it so soon. */
const aheadMs = 4;

/** Jobs are handed out for so long before sockets have their turn: without engine threads, this is their analysis. */
const sliceMs = 4;

/** When every engine is busy with other things. */
const retryMs = 5;

/** How long the analysis of a copy takes, while nothing like it was measured. */
const guessUs = { head: 300, body: 600 } as const;

interface Waiting {
  readonly payload: Buffer;
  readonly hasBody: boolean;
  readonly sinceMs: number;
}

export class Backlog {
  readonly #engines: Dispatcher;
  readonly #options: BacklogOptions;
  readonly #observer: BacklogObserver;
  /** Oldest first, from `#first` on. */
  #waiting: (Waiting | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #analysing = 0;
  #scheduled = false;
  #retry: NodeJS.Timeout | undefined;
  #emptied: (() => void)[] = [];

  constructor(engines: Dispatcher, options: BacklogOptions, observer: BacklogObserver) {
    this.#engines = engines;
    this.#options = options;
    this.#observer = observer;
  }

  get messages(): number {
    return this.#waiting.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param payload handed over. */
  add(payload: Buffer, hasBody: boolean): void {
    this.#waiting.push({ payload, hasBody, sinceMs: sharedNowMs() });
    this.#bytes += payload.length;
    while (this.#bytes > this.#options.maxBytes) this.#drop('backlog-full');
    this.#handOutSoon();
  }

  /** Resolves when nothing waits and nothing is under analysis. */
  async emptied(): Promise<void> {
    if (this.messages === 0 && this.#analysing === 0) return;
    await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }

  /** Always in a turn of its own: answers leave first. */
  #handOutSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    const untilMs = performance.now() + sliceMs;
    for (;;) {
      this.#dropOld();
      const next = this.#waiting[this.#first];
      if (next === undefined) {
        this.#tellIfEmpty();
        return;
      }
      if (!this.#dispatch(next)) {
        this.#retryLater();
        return;
      }
      if (performance.now() >= untilMs) {
        this.#handOutSoon();
        return;
      }
    }
  }

  /** @returns whether an engine has taken it. */
  #dispatch({ payload, hasBody }: Waiting): boolean {
    const job = {
      payload,
      maxAnswerBytes: 0,
      deadlineMs: sharedNowMs() + aheadMs,
      work: { kind: hasBody ? 1 : 0, size: payload.length, guessUs: hasBody ? guessUs.body : guessUs.head },
    };
    let refused = false;
    this.#analysing += 1;
    this.#engines.dispatch(this.#engines.engineFor(undefined), job, (result) => {
      this.#analysing -= 1;
      refused = wasRefused(result);
      if (!refused) this.#onDone(result);
    });
    if (!refused) this.#shift();
    return !refused;
  }

  #onDone(result: Dispatched): void {
    if (result.kind === 'shed') this.#observer.unseen('engine-lost');
    if (this.messages > 0) this.#handOutSoon();
    else this.#tellIfEmpty();
  }

  /** An answer comes by as well; but where nothing of ours is under way, none will. */
  #retryLater(): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#handOutSoon();
    }, retryMs);
  }

  #dropOld(): void {
    const oldestMs = sharedNowMs() - this.#options.maxAgeMs;
    for (let next = this.#waiting[this.#first]; next !== undefined; next = this.#waiting[this.#first]) {
      if (next.sinceMs > oldestMs) return;
      this.#drop('too-old');
    }
  }

  #drop(reason: LostReason): void {
    this.#shift();
    this.#observer.unseen(reason);
  }

  #shift(): void {
    const first = this.#waiting[this.#first];
    if (first === undefined) return;
    this.#bytes -= first.payload.length;
    this.#waiting[this.#first] = undefined;
    this.#first += 1;
    if (this.#first === this.#waiting.length || this.#first >= 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
  }

  #tellIfEmpty(): void {
    if (this.messages > 0 || this.#analysing > 0) return;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}

const refusals: ReadonlySet<Shed> = new Set(['no-engine', 'overload']);

/** No engine has it: it can be tried again. */
function wasRefused(result: Dispatched): boolean {
  return result.kind === 'shed' && refusals.has(result.reason);
}
