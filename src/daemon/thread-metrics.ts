import { AggregatorRegistry } from 'prom-client';
import type { MetricsSnapshot } from './thread-messages.ts';

/** If a thread is busy for longer than this, its last known metrics are shown. */
const patienceMs = 500;

/** Threads may die again and again: so many snapshots of dead ones are kept before they are added up. */
const mostRetired = 8;

/** The metrics of the engine threads, collected on request. Those of replaced threads stay counted. */
export class ThreadMetrics {
  readonly #last: (MetricsSnapshot | undefined)[];
  readonly #retired: MetricsSnapshot[] = [];
  #addingUp = false;
  readonly #ask: (index: number, request: number) => void;
  readonly #waiting = new Map<number, { missing: number; readonly done: () => void }>();
  #nextRequest = 1;

  constructor(threads: number, ask: (index: number, request: number) => void) {
    this.#last = Array.from({ length: threads });
    this.#ask = ask;
  }

  /** The newest of every thread that answers in time, else its last. */
  async collect(threads: { isReady(index: number): boolean }): Promise<MetricsSnapshot[]> {
    const asked = [...this.#last.keys()].filter((index) => threads.isReady(index));
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.set(request, { missing: asked.length, done });
      if (asked.length === 0) done();
      for (const index of asked) this.#ask(index, request);
    });
    this.#waiting.delete(request);
    return [...this.#retired, ...this.#last.filter((snapshot) => snapshot !== undefined)];
  }

  answered(index: number, request: number, snapshot: MetricsSnapshot): void {
    this.#last[index] = snapshot;
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    waiting.missing -= 1;
    if (waiting.missing === 0) waiting.done();
  }

  /** Counters must not go back when a thread is replaced. */
  retire(index: number): void {
    const snapshot = this.#last[index];
    if (snapshot !== undefined) this.#retired.push(snapshot);
    this.#last[index] = undefined;
    if (this.#retired.length > mostRetired && !this.#addingUp) void this.#addUpRetired();
  }

  async #addUpRetired(): Promise<void> {
    this.#addingUp = true;
    const { length } = this.#retired;
    const sum = await AggregatorRegistry.aggregate([...this.#retired]).getMetricsAsJSON();
    // Further ones came behind these, if any did.
    this.#retired.splice(0, length, sum);
    this.#addingUp = false;
  }
}
