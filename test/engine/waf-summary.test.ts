import { expect, it } from 'vitest';
import type { WafResult } from '../../src/engine/waf/waf-result.ts';
import { WafSummary } from '../../src/engine/waf-summary.ts';

const clean: WafResult = {
  events: [],
  actions: {},
  attributes: {},
  timeout: false,
  keep: false,
  durationUs: 10,
  durationExtUs: 20,
  errorCode: undefined,
  errorMessage: undefined,
  truncated: false,
  truncations: {},
};

function summaryOf(...changes: Partial<WafResult>[]): WafSummary {
  const summary = new WafSummary();
  for (const change of changes) summary.add({ ...clean, ...change });
  return summary;
}

it('adds up times and time-outs', () => {
  const summary = summaryOf({}, { timeout: true }, { timeout: true, durationUs: 5 });
  expect(summary).toMatchObject({ durationUs: 25, durationExtUs: 60, timeouts: 2 });
});

it('names the first error', () => {
  const summary = summaryOf(
    {},
    { errorCode: -2, errorMessage: 'first' },
    { errorCode: -3, errorMessage: 'second' },
  );
  expect(summary).toMatchObject({ errorCode: -2, errorMessage: 'first' });
});

it('wants the trace kept when one run did', () => {
  expect(summaryOf({}, {}).keep).toBe(false);
  expect(summaryOf({ keep: true }, {}).keep).toBe(true);
});

it('has the first value of each attribute, and no schema of the path, which is no parameter', () => {
  const summary = summaryOf(
    { attributes: { a: 1, '_dd.appsec.s.req.params': [8] } },
    { attributes: { a: 2, '_dd.appsec.s.req.query': [8] } },
  );
  expect(summary.attributes).toEqual({ a: 1, '_dd.appsec.s.req.query': [8] });
});

it('has the largest size of what was cut, by limit', () => {
  const summary = summaryOf(
    { truncations: { string_length: 5000, container_size: 300 } },
    { truncations: { string_length: 9000 } },
    { truncations: { string_length: 7000 } },
  );
  expect(summary.truncations).toEqual({ string_length: 9000, container_size: 300 });
});
