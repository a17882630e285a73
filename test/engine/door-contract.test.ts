// What the engine promises to every door; see src/engine/inspector.ts.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BodyChunk, HeaderList } from '../../src/engine/http.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import { withProcessors } from '../support/processor-rules.ts';
import {
  inspected,
  jsonHeaders,
  readFixtureRules,
  requestHead,
  testDoor,
  testEngine,
} from '../support/test-engine.ts';

const ttlMs = 60_000;
const upload: HeaderList = [...jsonHeaders, ['content-length', '40']];
const post = (headers: HeaderList = upload) => requestHead('/', headers, { method: 'POST' });
const attack = JSON.stringify({ harmless: 'words', q: 'attack-block' });
const piece = (bytes: string | Uint8Array, endOfStream: boolean): BodyChunk => ({
  bytes: Buffer.from(bytes as string),
  declaredSize: undefined,
  endOfStream,
});

describe('inspection that is switched off', () => {
  it('lets every message through unseen, whatever door asks', () => {
    const { engine, recorder } = testEngine();
    engine.enabled = false;
    const { inspector } = engine;
    expect(inspector.requestHeaders(requestHead('/?q=attack-block'), ttlMs).kind).toBe('uninspected');
    expect(inspector.requestBody('1', piece(attack, true), ttlMs)).toEqual({ kind: 'uninspected' });
    expect(inspector.responseHeaders(undefined, { status: 200, headers: [] }, ttlMs).kind).toBe(
      'uninspected',
    );
    expect([engine.liveTransactions, recorder.runs]).toEqual([0, []]);
  });

  it('goes on with what is under way', () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    engine.enabled = false;
    expect(engine.requestBody(transaction.id, piece(attack, true), ttlMs)).toMatchObject({
      verdict: { kind: 'block' },
    });
  });
});

describe('a body in chunks', () => {
  it('is one body: an attack cut anywhere is found', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(attack.length), { maxLength: 5 }), (cuts) => {
        const { engine } = testEngine();
        const { transaction } = engine.requestHeaders(post(), ttlMs);
        const edges = [0, ...cuts.toSorted((one, other) => one - other), attack.length];
        const verdicts = edges.slice(1).map((edge, index) => {
          const chunk = piece(attack.slice(edges[index], edge), index === edges.length - 2);
          return inspected(engine.inspector.requestBody(transaction.id, chunk, ttlMs) as never);
        });
        expect(verdicts.map(({ verdict }) => verdict.kind)).toEqual([...cuts.map(() => 'pass'), 'block']);
        expect(verdicts.map(({ wantsBody }) => wantsBody)).toEqual([...cuts.map(() => true), false]);
      }),
      { numRuns: 30 },
    );
  });

  it('is judged as soon as it is as long as the engine looks at, and no more of it is wanted', () => {
    const { engine } = testEngine({ bodyLimitBytes: attack.length });
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    const first = engine.requestBody(transaction.id, piece(attack, false), ttlMs);
    expect(first).toMatchObject({ verdict: { kind: 'block' }, wantsBody: false });
  });

  it('of which the end is not looked at is inspected in part', () => {
    const { engine, recorder } = testEngine({ bodyLimitBytes: 10 });
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    const asked = engine.requestBody(transaction.id, piece('{"a":"0123456789"}', false), ttlMs);
    expect(asked).toMatchObject({ wantsBody: false, transaction: { partial: true } });
    expect(engine.requestBody(transaction.id, piece('more', true), ttlMs)).toMatchObject({
      wantsBody: false,
    });
    expect(recorder.runs.map(({ phase }) => phase)).toEqual(['request-headers', 'request-body']);
  });

  it('is decompressed as a whole', async () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(post([...upload, ['content-encoding', 'gzip']]), ttlMs);
    const bytes = gzipSync(attack);
    engine.requestBody(transaction.id, piece(bytes.subarray(0, 15), false), ttlMs);
    const last = await engine.requestBody(transaction.id, piece(bytes.subarray(15), true), ttlMs);
    expect(last.verdict.kind).toBe('block');
  });

  it('keeps its bytes, which the door may use again', () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    const bytes = Buffer.from(attack.slice(0, 30));
    engine.requestBody(transaction.id, { bytes, declaredSize: undefined, endOfStream: false }, ttlMs);
    bytes.fill(0);
    expect(engine.requestBody(transaction.id, piece(attack.slice(30), true), ttlMs)).toMatchObject({
      verdict: { kind: 'block' },
    });
  });

  it('that never ends is inspected as far as it came, and reported: it is too late to block', () => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    engine.requestBody(transaction.id, piece(attack, false), ttlMs);
    engine.end(transaction.id, 'aborted');
    expect(recorder.detections).toMatchObject([
      { phase: 'request-body', verdict: 'report', rules: ['block-1'] },
    ]);
    expect(transaction).toMatchObject({ endReason: 'aborted', partial: true, wouldBlock: true });
  });
});

describe('a transaction that its door ends', () => {
  it.each(['aborted', 'no-response', 'complete'] as const)('says why: %s', (reason) => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/'), ttlMs);
    engine.end(transaction.id, reason);
    engine.end(transaction.id, 'aborted');
    expect(recorder.reasons).toEqual([reason]);
    expect(engine.liveTransactions).toBe(0);
  });

  it.each([
    ['no-response', 'block', false],
    ['aborted', 'report', true],
  ] as const)('as %s waits for a body that is being decompressed', async (reason, verdict, wouldBlock) => {
    const { engine, recorder } = testEngine();
    const { transaction } = engine.requestHeaders(post([...upload, ['content-encoding', 'gzip']]), ttlMs);
    const body = engine.requestBody(transaction.id, piece(gzipSync(attack), true), ttlMs);
    engine.end(transaction.id, reason);
    expect(recorder.reasons).toEqual([]);
    expect((await body).verdict.kind).toBe(verdict);
    expect(recorder.detections).toMatchObject([{ phase: 'request-body', verdict }]);
    expect(transaction.wouldBlock).toBe(wouldBlock);
    expect(recorder.reasons).toEqual([verdict === 'block' ? 'blocked' : reason]);
    expect(engine.liveTransactions).toBe(0);
  });

  it('that is not here changes nothing', () => {
    const { engine, recorder } = testEngine();
    engine.end('4711', 'aborted');
    expect(recorder.reasons).toEqual([]);
  });
});

describe('through a door that sees no responses', () => {
  const blind = { ...testDoor, seesResponses: false };

  it('a transaction is complete with its request', () => {
    const { engine, recorder } = testEngine({}, blind);
    engine.requestHeaders(requestHead('/'), ttlMs);
    expect([recorder.reasons, engine.liveTransactions]).toEqual([['complete'], 0]);
  });

  it('and with the end of its body, when there is one', () => {
    const { engine, recorder } = testEngine({}, blind);
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    engine.requestBody(transaction.id, piece('{"a":', false), ttlMs);
    expect(recorder.reasons).toEqual([]);
    engine.requestBody(transaction.id, piece('1}', true), ttlMs);
    expect(recorder.reasons).toEqual(['complete']);
  });

  it('the schema is taken with its last message, be it headers or a body', () => {
    const waf = Waf.load(withProcessors(readFixtureRules()), 'test/fixtures/rules/actions.json');
    const { engine, recorder } = testEngine({ waf, schemaSampler: { take: () => true } }, blind);
    engine.requestHeaders(requestHead('/?page=1'), ttlMs);
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    engine.requestBody(transaction.id, piece('{"name":"x"}', true), ttlMs);
    const schemas = recorder.endings.map(({ transaction }) => transaction.waf.attributes);
    expect(schemas).toMatchObject([
      { '_dd.appsec.s.req.query': [{ page: [[[8]], { len: 1 }] }] },
      { '_dd.appsec.s.req.body': [{ name: [8] }] },
    ]);
  });

  it('a request that is over with its headers waits for no body', () => {
    const { engine, recorder } = testEngine({}, blind);
    engine.requestHeaders({ ...post(), endOfStream: true }, ttlMs);
    expect(recorder.reasons).toEqual(['complete']);
  });
});

describe('what belongs to the door', () => {
  it('is whether anything is blocked: two doors share one engine', () => {
    const { engine } = testEngine();
    const reporting = engine.through({ ...testDoor, reportOnly: true });
    const ask = requestHead('/?q=attack-block');
    expect(inspected(reporting.requestHeaders(ask, ttlMs)).verdict.kind).toBe('report');
    expect(engine.requestHeaders(ask, ttlMs).verdict.kind).toBe('block');
  });

  it('is the identity: what one door knows, another can neither end nor go on with', () => {
    const { engine, recorder } = testEngine();
    const other = engine.through({ ...testDoor, name: 'other' });
    const { transaction } = engine.requestHeaders(post(), ttlMs);
    const { id } = transaction;
    other.end(id, 'aborted');
    other.skipped(id, true);
    other.failed(id);
    expect(other.knows(id)).toBe(false);
    const adopted = inspected(other.responseHeaders(id, { status: 200, headers: [] }, ttlMs));
    expect(adopted.transaction).not.toBe(transaction);
    expect(recorder.endings).toMatchObject([
      { transaction: { door: { name: 'other' } }, reason: 'complete' },
    ]);
    expect(transaction).toMatchObject({ endReason: undefined, coverage: 'whole' });
    expect(engine.requestBody(id, piece(attack, true), ttlMs)).toMatchObject({ verdict: { kind: 'block' } });
    expect(engine.liveTransactions).toBe(0);
  });

  it('is the address of the client, when the door can vouch for it', () => {
    const { engine } = testEngine();
    const head = requestHead('/', [['x-forwarded-for', '198.51.100.1']], { clientIp: '192.0.2.44' });
    expect(engine.requestHeaders(head, ttlMs).transaction.clientIp).toBe('192.0.2.44');
  });
});
