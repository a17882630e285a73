import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwaitedBody, ObservedBodies } from '../../../src/adapters/ext-proc/observed-bodies.ts';

const envoy = '192.0.2.1';

/** Streams of one Envoy that wait for the body of their response. */
function setUp() {
  const bodies = new ObservedBodies();
  const waiting: AwaitedBody[] = [];
  const begin = (): boolean => {
    const body = new AwaitedBody(bodies, envoy);
    const waits = body.wait(() => undefined);
    if (waits) waiting.push(body);
    return waits;
  };
  return { begin, waiting, beginMany: (count: number) => Array.from({ length: count }, begin) };
}

describe('streams of an Envoy that observes', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('wait for a body all of them, once one has come', () => {
    const { begin, waiting, beginMany } = setUp();
    begin();
    waiting[0]?.came();
    expect(beginMany(1_000)).not.toContain(false);
  });

  it('wait in small numbers while nothing is known', () => {
    const waits = setUp().beginMany(1_000);
    expect(waits.filter((one) => one).length).toBeLessThan(50);
  });

  it('do not wait once none has come for three seconds, but for one that looks again now and then', () => {
    const { beginMany } = setUp();
    for (let second = 0; second < 6; second += 1) {
      beginMany(10);
      vi.advanceTimersByTime(1_000);
    }
    const waits = beginMany(300);
    expect(waits.filter((one) => one)).toHaveLength(2);
  });

  it('go on to wait after a process stood still, which sees many bodies late at once', () => {
    const { begin, waiting, beginMany } = setUp();
    begin();
    waiting[0]?.came();
    beginMany(500);
    vi.advanceTimersByTime(1_500);
    expect(begin()).toBe(true);
    waiting.at(-1)?.came();
    expect(beginMany(100)).not.toContain(false);
  });

  it('wait in small numbers while it is not certain that bodies still come', () => {
    const { begin, waiting, beginMany } = setUp();
    begin();
    waiting[0]?.came();
    beginMany(10);
    vi.advanceTimersByTime(1_000);
    expect(beginMany(1_000).filter((one) => one).length).toBeLessThan(50);
  });
});
