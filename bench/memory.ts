// Part e: memory over very many transactions, half of which the client never finishes.
import { nowMs, sleep } from './support/clock.ts';
import { BenchDaemon } from './support/daemon.ts';
import { Generator } from './support/generator.ts';
import type { LoadReport } from './support/load-plan.ts';
import { median } from './support/median.ts';
import type { Options } from './support/options.ts';
import { memoryOf } from './support/process-stats.ts';
import { type Section, whole } from './support/table.ts';

const wholeMillion = 1_000_000;
const defaultSeconds = 18;
const sampleEveryMs = 200;
/**
 * Of unfinished transactions, so many are kept. The default of the daemon in the whole million, which replaces them 50
 * times; a fifth of it where there is less time, so that they are replaced as often.
 */
const kept = { full: 10_000, short: 2000 } as const;

interface Sample {
  readonly transactions: number;
  readonly rssMb: number;
}

export async function benchMemory({ tracing, full }: Options): Promise<Section> {
  const maxTransactions = full ? kept.full : kept.short;
  const daemon = await BenchDaemon.start({ tracing, maxTransactions });
  try {
    const atStartMb = memoryOf(daemon.pid).rssMb;
    const { samples, seconds } = await run(daemon, full);
    const live = await daemon.metric('appsec_edge_transactions_live');
    const transactions = samples.at(-1)?.transactions ?? 0;
    // Every second one is unfinished: from here on, each newcomer ends an old one.
    const filled = samples.filter((sample) => sample.transactions >= 2.2 * maxTransactions);
    const quarters = [0, 1, 2, 3].map((quarter) =>
      median(filled.slice(...quarterOf(filled.length, quarter)).map(({ rssMb }) => rssMb)),
    );
    const growthMb = slopeOf(filled.slice(filled.length / 2)) * wholeMillion;
    const perKeptKb = (((quarters[3] ?? Number.NaN) - atStartMb) * 1000) / live;
    const last = (value: string): string[] => ['', '', '', value];
    return {
      title: `e  memory over ${whole(transactions)} transactions, half of them never finished`,
      columns: ['1st quarter', '2nd', '3rd', '4th'],
      rows: [
        { label: 'resident memory in MB, median of the quarter', cells: quarters.map(whole), target: 'flat' },
        {
          label: 'MB after the start / at the highest',
          cells: last(`${whole(atStartMb)}/${whole(memoryOf(daemon.pid).peakMb)}`),
        },
        {
          label: 'MB for a million more, extrapolated from the second half',
          cells: last(whole(growthMb)),
          target: '0',
        },
        {
          label: full ? 'unfinished transactions kept / KB for each' : 'unfinished transactions kept',
          cells: last(full ? `${whole(live)}/${whole(perKeptKb)}` : whole(live)),
        },
        { label: 'transactions per second', cells: last(whole(transactions / seconds)) },
      ],
      notes: full
        ? []
        : [
            `stopped after ${defaultSeconds} seconds; APPSEC_EDGE_MAX_TRANSACTIONS is ${whole(kept.short)} here, a fifth of its default`,
            '--full does the whole million with the default; the heap takes about half of that to find its size',
          ],
      figures: {
        transactions,
        seconds,
        maxTransactions,
        atStartMb,
        quartersMb: quarters,
        growthMbPerMillion: growthMb,
        live,
        perKeptKb,
        samples,
      },
    };
  } finally {
    await daemon.stop();
  }
}

async function run(
  daemon: BenchDaemon,
  full: boolean,
): Promise<{ samples: readonly Sample[]; seconds: number }> {
  const arrival = { kind: 'closed', streams: 32 } as const;
  const plan = { name: 'small', mix: 'small', connections: 4, arrival, halfUnfinished: true } as const;
  const generator = await Generator.start(daemon.port, [plan]);
  const startMs = nowMs();
  const samples: Sample[] = [];
  let transactions = 0;
  const enough = (): boolean =>
    full ? transactions >= wholeMillion : nowMs() - startMs >= defaultSeconds * 1000;
  while (!enough()) {
    await sleep(sampleEveryMs);
    transactions += completed(await generator.report());
    samples.push({ transactions, rssMb: memoryOf(daemon.pid).rssMb });
  }
  const seconds = (nowMs() - startMs) / 1000;
  await generator.stop();
  return { samples, seconds };
}

function completed(loads: readonly LoadReport[]): number {
  return loads.reduce((sum, load) => sum + load.completed, 0);
}

function quarterOf(length: number, quarter: number): [number, number] {
  return [Math.floor((length * quarter) / 4), Math.floor((length * (quarter + 1)) / 4)];
}

/** Megabytes a transaction, by least squares. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanX = mean(samples.map(({ transactions }) => transactions));
  const meanY = mean(samples.map(({ rssMb }) => rssMb));
  const covariance = samples.reduce(
    (sum, { transactions, rssMb }) => sum + (transactions - meanX) * (rssMb - meanY),
    0,
  );
  const variance = samples.reduce((sum, { transactions }) => sum + (transactions - meanX) ** 2, 0);
  return covariance / variance;
}
