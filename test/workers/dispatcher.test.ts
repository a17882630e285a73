import { describe, expect, it, vi } from 'vitest';
import { sharedNowMs } from '../../src/workers/channel.ts';
import { type Dispatched, Dispatcher } from '../../src/workers/dispatcher.ts';
import { Handlers } from '../../src/workers/handlers.ts';
import { InlineEngine } from '../../src/workers/inline-engine.ts';
import type { Job, JobHandler, JobResult, JobTaker } from '../../src/workers/jobs.ts';

const job = (deadlineMs = sharedNowMs() + 60_000): Omit<Job, 'door'> => ({
  payload: Buffer.from('payload'),
  maxAnswerBytes: 1000,
  deadlineMs,
  work: { kind: 0, size: 7, guessUs: 1 },
});

/** Two engines of which a test says what they do. */
class Engines implements JobTaker {
  readonly taken: { readonly index: number; readonly job: Job; readonly end: (result: JobResult) => void }[] =
    [];
  readonly told: string[] = [];
  ready = [true, true];
  free: number | undefined = 1;
  waitMs = 0;
  full = false;

  leastBusy(): number | undefined {
    return this.free;
  }
  isReady(index: number): boolean {
    return this.ready[index] === true;
  }
  expectedWaitMs(): number {
    return this.waitMs;
  }
  submit(index: number, taken: Job, end: (result: JobResult) => void): boolean {
    if (!this.full) this.taken.push({ index, job: taken, end });
    return !this.full;
  }
  skipped(index: number, door: number, payload: Uint8Array): void {
    this.told.push(`${index} ${door} ${Buffer.from(payload).toString()}`);
  }
  liveTransactionsOf(door: number): number {
    return 10 * door;
  }
}

function setUp(door = 3) {
  const engines = new Engines();
  const dispatcher = new Dispatcher(engines, door);
  const results: Dispatched[] = [];
  const dispatch = (engine: number | undefined, given = job()): void =>
    dispatcher.dispatch(engine, given, (result) => results.push(result));
  return { engines, dispatcher, results, dispatch };
}

describe('the engine for a job', () => {
  it.each([
    ['the owner of its transaction, when that takes jobs', 0, 0],
    ['the least busy one, when its transaction has no owner', undefined, 1],
    ['the least busy one, when the owner is gone', 2, 1],
  ])('is %s', (_which, owner, engine) => {
    expect(setUp().dispatcher.engineFor(owner)).toBe(engine);
  });

  it('is none while no engine takes jobs', () => {
    const { engines, dispatcher } = setUp();
    engines.free = undefined;
    expect(dispatcher.engineFor(undefined)).toBeUndefined();
  });
});

describe('a job', () => {
  it('carries the number of its door to the engine, and the answer back', () => {
    const { engines, results, dispatch } = setUp();
    dispatch(1);
    expect(engines.taken).toMatchObject([{ index: 1, job: { door: 3 } }]);
    engines.taken[0]?.end({ kind: 'done', bytes: Buffer.from('answer') });
    expect(results).toEqual([{ kind: 'done', bytes: Buffer.from('answer') }]);
  });

  it.each<[string, string, (engines: Engines) => void]>([
    [
      'that would wait beyond its deadline',
      'overload',
      (engines) => Object.assign(engines, { waitMs: 70_000 }),
    ],
    ['that finds its engine full', 'overload', (engines) => Object.assign(engines, { full: true })],
  ])('%s is shed at once: %s', (_which, reason, prepare) => {
    const { engines, results, dispatch } = setUp();
    prepare(engines);
    dispatch(1);
    expect(results).toEqual([{ kind: 'shed', reason }]);
    expect(engines.taken).toEqual([]);
  });

  it('without an engine is shed at once', () => {
    const { results, dispatch } = setUp();
    dispatch(undefined);
    expect(results).toEqual([{ kind: 'shed', reason: 'no-engine' }]);
  });

  it('whose engine ends is shed then', () => {
    const { engines, results, dispatch } = setUp();
    dispatch(1);
    engines.taken[0]?.end({ kind: 'lost' });
    expect(results).toEqual([{ kind: 'shed', reason: 'engine-lost' }]);
  });

  it('that was answered elsewhere is told of in the words of its door', () => {
    const { engines, dispatcher } = setUp();
    dispatcher.skipped(1, Buffer.from('word'));
    expect(engines.told).toEqual(['1 3 word']);
  });
});

describe('several doors in one engine', () => {
  const unheard = (): void => undefined;

  function handler(name: string, backlog: string[] = []): JobHandler {
    return {
      liveTransactions: name.length,
      handle: ({ payload }, answer) => answer(Buffer.from(`${name} ${payload.toString()}`)),
      skipped: () => undefined,
      workOnBacklog: () => backlog.pop() !== undefined,
    };
  }

  it('have a handler each', () => {
    const engine = new InlineEngine(new Handlers([handler('first'), handler('second')], unheard));
    const answers: string[] = [];
    for (const door of [1, 0]) {
      new Dispatcher(engine, door).dispatch(0, job(), (result) => {
        if (result.kind === 'done') answers.push(Buffer.from(result.bytes).toString());
      });
    }
    expect(answers).toEqual(['second payload', 'first payload']);
  });

  it('count the transactions of each door by itself', () => {
    const engine = new InlineEngine(new Handlers([handler('first'), handler('second')], unheard));
    expect([0, 1].map((door) => new Dispatcher(engine, door).liveTransactions)).toEqual([5, 6]);
  });

  it.each<[string, JobHandler['handle']]>([
    [
      'throws',
      () => {
        throw new Error('ours');
      },
    ],
    ['rejects', () => Promise.reject(new Error('ours'))],
    [
      'answers and throws',
      (_job, answer) => {
        answer(Buffer.from('first'));
        throw new Error('ours');
      },
    ],
    [
      'answers twice and throws',
      (_job, answer) => {
        answer(Buffer.from('first'));
        answer(Buffer.from('second'));
        throw new Error('ours');
      },
    ],
  ])('contain a handler that %s: one result, and the mistake is told with its door', async (what, handle) => {
    const told: unknown[] = [];
    const faulty = { ...handler('first'), handle };
    const engine = new InlineEngine(
      new Handlers([handler('zero'), faulty], (...mistake) => told.push(mistake)),
    );
    const results: string[] = [];
    new Dispatcher(engine, 1).dispatch(0, job(), (result) => results.push(result.kind));
    await vi.waitFor(() => expect(results).toEqual([what.startsWith('answers') ? 'done' : 'shed']));
    expect(told).toEqual([[1, expect.any(Error)]]);
  });

  it('contain mistakes over what was answered elsewhere or put off, and others have their turn', () => {
    const told: number[] = [];
    const mistake = (): never => {
      throw new Error('ours');
    };
    const faulty = { ...handler('first'), skipped: mistake, workOnBacklog: mistake };
    const backlog = ['piece'];
    const handlers = new Handlers([faulty, handler('second', backlog)], (door) => told.push(door));
    handlers.skipped(0, Buffer.from('word'));
    expect([handlers.workOnBacklog(), backlog]).toEqual([true, []]);
    expect(handlers.workOnBacklog()).toBe(false);
    expect(told).toEqual([0, 0, 0]);
  });

  it('take turns with what was put off', () => {
    const [first, second] = [Array<string>(2).fill('a'), Array<string>(2).fill('b')];
    const handlers = new Handlers([handler('first', first), handler('second', second)], unheard);
    handlers.workOnBacklog();
    handlers.workOnBacklog();
    expect([first.length, second.length]).toEqual([1, 1]);
    handlers.workOnBacklog();
    handlers.workOnBacklog();
    expect(handlers.workOnBacklog()).toBe(false);
  });
});
