import type { Action } from '../../src/spop/index.ts';

/** As after the headers of a request in which nothing was found. */
export const passActions: readonly Action[] = [
  { kind: 'set-var', scope: 'txn', name: 'request_body', value: { type: 'boolean', value: false } },
  { kind: 'set-var', scope: 'txn', name: 'response_body', value: { type: 'boolean', value: false } },
  text('span_id', '1234567890123456789'),
  text('tracing_x_datadog_trace_id', '1234567890123456789'),
  text('tracing_x_datadog_parent_id', '1234567890123456789'),
  text('tracing_x_datadog_sampling_priority', '1'),
  text('verdict', 'pass'),
  text('trace_id', '6960b3a000000000112210f47de98115'),
];

function text(name: string, value: string): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'string', value } };
}
