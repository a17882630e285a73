import { AggregatorRegistry } from 'prom-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { MetricsSnapshot } from '../../src/daemon/thread-messages.ts';
import { ThreadMetrics } from '../../src/daemon/thread-metrics.ts';
import { Metrics } from '../../src/ops/metrics.ts';
import { patienceMs } from '../support/patience.ts';

/** Threads with metrics of their own, which answer at once unless told otherwise. */
function setUp(count: number) {
  const metrics = Array.from({ length: count }, () => new Metrics({ ofProcess: false }));
  const ready = metrics.map(() => true);
  const mute = new Set<number>();
  const asked: [index: number, request: number][] = [];
  const collected: ThreadMetrics = new ThreadMetrics(count, (index, request) => {
    asked.push([index, request]);
    if (!mute.has(index)) void answer(index, request);
  });
  const answer = async (index: number, request: number): Promise<void> => {
    const snapshot: MetricsSnapshot = (await metrics[index]?.registry.getMetricsAsJSON()) ?? [];
    // As on its way from another thread.
    collected.answered(index, request, structuredClone(snapshot));
  };
  const snapshots = () => collected.collect({ isReady: (index) => ready[index] === true });
  const shown = async (): Promise<number> => {
    const json = await AggregatorRegistry.aggregate([...(await snapshots())]).getMetricsAsJSON();
    const metric = json.find(({ name }) => name === 'appsec_edge_waf_timeouts_total');
    return metric?.values.reduce((sum, { value }) => sum + Number(value), 0) ?? 0;
  };
  const count1 = (index: number, by = 1): void => metrics[index]?.wafTimeouts.inc(by);
  const replace = (index: number): void => {
    collected.retire(index);
    metrics[index] = new Metrics({ ofProcess: false });
  };
  return { ready, mute, asked, answer, snapshots, shown, count: count1, replace };
}

describe('the metrics of threads', () => {
  it('are those of all of them, as of now', async () => {
    const { shown, count } = setUp(3);
    expect(await shown()).toBe(0);
    count(0, 2);
    count(2, 3);
    expect(await shown()).toBe(5);
    count(1);
    expect(await shown()).toBe(6);
  });

  it('are there for several who ask at once', async () => {
    const { shown, count } = setUp(2);
    count(0, 7);
    expect(await Promise.all([shown(), shown(), shown()])).toEqual([7, 7, 7]);
  });

  it('are the last known ones of a thread that does not answer in time, and its late answer counts next time', async () => {
    const { shown, count, mute, asked, answer } = setUp(2);
    count(0);
    count(1);
    expect(await shown()).toBe(2);
    mute.add(1);
    count(0);
    count(1);
    expect(await shown()).toBe(3);
    const [index, request] = asked.at(-1) ?? [0, 0];
    await answer(index, request);
    expect(await shown()).toBe(4);
  });

  it('do not wait for threads that are not there', async () => {
    const { shown, ready, asked } = setUp(2);
    ready.fill(false);
    // Whatever waited for them would wait for ever.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    expect(await shown()).toBe(0);
    expect(asked).toEqual([]);
  });

  it('never go back when threads end, however often, and what is kept of them is bounded', async () => {
    const { shown, count, replace, snapshots } = setUp(2);
    for (let life = 1; life <= 100; life += 1) {
      count(life % 2);
      expect(await shown()).toBe(life);
      replace(life % 2);
      expect(await shown()).toBe(life);
    }
    await vi.waitFor(async () => expect((await snapshots()).length).toBeLessThan(15), patienceMs);
    expect(await shown()).toBe(100);
  });
});
