// One window of time: what the generator saw, and what daemon and machine used for it.
import { cpus } from 'node:os';
import { nowMs, sleep } from './clock.ts';
import type { BenchDaemon } from './daemon.ts';
import type { Generator } from './generator.ts';
import { Histogram, type HistogramData } from './histogram.ts';
import type { LoadReport } from './load-plan.ts';
import { cpuBetween, cpuOf, machineIdleMs, type ProcessCpu } from './process-stats.ts';

export interface Window {
  readonly seconds: number;
  /** One a load, in the order of the plans. */
  readonly loads: readonly LoadReport[];
  readonly daemonCpu: ProcessCpu;
  /** Cores that the generator kept busy: 0.5 is half a core. */
  readonly generatorCores: number;
  /** Cores that nobody used. */
  readonly idleCores: number;
  /** Cores that neither daemon nor generator nor idleness explains: the kernel's own work, and neighbours. */
  readonly otherCores: number;
  /** libddwaf's own time. */
  readonly wafMs: number;
}

export async function measure(daemon: BenchDaemon, generator: Generator, seconds: number): Promise<Window> {
  const wafBefore = await daemon.waf();
  const wafBeforeAtMs = nowMs();
  await generator.report();
  const startMs = nowMs();
  const [daemonBefore, generatorBefore, idleBefore] = [
    cpuOf(daemon.pid),
    cpuOf(generator.pid),
    machineIdleMs(),
  ];
  await sleep(seconds * 1000);
  const [daemonAfter, generatorAfter, idleAfter] = [cpuOf(daemon.pid), cpuOf(generator.pid), machineIdleMs()];
  const tookMs = nowMs() - startMs;
  const loads = await generator.report();
  const wafAfter = await daemon.waf();
  const wafTookMs = nowMs() - wafBeforeAtMs;
  const daemonCpu = cpuBetween(daemonBefore, daemonAfter);
  const generatorCores = cpuBetween(generatorBefore, generatorAfter).runMs / tookMs;
  const idleCores = (idleAfter - idleBefore) / tookMs;
  return {
    seconds: tookMs / 1000,
    loads,
    daemonCpu,
    generatorCores,
    idleCores,
    otherCores: Math.max(0, cpus().length - idleCores - generatorCores - daemonCpu.runMs / tookMs),
    // A daemon that is busy takes its time over its metrics: their window is a little longer than ours.
    wafMs: ((wafAfter.ms - wafBefore.ms) * tookMs) / wafTookMs,
  };
}

/** Messages that HAProxy's traffic went on without. */
export function unanalysedOf({ skipped, late, unsent }: LoadReport): number {
  return skipped + late + unsent;
}

export interface Cost {
  readonly perSecond: number;
  /** Of all threads of the daemon, in microseconds. */
  readonly cpuUsPerTransaction: number;
  readonly wafUsPerTransaction: number;
  /** How much more CPU than libddwaf's own time. */
  readonly ratio: number;
}

export function costOf(window: Window): Cost {
  const transactions = window.loads.reduce((sum, { completed }) => sum + completed, 0);
  return {
    perSecond: transactions / window.seconds,
    cpuUsPerTransaction: (window.daemonCpu.runMs * 1000) / transactions,
    wafUsPerTransaction: (window.wafMs * 1000) / transactions,
    ratio: window.daemonCpu.runMs / window.wafMs,
  };
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** @param data microseconds; of no value all are NaN */
export function latencyOf(data: HistogramData): Latency {
  const histogram = Histogram.from(data);
  const ms = (percent: number): number => (histogram.percentile(percent) ?? Number.NaN) / 1000;
  return { p50Ms: ms(50), p99Ms: ms(99), p999Ms: ms(99.9), maxMs: ms(100) };
}
