import { expect, it } from 'vitest';
import { expectationOf } from '../../fuzz/oracle.ts';
import { encodeHaproxyHello, encodeNotify } from '../../src/spop/index.ts';
import { TYPICAL_HELLO } from '../support/spop-client.ts';

it('ids that come again may have been acknowledged before, or still wait: the daemon may answer twice, or refuse', () => {
  const notify = encodeNotify(4, 1, []);
  const { outcomes, notifies } = expectationOf(
    Buffer.concat([encodeHaproxyHello(TYPICAL_HELLO), notify, notify]),
    65_536,
  );
  expect([...outcomes].toSorted()).toEqual(['open', 'status 4']);
  expect(notifies).toEqual(new Map([['4/1', 2]]));
});
