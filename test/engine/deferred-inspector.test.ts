import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import type { Analysis, Deferred } from '../../src/engine/analysis.ts';
import { type BacklogBounds, DeferredInspector } from '../../src/engine/deferred-inspector.ts';
import type { EngineOptions } from '../../src/engine/engine.ts';
import type { BodyChunk, HeaderList, ResponseHead } from '../../src/engine/http.ts';
import type { Transaction } from '../../src/engine/transaction.ts';
import { patienceMs } from '../support/patience.ts';
import { jsonHeaders, reportingDoor, requestHead, testDoor, testEngine } from '../support/test-engine.ts';

const ttlMs = 60_000;
const roomy: BacklogBounds = { messages: 1000, bytes: 1_000_000 };

/** The inspector of a door whose engine is on: everything is deferred. */
class Observing extends DeferredInspector {
  override requestHeaders(...args: Parameters<DeferredInspector['requestHeaders']>): Deferred {
    return deferred(super.requestHeaders(...args));
  }

  override responseHeaders(...args: Parameters<DeferredInspector['responseHeaders']>): Deferred {
    return deferred(super.responseHeaders(...args));
  }
}

function deferred(analysis: Analysis): Deferred {
  if (analysis.kind !== 'deferred') throw new Error(`not deferred: ${analysis.kind}`);
  return analysis;
}

function setUp(bounds: BacklogBounds = roomy, changes: Partial<EngineOptions> = {}) {
  const { engine, recorder } = testEngine(changes);
  const told: unknown[] = [];
  const observing = new Observing(engine, reportingDoor, bounds, {
    skipped: () => told.push('skipped'),
    failed: (cause) => told.push(cause),
  });
  /** How many messages were left. */
  const workOff = (): number => {
    observing.releaseAll();
    let pieces = 0;
    while (observing.workOnBacklog()) pieces += 1;
    return pieces;
  };
  return { engine, observing, recorder, told, workOff };
}

const chunk = (text: string | Buffer): BodyChunk => ({
  ...{ bytes: Buffer.from(text as string), declaredSize: undefined },
});
function fail(): never {
  throw new Error('nothing should be told');
}

const attack = JSON.stringify({ q: 'attack-block' });
const plainResponse: ResponseHead = { status: 200, headers: [['content-type', 'text/html']] };
const jsonResponse: ResponseHead = { status: 200, headers: [['content-type', 'application/json']] };
const upload: HeaderList = [...jsonHeaders, ['content-length', '20']];
const gzipped: HeaderList = [...upload, ['content-encoding', 'gzip']];

describe('many transactions whose responses do not come', () => {
  it('are analysed one message a turn of the event loop: what comes in meanwhile has its turn', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { observing, recorder } = setUp();
    for (let index = 0; index < 20; index += 1) observing.requestHeaders(requestHead('/?q=harmless'), ttlMs);
    vi.advanceTimersByTime(500);
    vi.useRealTimers();
    const runsByTurn: number[] = [];
    for (let turn = 0; turn < 25; turn += 1) {
      const before = recorder.runs.length;
      await new Promise((resolve) => setImmediate(resolve));
      runsByTurn.push(recorder.runs.length - before);
    }
    expect(Math.max(...runsByTurn)).toBe(1);
    expect(recorder.runs).toHaveLength(20);
  });
});

describe('an engine that only observes', () => {
  it('answers before anything was analysed, and blocks nothing', () => {
    const { observing, recorder, workOff } = setUp();
    const asked = observing.requestHeaders(requestHead('/?q=attack-block'), ttlMs);
    expect(asked).toMatchObject({ kind: 'deferred', wantsBody: false });
    expect([recorder.runs, recorder.detections]).toEqual([[], []]);
    expect(workOff()).toBe(1);
    expect(recorder.detections).toMatchObject([{ verdict: 'report', rules: ['block-1'] }]);
    expect(asked.transaction).toMatchObject({ wouldBlock: true, endReason: undefined });
    expect(workOff()).toBe(0);
  });

  it('asks for the bodies that the analysis will want, and for no others', () => {
    const { observing } = setUp();
    const post = requestHead('/', upload, { method: 'POST' });
    expect(observing.requestHeaders(post, ttlMs).wantsBody).toBe(true);
    const { transaction, wantsBody } = observing.requestHeaders(requestHead('/'), ttlMs);
    expect(wantsBody).toBe(false);
    expect(observing.responseHeaders(transaction.id, jsonResponse, ttlMs).wantsBody).toBe(true);
    const other = observing.requestHeaders(requestHead('/'), ttlMs).transaction;
    expect(observing.responseHeaders(other.id, plainResponse, ttlMs).wantsBody).toBe(false);
  });

  it('analyses a transaction in the order of arrival, and ends the transaction with its last message', () => {
    const { observing, recorder, workOff, engine } = setUp();
    const { transaction } = observing.requestHeaders(requestHead('/', upload, { method: 'POST' }), ttlMs);
    const between = observing.requestHeaders(requestHead('/other'), ttlMs).transaction;
    observing.requestBody(transaction.id, chunk(attack), ttlMs);
    observing.responseHeaders(transaction.id, jsonResponse, ttlMs);
    observing.responseBody(transaction.id, chunk('{"leak":"none"}'), ttlMs);
    expect(observing.backlogMessages).toBe(5);
    expect(engine.liveTransactions).toBe(2);
    expect(workOff()).toBe(5);
    expect(recorder.runs.map(({ phase }) => phase)).toEqual([
      ...['request-headers', 'request-body', 'response-headers', 'response-body', 'request-headers'],
    ]);
    expect(recorder.endings.map(({ transaction: ended, reason }) => [ended.id, reason])).toEqual([
      [transaction.id, 'complete'],
    ]);
    expect([observing.knows(transaction.id), observing.knows(between.id)]).toEqual([false, true]);
  });

  it('keeps the bytes of a body, which the caller may use again', () => {
    const { observing, recorder, workOff } = setUp();
    const { transaction } = observing.requestHeaders(requestHead('/', upload, { method: 'POST' }), ttlMs);
    const bytes = Buffer.from(attack);
    observing.requestBody(transaction.id, { bytes, declaredSize: undefined }, ttlMs);
    bytes.fill(0);
    workOff();
    expect(recorder.detections).toMatchObject([{ phase: 'request-body', rules: ['block-1'] }]);
  });

  it('waits for the response only as long as it should, once an upload is over', () => {
    vi.useFakeTimers();
    try {
      const { observing, recorder, workOff } = setUp();
      const { transaction } = observing.requestHeaders(requestHead('/', upload, { method: 'POST' }), ttlMs);
      vi.advanceTimersByTime(2 * ttlMs);
      observing.requestBody(transaction.id, chunk('{}'), ttlMs);
      workOff();
      vi.advanceTimersByTime(ttlMs - 1);
      expect(recorder.reasons).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(recorder.reasons).toEqual(['expired']);
    } finally {
      vi.useRealTimers();
    }
  });

  it('goes on with the trace of a transaction that is not here', () => {
    const { observing, recorder, workOff } = setUp();
    const asked = observing.responseHeaders('4711', plainResponse, ttlMs, 'f'.repeat(32));
    expect(asked.transaction).toMatchObject({ id: '4711', trace: { traceId: 'f'.repeat(32) } });
    workOff();
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('tells of what fails and goes on', () => {
    const { observing, told, workOff, recorder } = setUp();
    const { transaction } = observing.requestHeaders(requestHead('/'), ttlMs);
    (transaction as Transaction).analyseRequestHeaders = () => {
      throw new Error('a mistake of ours');
    };
    observing.requestHeaders(requestHead('/?q=attack-report'), ttlMs);
    expect(workOff()).toBe(2);
    expect(told).toEqual([new Error('a mistake of ours')]);
    expect(recorder.detections).toHaveLength(1);
  });

  it('looks at nothing while inspection is off, but at what is under way', () => {
    const { engine } = setUp();
    const inspector = new DeferredInspector(engine, reportingDoor, roomy, { skipped: fail, failed: fail });
    const { transaction } = deferred(inspector.requestHeaders(requestHead('/'), ttlMs));
    engine.enabled = false;
    expect(inspector.requestHeaders(requestHead('/'), ttlMs).kind).toBe('uninspected');
    expect(inspector.responseHeaders('4711', plainResponse, ttlMs).kind).toBe('uninspected');
    expect(inspector.responseHeaders(transaction.id, plainResponse, ttlMs).kind).toBe('deferred');
  });

  it('is refused to a door that may block', () => {
    const { engine } = setUp();
    const create = () => new DeferredInspector(engine, testDoor, roomy, { skipped: fail, failed: fail });
    expect(create).toThrow(RangeError);
  });
});

describe('a transaction is not begun', () => {
  const asks = (target: string) => requestHead(target, upload, { method: 'POST' });

  it('before its last message came, and then as a whole', () => {
    const { observing, recorder } = setUp();
    const { transaction } = observing.requestHeaders(asks('/'), ttlMs);
    observing.requestBody(transaction.id, chunk(attack), ttlMs);
    expect(observing.workOnBacklog()).toBe(false);
    const later = observing.requestHeaders(asks('/later'), ttlMs).transaction;
    observing.responseHeaders(transaction.id, plainResponse, ttlMs);
    while (observing.workOnBacklog());
    expect(recorder.reasons).toEqual(['complete']);
    expect(recorder.runs.map(({ phase }) => phase)).toEqual([
      ...['request-headers', 'request-body', 'response-headers'],
    ]);
    expect([later.endReason, observing.backlogMessages]).toEqual([undefined, 1]);
  });

  it.each([
    [ttlMs, 500],
    [600, 300],
  ])(
    'before half a second, or half of its time (%i ms), went by; then without anybody coming by',
    (ttl, holdMs) => {
      vi.useFakeTimers();
      try {
        const { observing, recorder } = setUp();
        observing.requestHeaders(requestHead('/?q=attack-report'), ttl);
        vi.advanceTimersByTime(holdMs - 1);
        expect([observing.workOnBacklog(), recorder.runs]).toEqual([false, []]);
        vi.advanceTimersByTime(2);
        expect(recorder.detections).toHaveLength(1);
        expect(observing.backlogMessages).toBe(0);
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('but when half of the room is taken: the oldest', () => {
    const { observing, recorder } = setUp({ messages: 10, bytes: 1_000_000 });
    for (let count = 0; count < 5; count += 1) observing.requestHeaders(asks(`/${count}`), ttlMs);
    expect(observing.workOnBacklog()).toBe(false);
    for (let count = 5; count < 7; count += 1) observing.requestHeaders(asks(`/${count}`), ttlMs);
    while (observing.workOnBacklog());
    expect(recorder.runs).toHaveLength(2);
    expect(observing.backlogMessages).toBe(5);
  });
});

describe('what may wait', () => {
  it('is so many messages; further ones are let through and told, and there is room again later', () => {
    const { observing, recorder, told, workOff } = setUp({ messages: 3, bytes: 1_000_000 });
    const asked = Array.from({ length: 5 }, () =>
      observing.requestHeaders(requestHead('/?q=attack-report'), ttlMs),
    );
    expect(observing.backlogMessages).toBe(3);
    expect(told).toEqual(['skipped', 'skipped']);
    expect(asked.map(({ transaction }) => transaction.partial)).toEqual([false, false, false, true, true]);
    expect(workOff()).toBe(3);
    expect(recorder.detections).toHaveLength(3);
    observing.requestHeaders(requestHead('/?q=attack-report'), ttlMs);
    expect([workOff(), told.length, recorder.detections.length]).toEqual([1, 2, 4]);
  });

  it('is so many bytes', () => {
    const { observing, told, workOff } = setUp({ messages: 1000, bytes: 10_000 });
    const { transaction } = observing.requestHeaders(requestHead('/', upload, { method: 'POST' }), ttlMs);
    workOff();
    const half = chunk(`"${'x'.repeat(4998)}"`);
    for (let count = 0; count < 3; count += 1) observing.requestBody(transaction.id, half, ttlMs);
    expect([observing.backlogMessages, told]).toEqual([2, ['skipped']]);
    expect(workOff()).toBe(2);
    observing.requestBody(transaction.id, half, ttlMs);
    expect([workOff(), told.length]).toEqual([1, 1]);
  });

  it('is as much after thousands of messages', () => {
    const { observing, told, workOff } = setUp({ messages: 700, bytes: 10_000_000 });
    const { transaction } = observing.requestHeaders(requestHead('/', upload, { method: 'POST' }), ttlMs);
    workOff();
    for (let count = 0; count < 3000; count += 1) {
      observing.requestBody(transaction.id, chunk('{}'), ttlMs);
      if (observing.backlogMessages === 700)
        for (let step = 0; step < 300; step += 1) expect(observing.workOnBacklog()).toBe(true);
    }
    expect(told).toEqual([]);
    while (observing.backlogMessages < 700) observing.requestBody(transaction.id, chunk('{}'), ttlMs);
    observing.requestBody(transaction.id, chunk('{}'), ttlMs);
    expect(told).toEqual(['skipped']);
    expect(workOff()).toBe(700);
  });

  it('contains bodies that are being decompressed', async () => {
    const { observing, told, workOff, recorder } = setUp({ messages: 2, bytes: 1_000_000 });
    const { transaction } = observing.requestHeaders(requestHead('/', gzipped, { method: 'POST' }), ttlMs);
    workOff();
    const body = chunk(gzipSync(attack));
    observing.requestBody(transaction.id, body, ttlMs);
    observing.requestBody(transaction.id, body, ttlMs);
    expect(workOff()).toBe(2);
    expect(recorder.detections).toEqual([]);
    observing.requestBody(transaction.id, body, ttlMs);
    expect(told).toEqual(['skipped']);
    await vi.waitFor(() => {
      observing.requestBody(transaction.id, body, ttlMs);
      expect(observing.backlogMessages).toBe(1);
    }, patienceMs);
    expect(recorder.detections).toHaveLength(1);
  });

  it('is analysed before its transaction ends with a last message that found no room', () => {
    const { observing, told, workOff, recorder } = setUp({ messages: 1, bytes: 1_000_000 });
    const { transaction } = observing.requestHeaders(requestHead('/?q=attack-report'), ttlMs);
    const asked = observing.responseHeaders(transaction.id, jsonResponse, ttlMs);
    expect([told, asked.wantsBody]).toEqual([['skipped'], false]);
    expect(recorder.reasons).toEqual([]);
    workOff();
    expect(recorder.detections).toMatchObject([
      { phase: 'request-headers', rules: ['report-1', 'report-2'] },
    ]);
    expect(recorder.reasons).toEqual(['skipped']);
    expect(transaction.partial).toBe(true);
  });

  it('is analysed before its transaction ends with a last message that the door let through', () => {
    const { observing, workOff, recorder } = setUp();
    const { transaction } = observing.requestHeaders(requestHead('/?q=attack-report'), ttlMs);
    observing.skipped(transaction.id, true);
    workOff();
    expect(recorder.detections).toHaveLength(1);
    expect(recorder.reasons).toEqual(['skipped']);
    const { transaction: idle } = observing.requestHeaders(requestHead('/'), ttlMs);
    workOff();
    observing.skipped(idle.id, false);
    expect([idle.partial, idle.endReason]).toEqual([true, undefined]);
    observing.skipped(idle.id, true);
    expect(idle.endReason).toBe('skipped');
  });

  it('does not grow without end when last messages are let through', () => {
    const { observing } = setUp({ messages: 10, bytes: 1_000_000 });
    const { transaction } = observing.requestHeaders(requestHead('/'), ttlMs);
    for (let count = 0; count < 100; count += 1) observing.skipped(transaction.id, true);
    expect(observing.backlogMessages).toBeLessThanOrEqual(20);
  });

  it('is let through, and told, when its transaction had to make room for others meanwhile', () => {
    const { observing, told, workOff, recorder } = setUp(roomy, { maxLiveTransactions: 1 });
    const first = observing.requestHeaders(requestHead('/?q=attack-report&first'), ttlMs).transaction;
    observing.requestHeaders(requestHead('/?q=attack-report&second'), ttlMs);
    expect(first.endReason).toBe('evicted');
    expect(workOff()).toBe(2);
    expect(recorder.runs).toHaveLength(1);
    expect(told).toEqual(['skipped']);
  });
});
