import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import type { SkipReason } from '../../../src/adapters/haproxy/contract.ts';
import { NotifyJobs } from '../../../src/adapters/haproxy/handler.ts';
import { NotifyHandler, type NotifyObserver } from '../../../src/adapters/haproxy/notify-handler.ts';
import { encodeSkipped } from '../../../src/adapters/haproxy/notify-route.ts';
import { BlockPages } from '../../../src/engine/block-page.ts';
import { decodeActions, encodeMessages } from '../../../src/spop/index.ts';
import { sharedNowMs } from '../../../src/workers/channel.ts';
import { Handlers } from '../../../src/workers/handlers.ts';
import { InlineEngine } from '../../../src/workers/inline-engine.ts';
import { type Job, type JobResult, RefusedJob } from '../../../src/workers/jobs.ts';
import {
  requestBodyMessage,
  requestHeadersMessage,
  responseHeadersMessage,
  variablesOf,
} from '../../support/spoe-messages.ts';
import { jsonHeaders, testEngine } from '../../support/test-engine.ts';

const silent: NotifyObserver = {
  message: () => undefined,
  failed: () => undefined,
  unknownMessage: () => undefined,
  malformed: () => undefined,
  configurationMismatch: () => undefined,
  pageSubstituted: () => undefined,
  variablesDropped: () => undefined,
};

function setUp() {
  const { engine, recorder } = testEngine();
  const told: (SkipReason | unknown)[] = [];
  const handler = new NotifyHandler(engine, new BlockPages(), silent, 60_000);
  const jobs = new NotifyJobs(handler, {
    skipped: (reason) => told.push(reason),
    frameFailed: (cause) => told.push(cause),
  });
  const answers: Record<string, unknown>[] = [];
  const answer = (bytes: Uint8Array): void => {
    answers.push(variablesOf(decodeActions(Buffer.from(bytes))));
  };
  return { engine, recorder, handler, jobs, told, answers, answer };
}

const inTime = (payload: Buffer): Job => ({
  ...{
    door: 0,
    payload,
    maxAnswerBytes: 16_000,
    deadlineMs: sharedNowMs() + 60_000,
    work: { kind: 0, size: 1, guessUs: 1 },
  },
});
const late = (payload: Buffer): Job => ({ ...inTime(payload), deadlineMs: sharedNowMs() - 1 });

describe('a job', () => {
  it('is answered with the encoded actions of its messages', () => {
    const { jobs, answer, answers, told } = setUp();
    jobs.handle(inTime(encodeMessages([requestHeadersMessage('/?q=attack-block')])), answer);
    expect(answers).toMatchObject([{ blocked: true, verdict: 'block' }]);
    expect(told).toEqual([]);
  });

  it('that takes time is answered once, later', async () => {
    const { jobs, answer, answers } = setUp();
    const headers = [...jsonHeaders, ['content-encoding', 'gzip']] as const;
    const body = requestBodyMessage(undefined, gzipSync('{"q":"attack-block"}'));
    jobs.handle(inTime(encodeMessages([requestHeadersMessage('/', headers), body])), answer);
    expect(answers).toEqual([]);
    await vi.waitFor(() => expect(answers).toMatchObject([{ blocked: true }]));
  });

  it('that comes too late is not begun, and its transaction knows', () => {
    const { jobs, answer, answers, told, recorder } = setUp();
    jobs.handle(inTime(encodeMessages([requestHeadersMessage('/')])), answer);
    const identity = String(answers[0]?.['span_id']);
    jobs.handle(late(encodeMessages([responseHeadersMessage(identity)])), answer);
    expect(answers[1]).toMatchObject({ verdict: 'skipped', skipped_reason: 'overload' });
    expect(recorder.reasons).toEqual(['skipped']);
    expect(told).toEqual(['overload']);
    jobs.handle(late(encodeMessages([requestHeadersMessage('/?q=attack-block')])), answer);
    expect(answers[2]).toMatchObject({ verdict: 'skipped' });
    expect(recorder.runs).toHaveLength(1);
  });

  it('that is no list of messages is refused with the code of the protocol', () => {
    const { jobs, answer, answers } = setUp();
    const broken = inTime(Buffer.from([3, 65]));
    expect(() => jobs.handle(broken, answer)).toThrow(RefusedJob);
    expect(() => jobs.handle(broken, answer)).toThrow(expect.objectContaining({ code: 'SPOP_OUT_OF_BYTES' }));
    expect(answers).toEqual([]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('ours');
      },
    ],
    ['rejects', () => Promise.reject(new Error('ours'))],
    [
      'plans what cannot be encoded',
      () => [{ kind: 'set-var', scope: 'txn', name: 'x', value: { type: 'int32', value: 2 ** 40 } }],
    ],
  ])('whose handler %s is answered as a mistake of ours', async (_what, handle) => {
    const { jobs, handler, answer, answers, told } = setUp();
    handler.handle = handle as unknown as NotifyHandler['handle'];
    jobs.handle(inTime(encodeMessages([requestHeadersMessage('/')])), answer);
    await vi.waitFor(() =>
      expect(answers).toEqual([
        { request_body: false, response_body: false, span_id: 'error', verdict: 'error' },
      ]),
    );
    expect(told).toEqual([expect.any(Error)]);
  });

  it('that was answered elsewhere is noted', () => {
    const { jobs, answer, answers, recorder } = setUp();
    jobs.handle(inTime(encodeMessages([requestHeadersMessage('/')])), answer);
    jobs.skipped(encodeSkipped('http-response-headers-msg', String(answers[0]?.['span_id'])));
    expect(recorder.reasons).toEqual(['skipped']);
  });
});

describe('the engine in the I/O thread', () => {
  function inline() {
    const { jobs, handler, recorder } = setUp();
    const results: JobResult['kind'][] = [];
    const engine = new InlineEngine(new Handlers([jobs]));
    const submit = (payload: Buffer) => engine.submit(0, inTime(payload), ({ kind }) => results.push(kind));
    return { engine, handler, recorder, results, submit };
  }

  it('answers and refuses at once, exactly once', () => {
    const { results, submit } = inline();
    expect(submit(encodeMessages([requestHeadersMessage('/')]))).toBe(true);
    expect(submit(Buffer.from([3, 65]))).toBe(true);
    expect(results).toEqual(['done', 'refused']);
  });

  it('is the only one, always there', () => {
    const { engine } = inline();
    expect([engine.leastBusy(), engine.isReady(0), engine.isReady(1), engine.expectedWaitMs()]).toEqual([
      ...[0, true, false, 0],
    ]);
  });

  it('works on what waits, one piece each turn of the event loop', async () => {
    const { handler, submit } = inline();
    const turns: number[] = [];
    let turn = 0;
    let left = 5;
    handler.workOnBacklog = () => {
      turns.push(turn);
      left -= 1;
      return left > 0;
    };
    submit(encodeMessages([requestHeadersMessage('/')]));
    submit(encodeMessages([requestHeadersMessage('/')]));
    expect(turns).toEqual([]);
    for (; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toEqual([0, 1, 2, 3, 4]);
  });
});
