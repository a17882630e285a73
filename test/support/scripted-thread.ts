/** An engine thread that does what the payload of a job says: see test/workers/engine-threads.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadData } from '../../src/workers/engine-thread.ts';
import { readyMessage } from '../../src/workers/engine-threads.ts';
import { Handlers } from '../../src/workers/handlers.ts';
import { JobLoop } from '../../src/workers/job-loop.ts';
import type { JobHandler } from '../../src/workers/jobs.ts';
import { NativeGate } from '../../src/workers/native-gate.ts';

export interface ScriptedData {
  /** What it does in place of starting. */
  readonly start?: 'throw' | 'exit' | 'hang';
  /** The job 'wait' goes on when its first cell is no longer 0. */
  readonly gate?: Int32Array<SharedArrayBuffer>;
  /** What stands for native code comes back when its first cell is no longer 0, and adds to the second then. */
  readonly native?: Int32Array<SharedArrayBuffer>;
}

if (parentPort === null) throw new Error('this is the entry of a worker thread');
const port = parentPort;
const { index, channel, data } = workerData as ThreadData<ScriptedData>;
if (data.start === 'throw') throw new Error('no start today');
if (data.start === 'exit') process.exit(3);
if (data.start === 'hang') for (;;);

const liveTransactions = 7;
let backlog = 0;
let backlogMs = 0;
const nativeGate = new NativeGate(channel, () => process.exit());

const handler: JobHandler = {
  handle({ payload }, answer) {
    const [order = '', amount = ''] = payload.toString().split(' ');
    const answered = Buffer.from(`${index} ${payload.toString()}`);
    switch (order) {
      case 'busy':
        busy(Number(amount));
        answer(answered);
        break;
      case 'wait':
        if (data.gate !== undefined) Atomics.wait(data.gate, 0, 0);
        answer(answered);
        break;
      case 'later':
        setTimeout(() => answer(answered), Number(amount));
        break;
      case 'large':
        answer(Buffer.alloc(Number(amount), amount));
        break;
      case 'backlog':
        backlog += 1;
        backlogMs = Number(amount);
        answer(answered);
        break;
      case 'native':
        nativeGate.guard(() => {
          port.postMessage('in native code');
          if (data.native === undefined) return;
          Atomics.wait(data.native, 0, 0);
          Atomics.add(data.native, 1, 1);
        });
        answer(answered);
        break;
      case 'natives':
        for (let count = 0; count < 12; count += 1) nativeGate.guard(() => busy(Number(amount)));
        answer(answered);
        break;
      case 'mistake':
        throw new Error('a mistake in a handler');
      case 'late-mistake':
        return Promise.resolve().then(() => {
          throw new Error('a late mistake in a handler');
        });
      case 'throw':
        setImmediate(() => {
          throw new Error('thrown on demand');
        });
        // Longer than the loop goes on without a turn: no further job is taken before that.
        busy(20);
        break;
      case 'exit':
        return process.exit(5);
      case 'hang':
        port.postMessage('hanging');
        for (;;);
      default:
        answer(answered);
    }
    return undefined;
  },
  skipped(payload) {
    port.postMessage({ index, skipped: payload.toString() });
  },
  liveTransactions,
  workOnBacklog() {
    if (backlog === 0) return false;
    backlog -= 1;
    busy(backlogMs);
    if (backlog === 0) port.postMessage({ index, backlog: 'done' });
    return true;
  },
};

function busy(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

const loop = new JobLoop(
  channel,
  port,
  new Handlers([handler], (_door, cause) => port.postMessage({ index, failed: String(cause) })),
  () => liveTransactions,
);
port.on('message', (message: unknown) => {
  if (message === 0) loop.wake();
  else port.postMessage({ index, heard: message });
});
port.postMessage(readyMessage);
loop.wake();
