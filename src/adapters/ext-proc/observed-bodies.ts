/*
 * An Envoy that only observes does not say whether bodies will come, takes no wish for them, and keeps a stream for
 * seconds after its end: a thousand streams that wait for a body in vain fill its circuit breaker, and requests fail. So
 * what each Envoy does is learned.
 */

interface Habit {
  /** Undefined: nothing is known yet. */
  comes: boolean | undefined;
  /** Streams that wait to find out. */
  waiting: number;
  /** Streams that did not wait since one last did. */
  passed: number;
  /** When a body did not come in time, and none has come since; undefined while they come. */
  missingSinceMs: number | undefined;
}

/** While it is not certain that bodies come, so many streams at a time find out; the others are let go of. */
const mostFindingOut = 32;

/** Where no bodies come, one stream of so many looks whether that has changed. */
const looksEvery = 128;

/** A process that stood still sees many bodies late at once: that none comes is known after so long without one. */
const certainAfterMs = 3_000;

/** Envoys are few; whoever connects from very many addresses is none. */
const maxPeers = 1024;

/** Whether bodies of responses come from an Envoy that observes, by its address. */
export class ObservedBodies {
  readonly #habits = new Map<string, Habit>();

  /** Whether a stream should wait for the body. If so, `came` or `missed` is owed. */
  mayWait(peer: string): boolean {
    const habit = this.#habitOf(peer);
    const isSure = habit.comes === true && habit.missingSinceMs === undefined;
    const waits = isSure || (habit.comes !== false && habit.waiting < mostFindingOut);
    if (waits || habit.passed >= looksEvery) {
      habit.passed = 0;
      habit.waiting += 1;
      return true;
    }
    habit.passed += 1;
    return false;
  }

  came(peer: string): void {
    const habit = this.#waited(peer);
    habit.comes = true;
    habit.missingSinceMs = undefined;
  }

  /** @param known whether one waited long enough to know; else the stream ended before */
  missed(peer: string, known: boolean): void {
    const habit = this.#waited(peer);
    if (!known) return;
    const nowMs = performance.now();
    habit.missingSinceMs ??= nowMs;
    if (nowMs - habit.missingSinceMs >= certainAfterMs) habit.comes = false;
  }

  #waited(peer: string): Habit {
    const habit = this.#habitOf(peer);
    habit.waiting = Math.max(0, habit.waiting - 1);
    return habit;
  }

  #habitOf(peer: string): Habit {
    const found = this.#habits.get(peer);
    if (found !== undefined) return found;
    if (this.#habits.size >= maxPeers) this.#habits.clear();
    const habit = { comes: undefined, waiting: 0, passed: 0, missingSinceMs: undefined };
    this.#habits.set(peer, habit);
    return habit;
  }
}

/** The body of a response that Envoy has does not take longer to follow its headers, as a rule. */
const patienceMs = 1_000;

/** The body of one response, which may never come. */
export class AwaitedBody {
  readonly #bodies: ObservedBodies;
  readonly #peer: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(bodies: ObservedBodies, peer: string) {
    this.#bodies = bodies;
    this.#peer = peer;
  }

  /**
   * @param missed called when it does not come in time.
   * @returns false when one should not wait.
   */
  wait(missed: () => void): boolean {
    if (!this.#bodies.mayWait(this.#peer)) return false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#bodies.missed(this.#peer, true);
      missed();
    }, patienceMs).unref();
    return true;
  }

  came(): void {
    if (this.#stop()) this.#bodies.came(this.#peer);
  }

  cancel(): void {
    if (this.#stop()) this.#bodies.missed(this.#peer, false);
  }

  #stop(): boolean {
    if (this.#timer === undefined) return false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return true;
  }
}
