/** What fuzz/ is made of: captures that are whole, mutations that repeat, an oracle that knows right from wrong. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blindSession, captures, mutate } from '../../fuzz/mutate.ts';
import { expectationOf } from '../../fuzz/oracle.ts';
import { structuredSession } from '../../fuzz/sessions.ts';
import { haproxyBranches } from '../../tools/haproxy-binaries.ts';

const maxFrameSizeBytes = 131_072;

describe.each(haproxyBranches)('the captures of HAProxy %s', (branch) => {
  const own = captures.filter(({ name }) => name.startsWith(`haproxy-${branch}-`));

  it('are whole, in order, and begin nothing that lives longer than a run', () => {
    const expectations = own.map(({ bytes }) => expectationOf(bytes, maxFrameSizeBytes));
    const notifies = expectations.map((one) => one.notifies.size);
    expect(Math.max(...notifies)).toBeGreaterThan(3);
    for (const one of expectations) {
      expect([...one.outcomes]).toHaveLength(1);
      expect(['open', 'healthcheck', 'status 0']).toContain([...one.outcomes][0]);
      expect(one.complete).toBe(true);
      expect(one.longestTimeToLiveMs).toBeLessThanOrEqual(2_000);
    }
  });
});

it('mutations leave the capture as it was', () => {
  const [capture] = captures;
  const before = Buffer.from(capture?.bytes ?? '');
  mutate(capture?.bytes ?? before, [{ kind: 'set', at: 3, to: 0, value: 255 }], before);
  expect(capture?.bytes).toEqual(before);
});

it('a seed gives the same sessions again', () => {
  for (const session of [blindSession, structuredSession([])]) {
    const [first, again] = [1, 2].map(() => fc.sample(session, { seed: 7, numRuns: 20 }));
    expect(first).toEqual(again);
  }
});

it('sessions with one thing wrong end as docs/spop.md says', () => {
  for (const session of fc.sample(structuredSession([]), { seed: 11, numRuns: 300 })) {
    const { outcomes } = expectationOf(Buffer.concat(session.chunks), maxFrameSizeBytes);
    const wanted = session.wrongStatus === undefined ? [] : [`status ${session.wrongStatus}`];
    expect([...outcomes], session.plan).toEqual(expect.arrayContaining(wanted));
  }
});
