import { expect, it } from 'vitest';
import { expectationOf } from '../../fuzz/oracle.ts';
import { encodeHaproxyHello, encodeNotify } from '../../src/spop/index.ts';
import { requestHeadersMessage, string } from '../support/spoe-messages.ts';
import { TYPICAL_HELLO } from '../support/spop-client.ts';

const expectation = (...notifies: readonly Buffer[]) =>
  expectationOf(Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), ...notifies]), 65_536);

it('ids that come again may have been acknowledged before, or still wait: the daemon answers twice, or once', () => {
  const notify = encodeNotify(4, 1, []);
  const { outcomes, notifies, owed } = expectation(notify, notify);
  expect([...outcomes]).toEqual(['open']);
  expect(notifies).toEqual(new Map([['4/1', 2]]));
  expect(owed).toEqual(new Set(['4/1']));
});

it('nobody is owed an answer whose own patience may be over before', () => {
  const impatient = requestHeadersMessage('/', [], { processing_timeout: string('1us') });
  expect(expectation(encodeNotify(4, 1, [impatient])).owed).toEqual(new Set());
});
