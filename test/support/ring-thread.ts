/** A thread that pushes records through a ring as fast as they fit, with the wake-up: see test/workers/ring.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { RingWriter } from '../../src/workers/ring.ts';
import { recordBytes } from './ring-records.ts';

const { memory, count, seed } = workerData as { memory: SharedArrayBuffer; count: number; seed: number };
const writer = new RingWriter(memory);
const bytesOf = recordBytes(seed);
let next = 0;
let kept = bytesOf();

/** Some records at a time, and then a wake-up if one is due: the reader falls asleep again and again. */
function push(): void {
  const burst = 1 + (next % 97);
  for (let written = 0; written < burst && next < count; written += 1) {
    if (!writer.write(next, next % 3, kept.length, next / 2, kept)) break;
    next += 1;
    kept = bytesOf();
  }
  if (writer.needsWakeUp()) parentPort?.postMessage(0);
  if (next < count) setImmediate(push);
}

push();
