/** An engine thread with the real libddwaf, in runs as long as a job says: see test/workers/native-code.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createLibddwaf, guardLibddwaf } from '../../src/engine/waf/libddwaf.ts';
import type { ThreadData } from '../../src/workers/engine-thread.ts';
import { readyMessage } from '../../src/workers/engine-threads.ts';
import { Handlers } from '../../src/workers/handlers.ts';
import { JobLoop } from '../../src/workers/job-loop.ts';
import type { JobHandler } from '../../src/workers/jobs.ts';
import { NativeGate } from '../../src/workers/native-gate.ts';

if (parentPort === null) throw new Error('this is the entry of a worker thread');
const port = parentPort;
const { channel } = workerData as ThreadData<unknown>;
const gate = new NativeGate(channel, () => process.exit());
guardLibddwaf(gate.guard);

/** Work for more than a minute, on any machine: how long a run takes is up to its time-out. */
const rules = Array.from({ length: 400 }, (_, index) => ({
  ...{
    id: `slow-${index}`,
    name: 'slow',
    tags: { type: 'slow', category: 'attack_attempt' },
    transformers: [],
  },
  conditions: [
    {
      operator: 'match_regex',
      parameters: {
        inputs: [{ address: 'server.request.body' }],
        regex: `(?:[a-y ]{3,20}[0-9]+){5}z${index}`,
      },
    },
  ],
}));
const text = 'abcdefghij 123 '.repeat(270);
const body = Array.from({ length: 16 }, () => Array.from({ length: 200 }, () => text));
const waf = createLibddwaf({ version: '2.2', rules }, 'slow', {});

const handler: JobHandler = {
  handle({ payload }, answer) {
    const forMs = Number(payload.toString());
    if (forMs > 0) {
      port.postMessage('running');
      waf.createContext().run({ persistent: { 'server.request.body': body } }, forMs * 1000);
    }
    answer(Buffer.from('done'));
  },
  skipped: () => undefined,
  liveTransactions: 0,
  workOnBacklog: () => false,
};
const handlers = new Handlers([handler], (_door, cause) => port.postMessage(String(cause)));
const loop = new JobLoop(channel, port, handlers, () => 0);
port.on('message', () => loop.wake());
port.postMessage(readyMessage);
loop.wake();
