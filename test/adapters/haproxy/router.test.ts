import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { messageNames, type SkipReason } from '../../../src/adapters/haproxy/contract.ts';
import { formatIdentity } from '../../../src/adapters/haproxy/identity.ts';
import type { Notify, NotifyAnswer } from '../../../src/adapters/haproxy/notify.ts';
import { NotifyRouter, type PeerRelay, type RouterObserver } from '../../../src/adapters/haproxy/router.ts';
import { decodeActions, encodeMessages, type SpoeMessageInput, SpopError } from '../../../src/spop/index.ts';
import { sharedNowMs } from '../../../src/workers/channel.ts';
import { Dispatcher } from '../../../src/workers/dispatcher.ts';
import type { Job, JobResult, JobTaker } from '../../../src/workers/jobs.ts';
import {
  message,
  requestHeadersMessage,
  responseHeadersMessage,
  string,
  variablesOf,
} from '../../support/spoe-messages.ts';

const here = '1111111111111111';
const there = '2222222222222222';
const trace = 'a'.repeat(32);
const timeoutMs = 1000;
const answerOf = (...actions: number[]): Buffer => Buffer.from(actions);

// Deadlines are compared to the millisecond: the clock stands still.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Three engines of which a test says what they do. */
class Engines implements JobTaker {
  readonly jobs: { index: number; job: Job; answered: (result: JobResult) => void }[] = [];
  readonly told: string[] = [];
  ready = [true, true, true];
  free: number | undefined = 2;
  full = false;
  waitMs = 0;

  leastBusy(): number | undefined {
    return this.free;
  }
  isReady(index: number): boolean {
    return this.ready[index] === true;
  }
  expectedWaitMs(): number {
    return this.waitMs;
  }
  submit(index: number, job: Job, answered: (result: JobResult) => void): boolean {
    if (!this.full) this.jobs.push({ index, job, answered });
    return !this.full;
  }
  skipped(index: number, _door: number, payload: Uint8Array): void {
    this.told.push(`${index}: ${Buffer.from(payload).toString()}`);
  }
  liveTransactionsOf(): number {
    return 0;
  }
}

class Peers implements PeerRelay {
  readonly relayed: {
    instance: string;
    payload: Buffer;
    maxActionsBytes: number;
    timeoutMs: number;
    done: (actions?: Buffer) => void;
  }[] = [];
  readonly heard: string[] = [];
  known = new Set([there]);

  knows(instance: string): boolean {
    return this.known.has(instance);
  }
  relay(...[instance, payload, maxActionsBytes, relayTimeoutMs, done]: Parameters<PeerRelay['relay']>): void {
    this.relayed.push({
      instance,
      payload,
      maxActionsBytes,
      timeoutMs: relayTimeoutMs,
      done: (actions) => done(actions),
    });
  }
  heardOf(instance: string): void {
    this.heard.push(instance);
  }
}

function setUp({ withPeers = true } = {}) {
  const [engines, peers, told] = [new Engines(), new Peers(), [] as string[]];
  const observer: RouterObserver = {
    skipped: (reason: SkipReason) => told.push(`skipped ${reason}`),
    relayed: (answered) => told.push(answered ? 'relayed' : 'not relayed'),
  };
  const router = new NotifyRouter(
    new Dispatcher(engines, 0),
    { instance: here, processingTimeoutMs: timeoutMs, peers: withPeers ? peers : undefined },
    observer,
  );
  const ask = (from: SpoeMessageInput, changes: Partial<Notify> = {}) => {
    const answers: NotifyAnswer[] = [];
    const notify: Notify = {
      payload: encodeMessages([from]),
      maxActionsBytes: 500,
      receivedAtMs: sharedNowMs(),
      relayed: false,
      mayBeLate: true,
      ...changes,
    };
    router.answer(notify, (answer) => answers.push(answer));
    return { notify, answers };
  };
  return { engines, peers, told, ask };
}

const ownedBy = (instance: string, thread: number): string =>
  formatIdentity('77', trace, { instance, thread });
const response = (instance: string, thread: number): SpoeMessageInput =>
  responseHeadersMessage(ownedBy(instance, thread));

function variablesIn(answer: NotifyAnswer | undefined): Record<string, unknown> {
  if (answer === undefined || answer === 'late') throw new Error(`no actions: ${String(answer)}`);
  return variablesOf(answer instanceof Uint8Array ? decodeActions(Buffer.from(answer)) : answer);
}

/** Of the shares of the time-out that a message may wait. */
const deadlineOf = (notify: Notify, share: number): number => notify.receivedAtMs + share * timeoutMs;

describe('a message', () => {
  it('of a new transaction goes to the engine that is free, and its answer comes back', () => {
    const { engines, ask, told } = setUp();
    const { notify, answers } = ask(requestHeadersMessage('/'));
    expect(engines.jobs).toMatchObject([{ index: 2, job: { maxAnswerBytes: 500 } }]);
    expect(engines.jobs[0]?.job.payload).toEqual(notify.payload);
    expect(engines.jobs[0]?.job.deadlineMs).toBeCloseTo(deadlineOf(notify, 0.4), 0);
    expect(answers).toEqual([]);
    engines.jobs[0]?.answered({ kind: 'done', bytes: answerOf(1, 2) });
    expect(answers).toEqual([answerOf(1, 2)]);
    expect(told).toEqual([]);
  });

  it('has the time that HAProxy says, if it says it', () => {
    const { engines, ask } = setUp();
    const args = { processing_timeout: string('200ms') };
    const { notify } = ask(message(messageNames.requestHeaders, args));
    expect(engines.jobs[0]?.job.deadlineMs).toBeCloseTo(deadlineOf(notify, 0.4 * 0.2), 0);
  });

  it('of a transaction of ours goes to its thread, also when another is free', () => {
    const { engines, ask, peers } = setUp();
    ask(response(here, 1));
    ask(response(here, 0));
    expect(engines.jobs.map(({ index }) => index)).toEqual([1, 0]);
    expect(peers.relayed).toEqual([]);
  });

  it.each([
    ['is gone', (engines: Engines) => engines.ready.splice(1, 1, false), response(here, 1)],
    ['was never there', () => undefined, response(here, 9)],
    ['is not named', () => undefined, responseHeadersMessage('77')],
    ['is named by nonsense', () => undefined, responseHeadersMessage('77.x.y.z')],
  ])('whose thread %s goes to the one that is free', (_what, prepare, from) => {
    const { engines, ask } = setUp();
    prepare(engines);
    ask(from);
    expect(engines.jobs.map(({ index }) => index)).toEqual([2]);
  });

  it('that is no list of messages is an error of the protocol', () => {
    const { ask, engines } = setUp();
    expect(() => ask(requestHeadersMessage('/'), { payload: Buffer.from([9, 9]) })).toThrow(SpopError);
    expect(engines.jobs).toEqual([]);
  });
});

describe('a message of another agent', () => {
  it('goes there with a part of its time, as a copy, and the answer comes back', () => {
    const { engines, peers, ask, told } = setUp();
    const { notify, answers } = ask(response(there, 1));
    const [relayed] = peers.relayed;
    expect(relayed).toMatchObject({ instance: there, maxActionsBytes: 500 });
    expect(relayed?.timeoutMs).toBeGreaterThan(0.5 * timeoutMs);
    expect(relayed?.timeoutMs).toBeLessThanOrEqual(0.6 * timeoutMs);
    const before = Buffer.from(notify.payload);
    notify.payload.fill(0);
    expect(relayed?.payload).toEqual(before);
    relayed?.done(answerOf(3));
    expect(answers).toEqual([answerOf(3)]);
    expect(engines.jobs).toEqual([]);
    expect(told).toEqual(['relayed']);
  });

  it('is not sent on when it came from one', () => {
    const { engines, peers, ask } = setUp();
    ask(response(there, 1), { relayed: true });
    expect(peers.relayed).toEqual([]);
    expect(engines.jobs.map(({ index }) => index)).toEqual([2]);
  });

  it('that came from one finds its thread here', () => {
    const { engines, ask } = setUp();
    ask(response(here, 1), { relayed: true });
    expect(engines.jobs.map(({ index }) => index)).toEqual([1]);
  });

  it('that is not known is analysed here, and heard of', () => {
    const { engines, peers, ask, told } = setUp();
    const { notify } = ask(response('3'.repeat(16), 1));
    expect(peers.heard).toEqual(['3'.repeat(16)]);
    expect(peers.relayed).toEqual([]);
    expect(engines.jobs.map(({ index }) => index)).toEqual([2]);
    expect(engines.jobs[0]?.job.deadlineMs).toBeCloseTo(deadlineOf(notify, 0.4), 0);
    expect(told).toEqual([]);
  });

  it('is analysed here when there is no way to others', () => {
    const { engines, ask } = setUp({ withPeers: false });
    ask(response(there, 1));
    expect(engines.jobs.map(({ index }) => index)).toEqual([2]);
  });

  it('that fails is analysed here, with more time and the bytes that came', () => {
    const { engines, peers, ask, told } = setUp();
    const { notify, answers } = ask(response(there, 1));
    const before = Buffer.from(notify.payload);
    notify.payload.fill(0);
    peers.relayed[0]?.done(undefined);
    expect(engines.jobs.map(({ index }) => index)).toEqual([2]);
    expect(engines.jobs[0]?.job.payload).toEqual(before);
    expect(engines.jobs[0]?.job.deadlineMs).toBeCloseTo(deadlineOf(notify, 0.8), 0);
    expect(told).toEqual(['not relayed']);
    engines.jobs[0]?.answered({ kind: 'done', bytes: answerOf(4) });
    expect(answers).toEqual([answerOf(4)]);
  });

  it('that fails too late is let through', () => {
    const { peers, ask, told } = setUp();
    const { answers } = ask(response(there, 1), { receivedAtMs: sharedNowMs() - timeoutMs });
    peers.relayed[0]?.done(undefined);
    expect(variablesIn(answers[0])).toMatchObject({ verdict: 'skipped', skipped_reason: 'overload' });
    expect(told).toEqual(['not relayed', 'skipped overload']);
  });
});

describe('an answer', () => {
  const timed = (timeout: string): SpoeMessageInput =>
    requestHeadersMessage('/', [], { processing_timeout: string(timeout) });
  const longAgo = (): { receivedAtMs: number } => ({ receivedAtMs: sharedNowMs() - 201 });
  const late = { kind: 'done', bytes: answerOf(1) } as const;

  it('that comes after HAProxy gave up is none: it could be taken for the answer to the next message', () => {
    const { engines, ask } = setUp();
    const { answers } = ask(timed('400ms'), { receivedAtMs: sharedNowMs() - 100 });
    const { answers: tooLate } = ask(timed('200ms'), longAgo());
    engines.jobs[0]?.answered(late);
    expect(answers).toEqual([answerOf(1)]);
    expect(tooLate).toEqual(['late']);
  });

  it.each([
    ['nobody knows how long HAProxy waits', requestHeadersMessage('/'), true],
    ['the other side goes on only after an answer', timed('200ms'), false],
  ])('is given however late when %s', (_what, message, mayBeLate) => {
    const { engines, ask } = setUp();
    engines.full = true;
    const { answers } = ask(message, { ...longAgo(), mayBeLate });
    expect(variablesIn(answers[0])).toMatchObject({ verdict: 'skipped' });
  });

  it('that a payload breaks the protocol is given however late', () => {
    const { ask } = setUp();
    const broken = {
      ...longAgo(),
      payload: Buffer.concat([encodeMessages([timed('1ms')]), Buffer.from([9])]),
    };
    expect(() => ask(timed('1ms'), broken)).toThrow(SpopError);
  });
});

describe('a message that cannot be analysed', () => {
  const skippedFor = (reason: SkipReason, identity?: string) => ({
    ...{ request_body: false, response_body: false, verdict: 'skipped', skipped_reason: reason },
    span_id: identity === undefined ? 'skipped' : `${identity}.skipped`,
  });

  it.each([
    ['would wait too long', (engines: Engines) => (engines.waitMs = 0.41 * timeoutMs), 0],
    ['waited too long', () => undefined, 0.41 * timeoutMs],
    ['finds the ring full', (engines: Engines) => (engines.full = true), 0],
  ])('because it %s is let through at once, and its owner is told', (_what, prepare, ageMs) => {
    const { engines, ask, told } = setUp();
    prepare(engines);
    const receivedAtMs = sharedNowMs() - ageMs;
    const { answers } = ask(response(here, 1), { receivedAtMs });
    expect(variablesIn(answers[0])).toEqual(skippedFor('overload', ownedBy(here, 1)));
    expect(answers).toHaveLength(1);
    expect(engines.jobs).toEqual([]);
    expect(engines.told).toEqual([`1: ${messageNames.responseHeaders}\n${ownedBy(here, 1)}`]);
    expect(told).toEqual(['skipped overload']);
  });

  it('and begins a transaction is let through, and there is nobody to tell', () => {
    const { engines, ask } = setUp();
    engines.full = true;
    const { answers } = ask(requestHeadersMessage('/'));
    expect(variablesIn(answers[0])).toEqual(skippedFor('overload'));
    expect(engines.told).toEqual([]);
  });

  it('is begun when it can wait just so long', () => {
    const { engines, ask } = setUp();
    engines.waitMs = 0.35 * timeoutMs;
    ask(response(here, 1));
    expect(engines.jobs).toHaveLength(1);
  });

  it.each([
    ['ours is told', here, [`1: ${messageNames.requestBody}\n${ownedBy(here, 1)}`]],
    ["another agent's cannot be told", there, []],
  ])('because its end is missing is let through, and an owner of %s', (_what, instance, wanted) => {
    const { engines, peers, ask, told } = setUp();
    const large = message(messageNames.requestBody, {
      span_id: string(ownedBy(instance, 1)),
      body: string('x'.repeat(5_000)),
    });
    const payload = encodeMessages([large]).subarray(0, 1_000);
    const { answers } = ask(large, { payload, missingBytes: 4_000 });
    expect(variablesIn(answers[0])).toEqual(skippedFor('too-large', ownedBy(instance, 1)));
    expect([engines.jobs, peers.relayed, engines.told, told]).toEqual([
      [],
      [],
      wanted,
      ['skipped too-large'],
    ]);
  });

  it('for want of any engine says so', () => {
    const { engines, ask, told } = setUp();
    engines.free = undefined;
    engines.ready = [];
    const { answers } = ask(response(here, 1));
    expect(variablesIn(answers[0])).toEqual(skippedFor('no-engine', ownedBy(here, 1)));
    expect(told).toEqual(['skipped no-engine']);
  });

  it('because its engine died says so', () => {
    const { engines, ask, told } = setUp();
    const { answers } = ask(response(here, 1));
    engines.jobs[0]?.answered({ kind: 'lost' });
    expect(variablesIn(answers[0])).toEqual(skippedFor('engine-lost', ownedBy(here, 1)));
    expect(told).toEqual(['skipped engine-lost']);
  });
});
