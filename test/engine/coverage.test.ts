// What of a transaction was looked at. The orders of messages are in test/adapters/haproxy/verdict-sequences.test.ts.
import { describe, expect, it } from 'vitest';
import type { HeaderList } from '../../src/engine/http.ts';
import { jsonHeaders, requestHead, testEngine } from '../support/test-engine.ts';

const response = { status: 200, headers: [] };
const length = (value: string): HeaderList => [...jsonHeaders, ['content-length', value]];
const chunk = { bytes: Buffer.from('{"a":1}'), declaredSize: undefined };

function afterResponse(headers: HeaderList, declaredBodySize?: number, bodyLimitBytes = 100_000) {
  const { engine } = testEngine({ bodyLimitBytes });
  const request = requestHead('/', headers, { method: 'POST', declaredBodySize });
  const { transaction } = engine.requestHeaders(request, 60_000);
  engine.responseHeaders(transaction.id, response, 60_000);
  return transaction.coverage;
}

describe('a request whose body was asked for and never came', () => {
  it.each([
    ['declares its length', length('20'), undefined],
    ['has a length that the door knows', jsonHeaders, 20],
  ])('was seen in part when it %s', (_what, headers, declared) => {
    expect(afterResponse(headers, declared)).toBe('partial');
  });

  it.each([
    ['declares a length of 0', length('0')],
    ['declares none, as with Transfer-Encoding: it may be empty', jsonHeaders],
    [
      'is of a type that is not looked at',
      [
        ['content-length', '20'],
        ['content-type', 'image/png'],
      ] as const,
    ],
  ])('was seen whole when it %s', (_what, headers) => {
    expect(afterResponse(headers)).toBe('whole');
  });

  it('was seen whole when bodies are not inspected at all', () => {
    expect(afterResponse(length('20'), 20, 0)).toBe('whole');
  });

  it('was seen whole when the body came', () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/', length('7')), 60_000);
    void engine.requestBody(transaction.id, chunk, 60_000);
    engine.responseHeaders(transaction.id, response, 60_000);
    expect([transaction.coverage, transaction.partial]).toEqual(['whole', false]);
  });
});

describe('a transaction', () => {
  it('that begins with its response was seen in part', () => {
    const { engine } = testEngine();
    expect(engine.responseHeaders(undefined, response, 60_000).transaction.partial).toBe(true);
    expect(engine.responseHeaders('77', response, 60_000).transaction.partial).toBe(true);
  });

  it('whose response body came without its head was seen in part', async () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/'), 60_000);
    await engine.responseBody(transaction.id, chunk, 60_000);
    expect(transaction.coverage).toBe('partial');
  });

  it('keeps the worst that happened to it', () => {
    const { engine } = testEngine();
    const { transaction } = engine.requestHeaders(requestHead('/'), 60_000);
    const seen = [transaction.coverage];
    for (const happens of [
      () => transaction.miss('partial'),
      () => engine.skipped(transaction.id, false),
      () => engine.failed(transaction.id),
      () => engine.skipped(transaction.id, false),
    ]) {
      happens();
      seen.push(transaction.coverage);
    }
    expect(seen).toEqual(['whole', 'partial', 'skipped', 'error', 'error']);
  });
});
