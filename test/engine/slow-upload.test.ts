import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { requestHead, testEngine } from '../support/test-engine.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const upload = requestHead('/', [['content-type', 'application/json']], {
  method: 'POST',
  declaredBodySize: 2,
});

it('a body that was asked for may come long after the time to live, and meets its own transaction', () => {
  const { engine, recorder } = testEngine();
  const { transaction, wantsBody } = engine.requestHeaders(upload, 1000);
  vi.advanceTimersByTime(599_000);
  expect(wantsBody).toBe(true);
  expect(engine.knows(transaction.id)).toBe(true);
  expect(recorder.reasons).toEqual([]);
});

it('once the body is there, the time to live counts again', () => {
  const { engine, recorder } = testEngine();
  const { transaction } = engine.requestHeaders(upload, 1000);
  engine.requestBody(transaction.id, { bytes: Buffer.from('{}'), declaredSize: 2 }, 1000);
  vi.advanceTimersByTime(1001);
  expect(recorder.reasons).toEqual(['expired']);
});
