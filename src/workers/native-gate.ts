/*
 * When a thread may be ended. JavaScript can be interrupted anywhere, native code nowhere: while a thread is being ended,
 * Node's API refuses calls from addons in it, and libddwaf's binding (node-addon-api) then aborts the whole process. So
 * the thread says when it enters native code and when it leaves it, in one word that it shares with the I/O thread:
 *
 *   outside ──enter──► inside ──leave──► outside
 *      │ close           │ close
 *      ▼                 ▼
 *   closed ◄──leave── leaving
 *
 * `closed`: it never enters native code again, so it can be ended at any time. `leaving`: it ends itself as soon as the
 * native call returns. Every step is one compare-and-exchange: there is no moment between looking and ending.
 */
import { type Channel, stateWords } from './channel.ts';

const outside = 0;
const inside = 1;
const leaving = 2;
const closed = 3;

/** The engine thread's side: goes around everything that runs native code of addons. */
export class NativeGate {
  readonly #state: Int32Array;
  readonly #endThread: () => never;
  #depth = 0;

  /** @param endThread ends this thread from within. */
  constructor(channel: Pick<Channel, 'state'>, endThread: () => never) {
    this.#state = new Int32Array(channel.state);
    this.#endThread = endThread;
  }

  /** Calls native code; such calls may be nested. Does not return when the thread was given up. */
  readonly guard = <T>(call: () => T): T => {
    this.enter();
    try {
      return call();
    } finally {
      this.leave();
    }
  };

  /** From here on, until `leave`, the thread may be in native code. Does not return when the thread was given up. */
  enter(): void {
    this.#depth += 1;
    if (this.#depth > 1) return;
    if (Atomics.compareExchange(this.#state, stateWords.gate, outside, inside) !== outside) this.#endThread();
  }

  /** Counts as progress: native code came back. Does not return when the thread was given up meanwhile. */
  leave(): void {
    this.#depth -= 1;
    if (this.#depth > 0) return;
    Atomics.add(this.#state, stateWords.progress, 1);
    if (Atomics.compareExchange(this.#state, stateWords.gate, inside, outside) === inside) return;
    Atomics.store(this.#state, stateWords.gate, closed);
    Atomics.notify(this.#state, stateWords.gate);
    this.#endThread();
  }
}

/** The I/O thread's side. */
export class NativeGateKeeper {
  readonly #state: Int32Array;

  constructor(channel: Pick<Channel, 'state'>) {
    this.#state = new Int32Array(channel.state);
  }

  /**
   * Asks the thread to end itself, for good.
   * @returns true: it is outside of native code and stays there, so it can be ended. False: it ends itself once native
   *   code returns, and must not be ended before.
   */
  close(): boolean {
    for (;;) {
      const before = Atomics.load(this.#state, stateWords.gate);
      if (before === closed || before === leaving) return before === closed;
      const after = before === outside ? closed : leaving;
      if (Atomics.compareExchange(this.#state, stateWords.gate, before, after) === before)
        return after === closed;
    }
  }

  /** Blocks this thread until native code has returned after `close`, or the time is up: then false. */
  waitUntilClosed(timeoutMs: number): boolean {
    return Atomics.wait(this.#state, stateWords.gate, leaving, timeoutMs) !== 'timed-out';
  }
}
