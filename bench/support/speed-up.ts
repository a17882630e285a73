// What a second engine thread adds. docs/benchmark.md explains the method.
import { cpus } from 'node:os';
import { sleep } from './clock.ts';
import type { BenchDaemon } from './daemon.ts';
import { type Phase, phaseOf } from './daemon-run.ts';
import { Generator } from './generator.ts';
import { closed } from './load-kinds.ts';
import { measure } from './measure.ts';
import { median } from './median.ts';

/** Each the median of the pairs. */
export interface SpeedUp {
  /** Transactions per second with two, divided by those with one, as they were. */
  readonly asMeasured: number;
  /** The same for a daemon that need not share the machine with the generator. */
  readonly withoutGenerator: number;
  /** What the cores of this machine allow, were a transaction as cheap with two threads as with one. */
  readonly possible: number;
  /** CPU of a transaction with two, divided by that with one. */
  readonly cost: number;
  /** What the engine threads would do, had each a core of its own: twice what one does in a second of its CPU. */
  readonly ownCores: number;
  /** Messages that were not analysed, of all pairs: a daemon is fast that way. */
  readonly unanalysed: number;
}

/** The two take turns, and who begins as well: a machine that becomes slower or faster favours neither. */
const pairs = 6;
const [settleMs, windowSeconds] = [150, 0.9];

/** Enough for neither engine thread to wait for the generator. */
const streams = 128;

/** So many wait longer for one thread than HAProxy's 200 ms allow: it would shed some, and look fast. */
const patientMs = 10_000;

/** @param one and @param two daemons with one and two engine threads, both warm */
export async function measureSpeedUp(one: BenchDaemon, two: BenchDaemon): Promise<SpeedUp> {
  const load = { ...closed('mix', streams), processingTimeoutMs: patientMs };
  const generators = [
    await Generator.start(one.port, [load]),
    await Generator.start(two.port, [load]),
  ] as const;
  for (const generator of generators) generator.go(load.name, false);
  const turn = async (engineThreads: number, daemon: BenchDaemon, generator: Generator): Promise<Phase> => {
    await sleep(settleMs);
    generator.go(load.name, true);
    await sleep(settleMs);
    const window = await measure(daemon, generator, windowSeconds);
    generator.go(load.name, false);
    return phaseOf(daemon, engineThreads, window);
  };
  const turnOfOne = (): Promise<Phase> => turn(1, one, generators[0]);
  const turnOfTwo = (): Promise<Phase> => turn(2, two, generators[1]);
  const results: SpeedUp[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const early = pair % 2 === 0 ? await turnOfOne() : undefined;
    const withTwo = await turnOfTwo();
    results.push(speedUp(early ?? (await turnOfOne()), withTwo));
  }
  for (const generator of generators) await generator.stop();
  return {
    asMeasured: median(results.map(({ asMeasured }) => asMeasured)),
    withoutGenerator: median(results.map(({ withoutGenerator }) => withoutGenerator)),
    possible: median(results.map(({ possible }) => possible)),
    cost: median(results.map(({ cost }) => cost)),
    ownCores: median(results.map(({ ownCores }) => ownCores)),
    unanalysed: results.reduce((sum, { unanalysed }) => sum + unanalysed, 0),
  };
}

function speedUp(one: Phase, two: Phase): SpeedUp {
  const fromOne = withoutGenerator(one, 1);
  const gained = withoutGenerator(two, 2) / fromOne;
  const allCores = (cpus().length * 1e6) / one.cost.cpuUsPerTransaction;
  return {
    asMeasured: two.cost.perSecond / one.cost.perSecond,
    withoutGenerator: gained,
    possible: Math.min(2, allCores / fromOne),
    cost: two.cost.cpuUsPerTransaction / one.cost.cpuUsPerTransaction,
    ownCores: 2 * (perEngineSecond(two, 2) / perEngineSecond(one, 1)),
    unanalysed: one.unanalysed + two.unanalysed,
  };
}

/**
 * Transactions per second if the CPU of the generator were the daemon's, at the price that its transactions had; but no
 * engine thread gets more than a core. Idle time is not given to it: it had its chance there.
 */
function withoutGenerator(
  { daemonCores, generatorCores, threads, cost }: Phase,
  engineThreads: number,
): number {
  const factor = Math.min(
    (daemonCores + generatorCores) / daemonCores,
    engineThreads / engineCores(threads, engineThreads),
  );
  return cost.perSecond * factor;
}

/** Transactions in a second of an engine thread's CPU. */
function perEngineSecond({ threads, cost }: Phase, engineThreads: number): number {
  return cost.perSecond / engineCores(threads, engineThreads);
}

/** Cores that the engine threads used: they are the daemon's busiest threads. */
function engineCores(threads: Phase['threads'], engineThreads: number): number {
  const busiest = threads.map(({ cores }) => cores).sort((a, b) => b - a);
  return busiest.slice(0, engineThreads).reduce((sum, cores) => sum + cores, 0);
}
