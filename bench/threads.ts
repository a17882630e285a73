// Part d: part c with one and with two engine threads, and what the second one brings.
import { cpus } from 'node:os';
import { BenchDaemon, knowsEngineThreads } from './support/daemon.ts';
import { daemonRows } from './support/daemon-rows.ts';
import { runDaemon } from './support/daemon-run.ts';
import type { Options } from './support/options.ts';
import { measureSpeedUp, type SpeedUp } from './support/speed-up.ts';
import { figure, type Row, type Section, whole } from './support/table.ts';

export async function benchThreads({ tracing }: Options): Promise<Section> {
  const known = await knowsEngineThreads();
  const one = await BenchDaemon.start({ engineThreads: 1, tracing });
  const two = await BenchDaemon.start({ engineThreads: 2, tracing });
  try {
    const runs = [await runDaemon(one, 1), await runDaemon(two, 2)] as const;
    const speedUp = await measureSpeedUp(one, two);
    return {
      title: 'd  the same with engine threads',
      columns: ['1 thread', '2 threads'],
      rows: [...daemonRows(runs), ...speedUpRows(speedUp)],
      notes: known ? [] : ['THIS BUILD HAS NO ENGINE THREADS: both columns are the engine in the I/O thread'],
      figures: { known, runs, speedUp },
    };
  } finally {
    await one.stop();
    await two.stop();
  }
}

function speedUpRows(speedUp: SpeedUp): Row[] {
  const { asMeasured, withoutGenerator, possible, cost, ownCores, unanalysed } = speedUp;
  const row = (label: string, value: number, target?: string): Row => ({
    label: `mix, 2 threads / 1 thread: ${label}`,
    cells: ['', figure(value)],
    ...(target === undefined ? {} : { target }),
  });
  return [
    row('throughput', asMeasured),
    row('without the generator', withoutGenerator, '>= 1.70'),
    row(`at most, on these ${cpus().length} cores`, possible),
    row('CPU per transaction', cost),
    row('with a core for each engine thread', ownCores, '>= 1.70'),
    {
      label: 'mix, 2 threads / 1 thread: messages let through uninspected',
      cells: ['', whole(unanalysed)],
      target: '0',
    },
  ];
}
