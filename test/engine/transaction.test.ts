import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EngineOptions } from '../../src/engine/engine.ts';
import type { HeaderList } from '../../src/engine/http.ts';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import { localTracer, type Tracer } from '../../src/engine/trace.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import type { WafContext } from '../../src/engine/waf/waf-context.ts';
import {
  jsonHeaders,
  loadTestWaf,
  readFixtureRules,
  requestHead,
  testEngine,
} from '../support/test-engine.ts';

const ttlMs = 60_000;
const jsonResponse: HeaderList = [['content-type', 'application/json']];
const bytesOf = (text: string) => ({ bytes: Buffer.from(text), declaredSize: undefined });

/** An engine that counts the endings of contexts and spans as well. */
function setUp(changes: Partial<EngineOptions> = {}) {
  const waf = Waf.load(readFixtureRules(), 'fixture');
  const count = { contexts: 0, disposals: 0, finishes: 0 };
  const createContext = waf.createContext.bind(waf);
  vi.spyOn(waf, 'createContext').mockImplementation((timeoutUs) => {
    count.contexts += 1;
    const context = createContext(timeoutUs);
    const dispose = context.dispose.bind(context);
    vi.spyOn(context, 'dispose').mockImplementation(() => {
      count.disposals += 1;
      dispose();
    });
    return context;
  });
  const tracer: Tracer = {
    begin: (request, spanId) => ({
      ...localTracer.begin(request, spanId),
      finish: () => {
        count.finishes += 1;
      },
    }),
  };
  return { ...testEngine({ waf, tracer, ...changes }), count };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a transaction ends exactly once', () => {
  const endings: [string, (given: ReturnType<typeof setUp>) => void | Promise<void>][] = [
    ['blocked', ({ engine }) => void engine.requestHeaders(requestHead('/?q=attack-block'), ttlMs)],
    [
      'blocked',
      ({ engine }) => {
        const { transaction } = engine.requestHeaders(requestHead('/'), ttlMs);
        engine.responseHeaders(transaction.id, { status: 599, headers: [] }, ttlMs);
      },
    ],
    [
      'complete',
      ({ engine }) => {
        const { transaction } = engine.requestHeaders(requestHead('/'), ttlMs);
        engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
      },
    ],
    [
      'complete',
      async ({ engine }) => {
        const { transaction } = engine.requestHeaders(requestHead('/', jsonHeaders), ttlMs);
        await engine.requestBody(transaction.id, bytesOf('{}'), ttlMs);
        const { wantsBody } = engine.responseHeaders(
          transaction.id,
          { status: 200, headers: jsonResponse },
          ttlMs,
        );
        expect(wantsBody).toBe(true);
        await engine.responseBody(transaction.id, bytesOf('{}'), ttlMs);
      },
    ],
    ['expired', ({ engine }) => void engine.requestHeaders(requestHead('/'), ttlMs)],
    [
      'drained',
      ({ engine }) => {
        engine.requestHeaders(requestHead('/'), ttlMs);
        engine.drain();
        engine.drain();
      },
    ],
  ];

  it.each(endings)('%s', async (reason, happens) => {
    const given = setUp();
    await happens(given);
    // A timer that outlives its transaction would hold it in memory.
    expect(vi.getTimerCount()).toBe(reason === 'expired' ? 1 : 0);
    vi.advanceTimersByTime(10 * ttlMs);
    given.engine.drain();
    expect(given.recorder.reasons).toEqual([reason]);
    expect(given.count).toEqual({ contexts: 1, disposals: 1, finishes: 1 });
    expect(given.engine.liveTransactions).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('evicted, the oldest first, when there are too many', () => {
    const { engine, recorder, count } = setUp({ maxLiveTransactions: 2 });
    const ids = ['/1', '/2', '/3', '/4'].map(
      (target) => engine.requestHeaders(requestHead(target), ttlMs).transaction.request?.target,
    );
    expect(recorder.endings.map(({ transaction }) => transaction.request?.target)).toEqual(ids.slice(0, 2));
    expect(recorder.reasons).toEqual(['evicted', 'evicted']);
    expect(engine.liveTransactions).toBe(2);
    engine.drain();
    expect(count).toEqual({ contexts: 4, disposals: 4, finishes: 4 });
  });

  it('evicted, the oldest first, when their bodies are too much together', () => {
    const { engine, recorder, count } = setUp({ maxBodyBytes: 25_000 });
    const bytes = Buffer.alloc(10_000, 'harmless ');
    const begun = ['/1', '/2', '/3', '/4'].map((target) => {
      const { transaction } = engine.requestHeaders(requestHead(target), ttlMs);
      void engine.requestBody(transaction.id, { bytes, declaredSize: undefined }, ttlMs);
      return transaction;
    });
    expect(recorder.endings.map(({ transaction }) => transaction)).toEqual(begun.slice(0, 2));
    expect(recorder.reasons).toEqual(['evicted', 'evicted']);
    begun[2]?.end('complete');
    const { transaction } = engine.requestHeaders(requestHead('/5'), ttlMs);
    void engine.requestBody(transaction.id, { bytes, declaredSize: undefined }, ttlMs);
    expect(engine.liveTransactions).toBe(2);
    engine.drain();
    expect(count).toEqual({ contexts: 5, disposals: 5, finishes: 5 });
  });

  it('when an observer or the trace throws at its ending, and the others are still told', () => {
    const failures: unknown[] = [];
    const tracer: Tracer = {
      begin: (request, spanId) => ({
        ...localTracer.begin(request, spanId),
        finish() {
          throw new Error('no agent');
        },
      }),
    };
    const told: string[] = [];
    const { engine } = testEngine({
      tracer,
      failed: (cause) => failures.push(cause),
      observers: [
        {
          ended() {
            throw new Error('bad observer');
          },
        },
        { ended: (_transaction, reason) => told.push(reason) },
      ],
    });
    engine.requestHeaders(requestHead('/'), ttlMs);
    vi.advanceTimersByTime(ttlMs);
    expect(told).toEqual(['expired']);
    expect(failures).toEqual([new Error('no agent'), new Error('bad observer')]);
  });
});

describe('the time to live', () => {
  it('counts from the first message', () => {
    const { engine, recorder } = setUp();
    engine.requestHeaders(requestHead('/'), 500);
    vi.advanceTimersByTime(499);
    expect(recorder.reasons).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(recorder.reasons).toEqual(['expired']);
  });

  it('may be longer than a timer of Node can be', () => {
    const { engine, recorder } = setUp();
    engine.requestHeaders(requestHead('/'), 365 * 86_400_000);
    vi.advanceTimersByTime(86_400_000);
    expect(recorder.reasons).toEqual([]);
  });
});

describe('an application that only reports', () => {
  const application = { service: 'shop', environment: undefined, version: undefined, reportOnly: true };

  it('is not blocked by any message, although the request went elsewhere', async () => {
    const { engine } = setUp();
    const chunk = { ...bytesOf('attack-block'), application };
    const response = { status: 599, headers: jsonResponse, application };
    const analyses = [
      engine.requestHeaders(requestHead('/?q=attack-block', undefined, { application }), ttlMs),
      await engine.requestBody('1', chunk, ttlMs),
      engine.responseHeaders('2', response, ttlMs),
      await engine.responseBody('3', chunk, ttlMs),
    ];
    expect(analyses.map(({ verdict }) => verdict.kind)).toEqual(Array(4).fill('report'));
    expect(analyses.every(({ transaction }) => transaction.wouldBlock)).toBe(true);
    engine.drain();
  });
});

describe('a body under decompression', () => {
  const compressed = [...jsonHeaders, ['content-encoding', 'gzip'] as const];
  const attack = { bytes: gzipSync('{"a":"attack-block"}'), declaredSize: undefined };

  it('that outlives its transaction is answered and leaves nothing behind', async () => {
    const { engine, recorder, count } = setUp();
    const { transaction } = engine.requestHeaders(requestHead('/', compressed), ttlMs);
    const pending = engine.requestBody(transaction.id, attack, ttlMs);
    expect(pending).toBeInstanceOf(Promise);
    vi.advanceTimersByTime(ttlMs);
    expect(recorder.reasons).toEqual(['expired']);
    expect((await pending).verdict).toEqual({ kind: 'pass' });
    expect(recorder.reasons).toEqual(['expired']);
    expect(count).toEqual({ contexts: 1, disposals: 1, finishes: 1 });
  });

  it('is not overtaken by a response: the attack in it is reported', async () => {
    const { engine, recorder, count } = setUp();
    const { transaction } = engine.requestHeaders(requestHead('/', compressed), ttlMs);
    const pending = engine.requestBody(transaction.id, attack, ttlMs);
    engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
    expect(recorder.reasons).toEqual([]);
    expect((await pending).verdict.kind).toBe('block');
    expect(recorder.reasons).toEqual(['blocked']);
    expect(count.disposals).toBe(1);
  });

  it('ends the transaction when the response came meanwhile', async () => {
    const { engine, recorder } = setUp();
    const { transaction } = engine.requestHeaders(requestHead('/', compressed), ttlMs);
    const clean = { bytes: gzipSync('{"a":"b"}'), declaredSize: undefined };
    const pending = engine.requestBody(transaction.id, clean, ttlMs);
    engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
    await pending;
    expect(recorder.reasons).toEqual(['complete']);
    expect(engine.liveTransactions).toBe(0);
  });
});

describe('many transactions', () => {
  it('leave nothing behind', () => {
    const { engine, recorder } = testEngine({
      maxLiveTransactions: 1000,
      // What libddwaf does is not the matter here, and it would take a minute.
      waf: Object.assign(loadTestWaf(), {
        createContext: () => ({ run: () => undefined, dispose: () => undefined }) as unknown as WafContext,
      }),
    });
    for (let index = 0; index < 100_000; index += 1) {
      const { transaction } = engine.requestHeaders(requestHead('/'), ttlMs);
      if (index % 3 === 0) engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
    }
    expect(engine.liveTransactions).toBeLessThanOrEqual(1000);
    vi.advanceTimersByTime(ttlMs);
    expect(engine.liveTransactions).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(recorder.endings).toHaveLength(100_000);
  });
});

describe('a limit on reports', () => {
  it('denies the report, counts it and marks the transaction', () => {
    const { engine, recorder } = testEngine({ reportLimiter: new RateLimiter(1, 1000) });
    const attack = requestHead('/?q=attack-report');
    const first = engine.requestHeaders(attack, ttlMs).transaction;
    const second = engine.requestHeaders(attack, ttlMs).transaction;
    expect(recorder.detections.map(({ reported }) => reported)).toEqual([true, false]);
    expect(first).toMatchObject({ rateLimited: false, ruleIds: ['report-1', 'report-2'] });
    expect(second).toMatchObject({ rateLimited: true, ruleIds: ['report-1', 'report-2'], events: [] });
    expect(first.events).toHaveLength(2);
  });

  it('never keeps an attack from being blocked', () => {
    const { engine } = testEngine({ reportLimiter: new RateLimiter(1, 1000) });
    const verdicts = [1, 2, 3].map(
      () => engine.requestHeaders(requestHead('/?q=attack-block'), ttlMs).verdict.kind,
    );
    expect(verdicts).toEqual(['block', 'block', 'block']);
  });
});

describe('one transaction', () => {
  it('lets a rule combine the request with the response', () => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/backup.sql'), ttlMs);
    const { verdict } = engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
    expect(verdict.kind).toBe('report');
    expect(recorder.detections).toMatchObject([
      { phase: 'response-headers', rules: ['request-and-response'] },
    ]);
  });

  it('keeps its verdict: a clean response does not undo a report', () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/?q=attack-report'), ttlMs);
    const { verdict } = engine.responseHeaders(transaction.id, { status: 200, headers: [] }, ttlMs);
    expect(verdict.kind).toBe('report');
  });

  it('keeps at most ten events for its report', () => {
    const many = {
      version: '2.2',
      rules: Array.from({ length: 30 }, (_, index) => ({
        id: `rule-${index}`,
        name: 'any',
        tags: { type: `type-${index}` },
        conditions: [
          {
            operator: 'phrase_match',
            parameters: { inputs: [{ address: 'server.request.query' }], list: ['attack'] },
          },
        ],
      })),
    };
    const { engine } = testEngine({ waf: Waf.load(many, 'many') });
    const { transaction } = engine.requestHeaders(requestHead('/?q=attack'), ttlMs);
    expect(transaction.events).toHaveLength(10);
    expect(transaction.ruleIds).toHaveLength(30);
  });
});

describe('a body that is not waited for', () => {
  it('makes the transaction partial at once, and is inspected as far as it came', async () => {
    const { engine } = testEngine();
    const stream = { ...requestHead('/'), method: 'POST', headers: jsonHeaders, bodyIsStream: true };
    const { transaction, wantsBody } = engine.requestHeaders(stream, ttlMs);
    expect({ wantsBody, partial: transaction.partial }).toEqual({ wantsBody: true, partial: true });
    const { verdict } = await engine.requestBody(transaction.id, bytesOf('{"a":"attack-block"}'), ttlMs);
    expect(verdict.kind).toBe('block');
  });

  it('takes nothing from a transaction whose body nobody asks for', () => {
    const { engine } = testEngine({ bodyLimitBytes: 0 });
    const stream = { ...requestHead('/'), method: 'POST', headers: jsonHeaders, bodyIsStream: true };
    expect(engine.requestHeaders(stream, ttlMs).transaction.partial).toBe(false);
  });
});
