/**
 * A process whose one engine thread is inside libddwaf for so many milliseconds when something happens to it, in a
 * process of its own, which a mistake would abort: see test/workers/native-code.test.ts. Prints what happened.
 */
import { endSafelyWith } from '../../src/daemon/end-process.ts';
import { EngineThreads } from '../../src/workers/engine-threads.ts';

const [scene = '', runMs = '', stuckMs = '60000'] = process.argv.slice(2);
const print = (what: string): boolean => process.stdout.write(`${what}\n`);

const running = Promise.withResolvers<void>();
const lost = Promise.withResolvers<void>();
const replaced = Promise.withResolvers<void>();
const threads = new EngineThreads(
  {
    ...{ count: 1, entry: new URL('./native-thread.ts', import.meta.url), stuckMs: Number(stuckMs) },
    ...{ dataOf: () => undefined, environmentOf: () => process.env },
  },
  {
    message: () => running.resolve(),
    lost: (_index, { inNativeCode }) => {
      print(`lost${inNativeCode ? ' in native code' : ''}`);
      lost.resolve();
    },
    replaced: () => replaced.resolve(),
    notReplaced: () => print('not replaced'),
  },
);
endSafelyWith(threads);
await threads.start();
const first = job(runMs);
await running.promise;
// It says so just before it calls libddwaf, which this run keeps busy for far longer.
await new Promise((resolve) => setTimeout(resolve, 100));

if (scene === 'stuck') {
  await lost.promise;
  print(`abandoned: ${threads.abandonedThreads}`);
  print(`its job: ${await first}`);
  await replaced.promise;
  print(`its successor's job: ${await job('0')}`);
  while (threads.abandonedThreads > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await threads.stop();
  print('the end');
} else if (scene === 'stop') {
  await threads.stop();
  print(`its job: ${await first}`);
  process.exit(3);
} else if (scene === 'exit') {
  process.exit(3);
} else {
  throw new Error('a mistake in the I/O thread');
}

function job(payload: string): Promise<string> {
  return new Promise((resolve) => {
    const work = { kind: 0, size: 1, guessUs: 1 };
    const limits = { door: 0, maxAnswerBytes: 1000, deadlineMs: Number.MAX_VALUE };
    threads.submit(0, { ...limits, work, payload: Buffer.from(payload) }, ({ kind }) => resolve(kind));
  });
}
