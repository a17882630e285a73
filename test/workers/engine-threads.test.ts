import { EventEmitter, once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { sharedNowMs } from '../../src/workers/channel.ts';
import { EngineThread, type ThreadLoss } from '../../src/workers/engine-thread.ts';
import {
  EngineThreadError,
  EngineThreads,
  type EngineThreadsObserver,
  type EngineThreadsOptions,
} from '../../src/workers/engine-threads.ts';
import type { Job, JobResult } from '../../src/workers/jobs.ts';
import { type Work, WorkEstimates } from '../../src/workers/work-estimates.ts';
import { patienceMs } from '../support/patience.ts';
import type { ScriptedData } from '../support/scripted-thread.ts';

const entry = new URL('../support/scripted-thread.ts', import.meta.url);

/** Work that nothing is known of but this guess. */
const work = (guessUs: number): Work => ({ kind: 0, size: 1, guessUs });

/** Holds the job 'wait' up until it is opened. */
function newGate() {
  const cells = new Int32Array(new SharedArrayBuffer(4));
  const open = (): void => {
    Atomics.store(cells, 0, 1);
    Atomics.notify(cells, 0);
  };
  return { open, dataOf: (): ScriptedData => ({ gate: cells }) };
}

/** What the threads told, and a way to wait for it. */
class Told implements EngineThreadsObserver {
  readonly messages: unknown[] = [];
  readonly losses: ({ index: number } & ThreadLoss)[] = [];
  readonly replacements: number[] = [];
  readonly heldUp: number[] = [];

  message(_index: number, message: unknown): void {
    this.messages.push(message);
  }
  lost(index: number, loss: ThreadLoss): void {
    this.losses.push({ index, ...loss });
  }
  replaced(index: number): void {
    this.replacements.push(index);
  }
  notReplaced(index: number): void {
    this.heldUp.push(index);
  }
}

const running: EngineThreads[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((threads) => threads.stop()));
});

function create(count: number, changes: Partial<EngineThreadsOptions> = {}) {
  const told = new Told();
  const defaults: EngineThreadsOptions = {
    ...{ count, entry },
    dataOf: (): ScriptedData => ({}),
    environmentOf: () => ({}),
  };
  // Getters stay getters.
  const options = Object.defineProperties({ ...defaults }, Object.getOwnPropertyDescriptors(changes));
  const threads = new EngineThreads(options, told);
  running.push(threads);
  return { threads, told };
}

async function start(count: number, changes: Partial<EngineThreadsOptions> = {}) {
  const created = create(count, changes);
  await created.threads.start();
  return created;
}

function job(order: string, changes: Partial<Job> = {}): Job {
  return {
    door: 0,
    payload: Buffer.from(order),
    maxAnswerBytes: 1000,
    deadlineMs: Number.MAX_VALUE,
    work: work(100),
    ...changes,
  };
}

const shown = (result: JobResult): string =>
  result.kind === 'done' ? Buffer.from(result.bytes).toString() : 'lost';

/** Jobs that were accepted, with every answer that they got. */
class Ledger {
  readonly #answers: string[][] = [];
  #open = 0;
  #settled: () => void = () => undefined;

  submit(threads: EngineThreads, index: number, order: string, changes: Partial<Job> = {}): boolean {
    const answers: string[] = [];
    const accepted = threads.submit(index, job(order, changes), (result) => {
      answers.push(shown(result));
      this.#open -= 1;
      if (this.#open === 0) this.#settled();
    });
    if (accepted) {
      this.#answers.push(answers);
      this.#open += 1;
    }
    return accepted;
  }

  /** When each has an answer, and the threads had time for a second one: what was answered, in the order of submission. */
  async all(): Promise<string[][]> {
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#settled = resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    return this.#answers;
  }
}

describe('engine threads', () => {
  it('answer every job once, whatever becomes of it and in whatever order', async () => {
    const { threads } = await start(2);
    const ledger = new Ledger();
    const orders = ['echo', 'later 1', 'echo', 'large 5', 'busy 1', 'later 9', 'backlog', 'echo'];
    const wanted: string[][] = [];
    for (let turn = 0; turn < 1000; turn += 1) {
      const index = turn % 2;
      const order = orders[turn % orders.length] ?? '';
      expect(ledger.submit(threads, index, order)).toBe(true);
      wanted.push([order === 'large 5' ? '55555' : `${index} ${order}`]);
      if (turn % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(threads.pendingJobs).toBeGreaterThan(0);
    expect(await ledger.all()).toEqual(wanted);
    expect(threads.pendingJobs).toBe(0);
    expect(threads.expectedWaitMs(0)).toBe(0);
  });

  it('are woken again after they slept, each time', async () => {
    const { threads } = await start(1);
    for (let turn = 0; turn < 200; turn += 1) {
      const ledger = new Ledger();
      ledger.submit(threads, 0, `echo ${turn}`);
      if (turn % 20 === 0) expect(await ledger.all()).toEqual([[`0 echo ${turn}`]]);
      else await vi.waitFor(() => expect(threads.pendingJobs).toBe(0), { timeout: patienceMs, interval: 0 });
    }
  });

  it('refuse what the ring cannot hold, without effect, and take jobs again later', async () => {
    const gate = newGate();
    const { threads } = await start(1, gate);
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'wait');
    const payload = Buffer.from(`echo ${'x'.repeat(100_000)}`);
    let accepted = 0;
    while (accepted < 1000 && ledger.submit(threads, 0, '', { payload })) accepted += 1;
    expect(accepted).toBeGreaterThan(15);
    expect(accepted).toBeLessThan(100);
    expect(threads.pendingJobs).toBe(accepted + 1);
    gate.open();
    const answers = await ledger.all();
    expect(answers.slice(1)).toEqual(Array.from({ length: accepted }, () => [`0 ${payload.toString()}`]));
    expect(ledger.submit(threads, 0, '', { payload })).toBe(true);
    await ledger.all();
  });

  it('give answers that fill the ring of answers many times over', async () => {
    const { threads } = await start(1);
    const ledger = new Ledger();
    const sizes = Array.from({ length: 200 }, (_, count) => 100_000 - count);
    for (const size of sizes) ledger.submit(threads, 0, `large ${size}`);
    // This thread does not look while that one writes more than fits.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    const answers = await ledger.all();
    expect(answers.map((once) => once.map((text) => text.length))).toEqual(sizes.map((size) => [size]));
  });

  it('take jobs and give answers of megabytes, in order with small ones', async () => {
    const { threads } = await start(1);
    const ledger = new Ledger();
    const wanted: number[] = [];
    for (let count = 0; count < 20; count += 1) {
      const size = count % 3 === 0 ? 1_500_000 + count : 10 + count;
      const payload = Buffer.from(`echo ${'x'.repeat(size - 5)}`);
      expect(ledger.submit(threads, 0, '', { payload })).toBe(true);
      ledger.submit(threads, 0, `large ${size}`);
      wanted.push(size + 2, size);
    }
    const answers = await ledger.all();
    expect(answers.map((once) => once.map((text) => text.length))).toEqual(wanted.map((size) => [size]));
    expect(answers[0]?.[0]?.slice(0, 9)).toBe('0 echo xx');
  });

  it('refuse large jobs beyond a bound, but never a single one, and take them again later', async () => {
    const gate = newGate();
    const { threads } = await start(1, gate);
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'wait');
    const payload = Buffer.from(`echo ${'x'.repeat(4_000_000)}`);
    let accepted = 0;
    while (accepted < 100 && ledger.submit(threads, 0, '', { payload })) accepted += 1;
    expect(accepted).toBe(8);
    expect(ledger.submit(threads, 0, 'echo small ones go on')).toBe(true);
    gate.open();
    expect((await ledger.all()).slice(1).map(([text]) => text?.length)).toEqual([
      ...Array.from({ length: accepted }, () => payload.length + 2),
      23,
    ]);
    expect(ledger.submit(threads, 0, '', { payload: Buffer.alloc(40_000_000, 'x') })).toBe(true);
    await ledger.all();
  });

  it('hear of messages that were answered without them, and of everything else', async () => {
    const { threads, told } = await start(2);
    threads.skipped(1, 0, Buffer.from('some message'));
    threads.post(0, { kind: 'hello' });
    threads.broadcast('all');
    await vi.waitFor(
      () =>
        expect(new Set(told.messages.map((message) => JSON.stringify(message)))).toEqual(
          new Set([
            '{"index":1,"skipped":"some message"}',
            '{"index":0,"heard":{"kind":"hello"}}',
            '{"index":0,"heard":"all"}',
            '{"index":1,"heard":"all"}',
          ]),
        ),
      patienceMs,
    );
  });

  it('work on their backlog when no job waits', async () => {
    const { threads, told } = await start(1);
    const ledger = new Ledger();
    for (let count = 0; count < 50; count += 1) ledger.submit(threads, 0, 'backlog');
    await ledger.all();
    await vi.waitFor(() => expect(told.messages).toContainEqual({ index: 0, backlog: 'done' }), patienceMs);
  });
});

describe('a mistake in a handler', () => {
  it.each(['mistake', 'late-mistake'])(
    '(%s) costs its own job the analysis, and the thread goes on',
    async (order) => {
      const { threads, told } = await start(1);
      const ledger = new Ledger();
      for (const what of ['echo', 'later 5', order, 'echo']) ledger.submit(threads, 0, what);
      expect(await ledger.all()).toEqual([['0 echo'], ['0 later 5'], ['lost'], ['0 echo']]);
      expect(told.messages).toEqual([{ index: 0, failed: expect.stringContaining('mistake in a handler') }]);
      expect([told.losses, threads.pendingJobs]).toEqual([[], 0]);
    },
  );
});

describe('a thread that ends', () => {
  const wantedLoss = { index: 0, transactions: 7 };

  it.each([
    ['throws outside of its handlers', 'throw', /thrown on demand/],
    ['exits', 'exit', /exit code 5/],
    ['does not come back', 'hang', /took no job for 1 s/],
  ])(
    'because a job %s: all its jobs are answered once, it is replaced and takes jobs again',
    async (_what, order, cause) => {
      const { threads, told } = await start(2, { stuckMs: 1000 });
      const [mine, others] = [new Ledger(), new Ledger()];
      const before = new Ledger();
      before.submit(threads, 0, 'echo');
      await before.all();
      for (const what of ['echo', 'later 60000', order, 'echo', 'refuse']) mine.submit(threads, 0, what);
      for (let count = 0; count < 20; count += 1) others.submit(threads, 1, 'echo');
      expect(await mine.all()).toEqual([['0 echo'], ['lost'], ['lost'], ['lost'], ['lost']]);
      expect(await others.all()).toEqual(Array.from({ length: 20 }, () => ['1 echo']));
      expect(told.losses).toMatchObject([{ ...wantedLoss, jobs: 4 }]);
      expect(String(told.losses[0]?.cause)).toMatch(cause);
      await vi.waitFor(() => expect(told.replacements).toEqual([0]), patienceMs);
      expect([threads.isReady(0), threads.pendingJobs, threads.readyThreads]).toEqual([true, 0, 2]);
      const again = new Ledger();
      expect(again.submit(threads, 0, 'echo')).toBe(true);
      expect(await again.all()).toEqual([['0 echo']]);
      expect([told.losses.length, told.replacements]).toEqual([1, [0]]);
    },
  );

  it('is replaced once more when its replacement does not become ready', async () => {
    const starts: ScriptedData[] = [{}, { start: 'hang' }, {}];
    const { threads, told } = await start(1, {
      dataOf: () => starts.shift() ?? {},
      // Little time for the one that hangs, and enough for the others on any machine.
      get startMs() {
        return starts.length === 1 ? 1000 : 60_000;
      },
      stuckMs: 1000,
    });
    new Ledger().submit(threads, 0, 'throw');
    await vi.waitFor(() => expect(told.replacements).toEqual([0]), patienceMs);
    expect(told.losses.map(({ cause }) => String(cause))).toEqual([
      expect.stringContaining('thrown on demand'),
      expect.stringContaining('was not ready within 1 s'),
    ]);
    expect([threads.isReady(0), starts]).toEqual([true, []]);
  });

  it('takes nothing until it is replaced, and is not chosen', async () => {
    const { threads, told } = await start(2);
    new Ledger().submit(threads, 1, 'throw');
    await vi.waitFor(() => expect(told.losses).toHaveLength(1), patienceMs);
    expect(threads.isReady(1)).toBe(false);
    expect(threads.submit(1, job('echo'), () => expect.unreachable())).toBe(false);
    threads.skipped(1, 0, Buffer.from('nobody hears this'));
    threads.post(1, 'nor this');
    expect([threads.leastBusy(), threads.leastBusy()]).toEqual([0, 0]);
    await vi.waitFor(() => expect(told.replacements).toEqual([1]), patienceMs);
    expect(new Set([threads.leastBusy(), threads.leastBusy()])).toEqual(new Set([0, 1]));
    expect(told.messages).toEqual([]);
  });

  it('is replaced again when its replacement cannot even be created, or dies of its start', async () => {
    let asked = 0;
    const { threads, told } = await start(1, {
      dataOf: (): ScriptedData => {
        asked += 1;
        if (asked === 2) throw new Error('no memory for a thread');
        return asked === 3 ? { start: 'throw' } : {};
      },
    });
    new Ledger().submit(threads, 0, 'exit');
    await vi.waitFor(() => expect(told.replacements).toEqual([0]), patienceMs);
    expect(told.losses.map(({ jobs, cause }) => [jobs, String(cause)])).toEqual([
      [1, 'Error: exit code 5'],
      [0, 'Error: no memory for a thread'],
      [0, 'Error: no start today'],
    ]);
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'echo');
    expect(await ledger.all()).toEqual([['0 echo']]);
  });

  it('is not one that works on its backlog while an answer is not due yet', async () => {
    const { threads, told } = await start(1, { stuckMs: 2000 });
    const ledger = new Ledger();
    for (let count = 0; count < 14; count += 1) ledger.submit(threads, 0, 'backlog 250');
    ledger.submit(threads, 0, 'later 3000');
    expect((await ledger.all()).at(-1)).toEqual(['0 later 3000']);
    expect(told.losses).toEqual([]);
  });

  it('is not one that is only busy', async () => {
    const { threads, told } = await start(1, { stuckMs: 1000 });
    const ledger = new Ledger();
    for (let count = 0; count < 30; count += 1) ledger.submit(threads, 0, 'busy 50');
    expect(await ledger.all()).toEqual(Array.from({ length: 30 }, () => ['0 busy 50']));
    expect(told.losses).toEqual([]);
  });
});

describe('a thread in native code', () => {
  /** Of each thread that was started, in that order. */
  const natives: Int32Array<SharedArrayBuffer>[] = [];
  afterEach(() => natives.splice(0).forEach(release));

  function release(native: Int32Array): void {
    Atomics.store(native, 0, 1);
    Atomics.notify(native, 0);
  }

  function dataOf(): ScriptedData {
    const native = new Int32Array(new SharedArrayBuffer(8));
    natives.push(native);
    return { native };
  }

  /** How often native code of the thread came to its end. */
  const cameBack = (thread: number): number | undefined => natives[thread]?.[1];

  it('is not ended there when it is stuck: it ends itself afterwards, and takes no further job', async () => {
    const { threads, told } = await start(1, { stuckMs: 1000, dataOf });
    const mine = new Ledger();
    for (const order of ['native', 'native', 'echo']) mine.submit(threads, 0, order);
    expect(await mine.all()).toEqual([['lost'], ['lost'], ['lost']]);
    expect(told.losses).toMatchObject([{ jobs: 3, transactions: 7, inNativeCode: true }]);
    await vi.waitFor(() => expect(told.replacements).toEqual([0]), patienceMs);
    const again = new Ledger();
    again.submit(threads, 0, 'echo');
    expect(await again.all()).toEqual([['0 echo']]);
    expect([threads.abandonedThreads, cameBack(0)]).toEqual([1, 0]);
    natives.slice(0, 1).forEach(release);
    await vi.waitFor(() => expect(threads.abandonedThreads).toBe(0), patienceMs);
    expect([cameBack(0), told.losses.length, told.messages]).toEqual([1, 1, ['in native code']]);
  });

  it('is replaced only while few others are still there, or as soon as one of them has ended', async () => {
    const { threads, told } = await start(1, { stuckMs: 500, dataOf });
    for (const round of [1, 2]) {
      await vi.waitFor(() => expect(threads.isReady(0)).toBe(true), patienceMs);
      threads.submit(0, job('native'), () => undefined);
      await vi.waitFor(() => expect(told.losses).toHaveLength(round), patienceMs);
    }
    await vi.waitFor(() => expect(told.heldUp).toEqual([0]), patienceMs);
    expect([threads.abandonedThreads, threads.readyThreads, told.replacements]).toEqual([2, 0, [0]]);
    natives.slice(0, 1).forEach(release);
    await vi.waitFor(() => expect(told.replacements).toEqual([0, 0]), patienceMs);
    expect([threads.abandonedThreads, threads.readyThreads, natives.length]).toEqual([1, 1, 3]);
  });

  it('keeps nobody from stopping, and is not ended by it', async () => {
    const { threads, told } = await start(2, { dataOf });
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'native');
    ledger.submit(threads, 1, 'later 60000');
    await vi.waitFor(() => expect(told.messages).toEqual(['in native code']), patienceMs);
    await threads.stop();
    expect(await ledger.all()).toEqual([['lost'], ['lost']]);
    expect([threads.abandonedThreads, threads.keepOutOfNativeCode()]).toEqual([1, false]);
    natives.forEach(release);
    await vi.waitFor(() => expect(threads.abandonedThreads).toBe(0), patienceMs);
    expect([cameBack(0), threads.keepOutOfNativeCode()]).toEqual([1, true]);
  });

  it('never gets there again once the process is about to end', async () => {
    const { threads, told } = await start(1, { dataOf });
    expect(threads.keepOutOfNativeCode()).toBe(true);
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'native');
    expect(await ledger.all()).toEqual([['lost']]);
    expect([told.messages, told.losses[0]?.inNativeCode]).toEqual([[], false]);
  });

  it('is not stuck while one call after the other returns', async () => {
    const { threads, told } = await start(1, { stuckMs: 2000 });
    const ledger = new Ledger();
    for (const order of ['natives 250', 'echo']) ledger.submit(threads, 0, order);
    expect(await ledger.all()).toEqual([['0 natives 250'], ['0 echo']]);
    expect(told.losses).toEqual([]);
  });
});

describe('the choice of a thread', () => {
  it('goes round while all are idle', async () => {
    const { threads } = await start(3);
    const chosen = Array.from({ length: 6 }, () => threads.leastBusy());
    expect(chosen).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('goes round again after work whose estimates are fractions', async () => {
    const { threads } = await start(3);
    const ledger = new Ledger();
    for (const guessUs of [0.1, 0.2, 0.7, 150.02, 1e9]) {
      for (const index of [0, 1, 1, 2, 2, 2]) ledger.submit(threads, index, 'echo', { work: work(guessUs) });
    }
    await ledger.all();
    expect([0, 1, 2].map((index) => threads.expectedWaitMs(index))).toEqual([0, 0, 0]);
    expect(Array.from({ length: 6 }, () => threads.leastBusy())).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('falls on the one with the least work, not the fewest jobs', async () => {
    const { threads } = await start(3);
    const ledger = new Ledger();
    ledger.submit(threads, 0, 'later 300', { work: work(5000) });
    for (let count = 0; count < 3; count += 1) ledger.submit(threads, 1, 'later 300', { work: work(100) });
    ledger.submit(threads, 2, 'later 300', { work: work(1000) });
    expect(threads.leastBusy()).toBe(1);
    ledger.submit(threads, 1, 'later 300', { work: work(1000) });
    expect(threads.leastBusy()).toBe(2);
    await ledger.all();
  });

  it('falls on an idle one rather than on one whose job takes longer than it should', async () => {
    const { threads, told } = await start(2);
    threads.submit(0, job('hang'), () => undefined);
    await vi.waitFor(() => expect(told.messages).toContain('hanging'), patienceMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(threads.expectedWaitMs(0)).toBeGreaterThan(0);
    expect([threads.leastBusy(), threads.leastBusy()]).toEqual([1, 1]);
  });

  it('knows how long the job under way has run', async () => {
    const { threads, told } = await start(1);
    threads.submit(0, job('hang', { work: work(1e9) }), () => undefined);
    await vi.waitFor(() => expect(told.messages).toContain('hanging'), patienceMs);
    const before = threads.expectedWaitMs(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const after = threads.expectedWaitMs(0);
    expect(before).toBeLessThanOrEqual(1e6);
    expect(before - after).toBeGreaterThan(45);
  });

  it('learns what jobs take, for all threads, from jobs that were worked on', async () => {
    const { threads } = await start(2);
    const waitOf = async (size: number): Promise<number> => {
      const ledger = new Ledger();
      ledger.submit(threads, 0, 'later 1', { work: { kind: 1, size, guessUs: 1000 } });
      const waitMs = threads.expectedWaitMs(0);
      await ledger.all();
      return waitMs;
    };
    expect(await waitOf(100_000)).toBe(1);
    const worked = new Ledger();
    for (let count = 0; count < 50; count += 1)
      worked.submit(threads, 1, 'busy 2', { work: { kind: 1, size: 100_000, guessUs: 1000 } });
    await worked.all();
    const learned = await waitOf(100_000);
    expect(learned).toBeGreaterThan(1.9);
    const late = new Ledger();
    for (let count = 0; count < 200; count += 1) {
      late.submit(threads, 0, 'echo', { deadlineMs: 0, work: { kind: 1, size: 100_000, guessUs: 1000 } });
    }
    await late.all();
    expect(await waitOf(100_000)).toBe(learned);
    expect(await waitOf(1000)).toBe(1);
  });
});

describe('the start', () => {
  it.each([
    ['throws', { dataOf: () => ({ start: 'throw' }) }, /engine thread \d: no start today/],
    ['exits', { dataOf: () => ({ start: 'exit' }) }, /engine thread \d: exit code 3/],
    ['hangs', { dataOf: () => ({ start: 'hang' }), startMs: 300, stuckMs: 1000 }, /not ready within 0.3 s/],
    ['is of no file', { entry: new URL('./nowhere.ts', import.meta.url) }, /engine thread \d: .*nowhere/],
    ['cannot be given its data', { dataOf: () => () => undefined }, /could not be cloned/],
  ])('fails when one thread %s, and nothing is left running or replaced', async (_what, changes, message) => {
    const { threads, told } = create(2, changes);
    const started = threads.start();
    await expect(started).rejects.toThrow(EngineThreadError);
    await expect(started).rejects.toThrow(message);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(told).toEqual(new Told());
    expect(threads.readyThreads).toBe(0);
    expect(threads.leastBusy()).toBeUndefined();
  });

  it('fails when only one of them does', async () => {
    const { threads, told } = create(3, {
      dataOf: (index): ScriptedData => (index === 1 ? { start: 'exit' } : {}),
    });
    await expect(threads.start()).rejects.toThrow('engine thread 1: exit code 3');
    expect(threads.readyThreads).toBe(0);
    expect(told.replacements).toEqual([]);
  });
});

describe('the stop', () => {
  it('ends all threads, tells every pending job and replaces nobody', async () => {
    const { threads, told } = await start(2);
    const ledger = new Ledger();
    for (const order of ['hang', 'echo']) ledger.submit(threads, 0, order);
    ledger.submit(threads, 1, 'later 60000');
    await threads.stop();
    expect(await ledger.all()).toEqual([['lost'], ['lost'], ['lost']]);
    expect(threads.submit(0, job('echo'), () => expect.unreachable())).toBe(false);
    expect([threads.readyThreads, threads.liveTransactions, told.losses, told.replacements]).toEqual([
      ...[0, 0],
      ...[[], []],
    ]);
  });
});

describe('how long a thread is stuck', () => {
  it('does not contain the time in which the whole process stood still', async () => {
    const messages = new EventEmitter();
    let told = 0;
    const thread = new EngineThread(
      entry,
      { index: 0, data: {} },
      () => new WorkEstimates(),
      {},
      {
        message: (message) => messages.emit(message === 'hanging' ? 'hanging' : 'ready'),
        gone: () => {
          told += 1;
        },
      },
    );
    await once(messages, 'ready');
    expect(thread.stuckForMs(1000)).toBe(0);
    thread.submit(job('hang'), () => undefined);
    await once(messages, 'hanging');
    // It took one since the last look.
    expect(thread.stuckForMs(1000)).toBe(0);
    const stoodStillAtMs = sharedNowMs();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    expect(sharedNowMs() - stoodStillAtMs).toBeGreaterThan(90);
    expect(thread.stuckForMs(10)).toBe(10);
    thread.giveUp('the end of this test');
    await thread.ended;
    expect([thread.alive, told]).toEqual([false, 1]);
  });
});
