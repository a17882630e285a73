import { expect, it } from 'vitest';
import { routeOf } from '../../../src/adapters/haproxy/notify-route.ts';
import { encodeMessages } from '../../../src/spop/index.ts';
import { requestHeadersMessage } from '../../support/spoe-messages.ts';

const costOf = (messages: number): number =>
  routeOf(encodeMessages(Array(messages).fill(requestHeadersMessage('/')))).cost;

// Found by fuzz/: 1,500 messages in one NOTIFY kept an engine thread busy for 100 ms, were taken for the work of one,
// and those of other connections were sent to wait behind them, until they were too late.
it('takes each message of a NOTIFY for work of its own', () => {
  expect(costOf(1_000)).toBeGreaterThan(900 * costOf(1));
});

it('takes a NOTIFY without messages for work, too', () => {
  expect(costOf(0)).toBeGreaterThan(0);
});
