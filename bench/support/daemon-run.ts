// What parts c and d measure of a daemon with so many engine threads.
import { sleep } from './clock.ts';
import type { BenchDaemon } from './daemon.ts';
import { Generator } from './generator.ts';
import { type HeaderTimes, measureHeaders } from './header-times.ts';
import { closed, open } from './load-kinds.ts';
import type { LoadPlan } from './load-plan.ts';
import { type Cost, costOf, type Latency, latencyOf, measure, unanalysedOf, type Window } from './measure.ts';

export interface Phase {
  readonly cost: Cost;
  readonly ack: Latency;
  /** Lateness of the generator itself, in milliseconds: part of the latency of an open loop. */
  readonly generatorBehind: Latency;
  readonly unanalysed: number;
  readonly generatorCores: number;
  readonly idleCores: number;
  readonly otherCores: number;
  readonly daemonCores: number;
  /**
   * Of the time in which the threads with the engine could have run, the part in which they did. libddwaf measures
   * time: where this is below 1, its own figure is too large, and so is what a ratio is divided by.
   */
  readonly engineRan: number;
  /**
   * CPU of the daemon divided by libddwaf's time less the part in which it stood still. Too large where threads sleep
   * and wake, for they also wait outside libddwaf: of use at capacity only.
   */
  readonly ratioWithoutWaiting: number;
  /** Cores that each thread of the daemon used, the busiest first; the first of the list is the main thread. */
  readonly threads: readonly { readonly name: string; readonly cores: number }[];
}

export interface DaemonRun {
  readonly engineThreads: number;
  readonly mixCapacity: Phase;
  readonly mixHalf: Phase;
  readonly cleanCapacity: Phase;
  readonly cleanHalf: Phase;
  readonly headers: HeaderTimes;
}

/** The first warm-up counts for each engine thread: each compiles for itself. */
const seconds = { firstWarmUp: 5, warmUp: 0.6, capacity: 3, half: 3.5, clean: 2.5 } as const;

/** @param daemon with so many engine threads, freshly started */
export async function runDaemon(daemon: BenchDaemon, engineThreads: number): Promise<DaemonRun> {
  const mixCapacity = await phase(
    daemon,
    engineThreads,
    [closed('mix')],
    seconds.capacity,
    seconds.firstWarmUp * Math.max(1, engineThreads),
  );
  const mixHalf = await phase(
    daemon,
    engineThreads,
    [open('mix', mixCapacity.cost.perSecond / 2)],
    seconds.half,
  );
  const cleanCapacity = await phase(daemon, engineThreads, [closed('clean')], seconds.clean);
  const cleanHalf = await phase(
    daemon,
    engineThreads,
    [open('clean', cleanCapacity.cost.perSecond / 2)],
    seconds.clean,
  );
  const headers = await measureHeaders(daemon, engineThreads);
  return { engineThreads, mixCapacity, mixHalf, cleanCapacity, cleanHalf, headers };
}

/** One generator, one window. */
export async function windowOf(
  daemon: BenchDaemon,
  loads: readonly LoadPlan[],
  windowSeconds: number,
  warmUpSeconds: number = seconds.warmUp,
): Promise<Window> {
  const generator = await Generator.start(daemon.port, loads);
  await sleep(warmUpSeconds * 1000);
  const window = await measure(daemon, generator, windowSeconds);
  await generator.stop();
  return window;
}

async function phase(
  daemon: BenchDaemon,
  engineThreads: number,
  loads: readonly LoadPlan[],
  windowSeconds: number,
  warmUpSeconds?: number,
): Promise<Phase> {
  return phaseOf(daemon, engineThreads, await windowOf(daemon, loads, windowSeconds, warmUpSeconds));
}

/** What the table and the JSON have of the first load of a window. */
export function phaseOf(daemon: BenchDaemon, engineThreads: number, window: Window): Phase {
  const [load] = window.loads;
  if (load === undefined) throw new Error('a phase without a load');
  const threads = window.daemonCpu.threads.map(({ tid, name, runMs }) => ({
    main: tid === daemon.pid,
    name,
    cores: runMs / 1000 / window.seconds,
  }));
  threads.sort((a, b) => Number(b.main) - Number(a.main) || b.cores - a.cores);
  const cost = costOf(window);
  const engineRan = shareRun(window, Math.max(1, engineThreads));
  return {
    cost,
    ack: latencyOf(load.ackUs),
    generatorBehind: latencyOf(load.behindUs),
    unanalysed: unanalysedOf(load),
    generatorCores: window.generatorCores,
    idleCores: window.idleCores,
    otherCores: window.otherCores,
    daemonCores: window.daemonCpu.runMs / 1000 / window.seconds,
    engineRan,
    ratioWithoutWaiting: cost.ratio / engineRan,
    threads: threads.map(({ name, cores }) => ({ name, cores })),
  };
}

/** The threads with the engine are the busiest ones. */
function shareRun({ daemonCpu }: Window, engineThreads: number): number {
  const engines = [...daemonCpu.threads].sort((a, b) => b.runMs - a.runMs).slice(0, engineThreads);
  const sum = (of: (thread: (typeof engines)[number]) => number): number =>
    engines.reduce((total, thread) => total + of(thread), 0);
  return sum(({ runMs }) => runMs) / sum(({ runMs, waitMs }) => runMs + waitMs);
}
