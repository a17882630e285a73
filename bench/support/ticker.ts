// A finer clock than setTimeout, whose millisecond is more than most answers take, without spinning on a core.
import { Worker } from 'node:worker_threads';

/** Times that loads are scheduled at are multiples of this, on the clock of clock.ts. */
export const tickMs = 0.25;

/** Calls `tick` a little after every multiple of `tickMs`, or later when the thread was busy. */
export function startTicker(tick: () => void): void {
  const pending = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./ticker-thread.ts', import.meta.url), {
    workerData: { pending, periodMs: tickMs },
  });
  worker.on('message', () => {
    Atomics.store(pending, 0, 0);
    tick();
  });
  worker.unref();
}
