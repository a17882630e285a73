import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import type { SkipReason } from '../../../src/adapters/haproxy/contract.ts';
import { NotifyHandler } from '../../../src/adapters/haproxy/handler.ts';
import { encodeSkipped } from '../../../src/adapters/haproxy/notify-route.ts';
import type { Analysis } from '../../../src/engine/analysis.ts';
import { BlockPages } from '../../../src/engine/block-page.ts';
import type { Inspector } from '../../../src/engine/inspector.ts';
import { decodeActions, encodeMessages } from '../../../src/spop/index.ts';
import { sharedNowMs } from '../../../src/workers/channel.ts';
import { Handlers } from '../../../src/workers/handlers.ts';
import { InlineEngine } from '../../../src/workers/inline-engine.ts';
import type { Job, JobResult } from '../../../src/workers/jobs.ts';
import { jobOf, silentObserver } from '../../support/notify-answers.ts';
import { patienceMs } from '../../support/patience.ts';
import {
  requestBodyMessage,
  requestHeadersMessage,
  responseHeadersMessage,
  variablesOf,
} from '../../support/spoe-messages.ts';
import { jsonHeaders, testEngine } from '../../support/test-engine.ts';

function setUp(overrides: (engine: Inspector) => Partial<Inspector> = () => ({})) {
  const { engine, recorder } = testEngine();
  const told: (SkipReason | unknown)[] = [];
  const handler = new NotifyHandler({
    inspector: { ...inspectorOf(engine), ...overrides(engine) },
    pages: new BlockPages(),
    observer: {
      ...silentObserver,
      failed: (_message, cause) => told.push(cause),
      skipped: (reason) => told.push(reason),
      frameFailed: (cause) => told.push(cause),
    },
    timeToLiveMs: 60_000,
  });
  const answers: Record<string, unknown>[] = [];
  const answer = (bytes: Uint8Array): void => {
    answers.push(variablesOf(decodeActions(Buffer.from(bytes))));
  };
  return { engine, recorder, handler, told, answers, answer };
}

/** The engine, of which single methods can be replaced. */
function inspectorOf(engine: Inspector): Inspector {
  return {
    requestHeaders: (...args) => engine.requestHeaders(...args),
    requestBody: (...args) => engine.requestBody(...args),
    responseHeaders: (...args) => engine.responseHeaders(...args),
    responseBody: (...args) => engine.responseBody(...args),
    liveTransactions: engine.liveTransactions,
    knows: (id) => engine.knows(id),
    skipped: (id, last) => engine.skipped(id, last),
    failed: (id) => engine.failed(id),
    end: (id, reason) => engine.end(id, reason),
    workOnBacklog: () => engine.workOnBacklog(),
    releaseAll: () => engine.releaseAll(),
  };
}

const fails = (): never => {
  throw new Error('ours');
};
const late = (payload: Buffer): Job => ({ ...jobOf(payload), deadlineMs: sharedNowMs() - 1 });

describe('a job', () => {
  it('is answered with the encoded actions of its messages', () => {
    const { handler, answer, answers, told } = setUp();
    handler.handle(jobOf(encodeMessages([requestHeadersMessage('/?q=attack-block')])), answer);
    expect(answers).toMatchObject([{ blocked: true, verdict: 'block' }]);
    expect(told).toEqual([]);
  });

  it('that takes time is answered once, later', async () => {
    const { handler, answer, answers } = setUp();
    const headers = [...jsonHeaders, ['content-encoding', 'gzip']] as const;
    const body = requestBodyMessage(undefined, gzipSync('{"q":"attack-block"}'));
    handler.handle(jobOf(encodeMessages([requestHeadersMessage('/', headers), body])), answer);
    expect(answers).toEqual([]);
    await vi.waitFor(() => expect(answers).toMatchObject([{ blocked: true }]), patienceMs);
  });

  it('that comes too late is not begun, and its transaction knows', () => {
    const { handler, answer, answers, told, recorder } = setUp();
    handler.handle(jobOf(encodeMessages([requestHeadersMessage('/')])), answer);
    const identity = String(answers[0]?.['span_id']);
    handler.handle(late(encodeMessages([responseHeadersMessage(identity)])), answer);
    expect(answers[1]).toMatchObject({ verdict: 'skipped', skipped_reason: 'overload' });
    expect(recorder.reasons).toEqual(['skipped']);
    expect(told).toEqual(['overload']);
    handler.handle(late(encodeMessages([requestHeadersMessage('/?q=attack-block')])), answer);
    expect(answers[2]).toMatchObject({ verdict: 'skipped' });
    expect(recorder.runs).toHaveLength(1);
  });

  it('that is no list of messages, which no router lets pass, is answered as a mistake of ours', () => {
    const { handler, answer, answers, told } = setUp();
    handler.handle(jobOf(Buffer.from([3, 65])), answer);
    expect(answers).toMatchObject([{ verdict: 'error', span_id: 'error' }]);
    expect(told).toEqual([expect.objectContaining({ code: 'SPOP_OUT_OF_BYTES' })]);
  });

  it.each([
    ['throws', fails],
    ['rejects', () => Promise.reject(new Error('ours'))],
  ])(
    'whose engine %s, and cannot be told of it, is answered as a mistake of ours',
    async (_what, requestBody) => {
      const { handler, answer, answers, told } = setUp(() => ({ requestBody, failed: fails }));
      handler.handle(jobOf(encodeMessages([requestBodyMessage('77', '{}')])), answer);
      await vi.waitFor(
        () =>
          expect(answers).toEqual([
            { request_body: false, response_body: false, span_id: '77.error', verdict: 'error' },
          ]),
        patienceMs,
      );
      expect(told).toEqual([expect.any(Error)]);
    },
  );

  it('whose answer cannot be encoded is answered as a mistake of ours', () => {
    const verdict = { kind: 'block', status: 2 ** 40, type: 'html', securityResponseId: '' } as const;
    const { handler, answer, answers, told } = setUp((engine) => ({
      responseHeaders: (...args) => ({ ...engine.responseHeaders(...args), verdict }) as Analysis,
    }));
    handler.handle(jobOf(encodeMessages([responseHeadersMessage('77')])), answer);
    expect(answers).toMatchObject([{ verdict: 'error', span_id: '77.error' }]);
    expect(told).toEqual([expect.any(RangeError)]);
  });

  it('that was answered elsewhere is noted', () => {
    const { handler, answer, answers, recorder } = setUp();
    handler.handle(jobOf(encodeMessages([requestHeadersMessage('/')])), answer);
    handler.skipped(encodeSkipped('http-response-headers-msg', String(answers[0]?.['span_id'])));
    expect(recorder.reasons).toEqual(['skipped']);
  });
});

describe('the engine in the I/O thread', () => {
  function inline() {
    const { handler, recorder } = setUp();
    const results: JobResult['kind'][] = [];
    const engine = new InlineEngine(new Handlers([handler], () => undefined));
    const submit = (payload: Buffer) => engine.submit(0, jobOf(payload), ({ kind }) => results.push(kind));
    return { engine, handler, recorder, results, submit };
  }

  it('answers at once, exactly once', () => {
    const { results, submit } = inline();
    expect(submit(encodeMessages([requestHeadersMessage('/')]))).toBe(true);
    expect(submit(Buffer.from([3, 65]))).toBe(true);
    expect(results).toEqual(['done', 'done']);
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
