// How long the verdict on headers takes while other threads have bodies of 15 KB to look at, and while they have not.
import { sleep } from './clock.ts';
import type { BenchDaemon } from './daemon.ts';
import { Generator } from './generator.ts';
import { closed, open } from './load-kinds.ts';
import { latencyOf, unanalysedOf } from './measure.ts';
import { median } from './median.ts';

/** ACK times of header messages: 99th percentiles, medians of the rounds. */
export interface HeaderTimes {
  readonly idleP99Ms: number;
  readonly besideBodiesP99Ms: number;
  /** The second divided by the first, within a round. */
  readonly ratio: number;
  /** Header messages that were skipped, late or never sent: fast, but no verdict. */
  readonly unanalysed: number;
  readonly rounds: readonly Round[];
}

interface Round {
  readonly idleP99Ms: number;
  readonly besideBodiesP99Ms: number;
  readonly unanalysed: number;
}

/** The two are measured in turn, so that a neighbour of this machine troubles both of a pair. */
const rounds = 3;
const [windowMs, settleMs] = [1000, 150];
const headersPerSecond = 400;

export async function measureHeaders(daemon: BenchDaemon, engineThreads: number): Promise<HeaderTimes> {
  const headers = open('clean', headersPerSecond);
  // As many bodies at a time as there are other threads: one thread is always free for headers.
  const bodies = closed('json-15k', Math.max(1, engineThreads - 1));
  const generator = await Generator.start(daemon.port, [headers, bodies]);
  const results: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    generator.go(bodies.name, false);
    const idle = await headerWindow(generator);
    generator.go(bodies.name, true);
    const beside = await headerWindow(generator);
    results.push({
      idleP99Ms: idle.p99Ms,
      besideBodiesP99Ms: beside.p99Ms,
      unanalysed: idle.unanalysed + beside.unanalysed,
    });
  }
  await generator.stop();
  return {
    idleP99Ms: median(results.map(({ idleP99Ms }) => idleP99Ms)),
    besideBodiesP99Ms: median(results.map(({ besideBodiesP99Ms }) => besideBodiesP99Ms)),
    ratio: median(results.map(({ idleP99Ms, besideBodiesP99Ms }) => besideBodiesP99Ms / idleP99Ms)),
    unanalysed: results.reduce((sum, { unanalysed }) => sum + unanalysed, 0),
    rounds: results,
  };
}

/** Of the load that was named first. */
async function headerWindow(generator: Generator): Promise<{ p99Ms: number; unanalysed: number }> {
  await sleep(settleMs);
  await generator.report();
  await sleep(windowMs);
  const [headers] = await generator.report();
  if (headers === undefined) throw new Error('a report without a load');
  return { p99Ms: latencyOf(headers.headerAckUs).p99Ms, unanalysed: unanalysedOf(headers) };
}
