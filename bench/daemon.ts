// Part c: the whole daemon with the engine in the I/O thread, under a SPOP load from another process.
import { BenchDaemon } from './support/daemon.ts';
import { daemonRows } from './support/daemon-rows.ts';
import { runDaemon } from './support/daemon-run.ts';
import type { Options } from './support/options.ts';
import type { Section } from './support/table.ts';

export async function benchDaemon({ tracing }: Options): Promise<Section> {
  const daemon = await BenchDaemon.start({ engineThreads: 0, tracing });
  try {
    const run = await runDaemon(daemon, 0);
    return {
      title: 'c  whole daemon',
      columns: ['0 threads'],
      rows: daemonRows([run]),
      notes: ['engine in the I/O thread (--engine-threads 0)'],
      figures: run,
    };
  } finally {
    await daemon.stop();
  }
}
