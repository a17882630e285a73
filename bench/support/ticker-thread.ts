// The thread of ticker.ts: sleeps to the next point of the grid, wakes the main thread, and so on.
import { parentPort, workerData } from 'node:worker_threads';
import { nowMs } from './clock.ts';

const { pending, periodMs } = workerData as { pending: Int32Array; periodMs: number };
const never = new Int32Array(new SharedArrayBuffer(4));

for (;;) {
  Atomics.wait(never, 0, 0, periodMs - (nowMs() % periodMs));
  // One message at a time: a main thread that is busy must not find a pile of them.
  if (Atomics.exchange(pending, 0, 1) === 0) parentPort?.postMessage(0);
}
