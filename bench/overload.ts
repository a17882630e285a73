// Part g: three times as much as the daemon can do, and what comes after.
import { nowMs, sleep } from './support/clock.ts';
import { BenchDaemon } from './support/daemon.ts';
import { windowOf } from './support/daemon-run.ts';
import { Generator } from './support/generator.ts';
import { closed } from './support/load-kinds.ts';
import type { LoadReport } from './support/load-plan.ts';
import { costOf, type Latency, latencyOf } from './support/measure.ts';
import type { Options } from './support/options.ts';
import { forgetPeak, memoryOf } from './support/process-stats.ts';
import { figure, type Row, type Section, whole } from './support/table.ts';

const engineThreads = 1;
/** As HAProxy, which opens more of them the more messages wait. */
const connections = 16;
const loadName = 'overload';
const seconds = { warmUp: 2.5, capacity: 2.5, before: 2.5, overload: 6, after: 4 } as const;

interface Phase {
  readonly begunPerSecond: number;
  readonly completedPerSecond: number;
  readonly ack: Latency;
  readonly generatorBehind: Latency;
  readonly skipped: number;
  readonly late: number;
  readonly unsent: number;
  readonly rssMb: number;
  readonly peakMb: number;
  /** Of the generator: after the change of rate that began the phase, until the last message that was not analysed. */
  readonly degradedMs: number;
}

export async function benchOverload({ tracing }: Options): Promise<Section> {
  const daemon = await BenchDaemon.start({ engineThreads, tracing });
  try {
    const window = await windowOf(daemon, [closed('mix')], seconds.capacity, seconds.warmUp);
    const sustainable = costOf(window).perSecond;
    const arrival = { kind: 'open', perSecond: sustainable / 2 } as const;
    const generator = await Generator.start(daemon.port, [
      { name: loadName, mix: 'mix', connections, arrival },
    ]);
    const before = await phase(daemon, generator, seconds.before);
    const skippedBefore = await daemon.metric('appsec_edge_skipped_total');
    generator.changeRate(loadName, sustainable * 3);
    const during = await phase(daemon, generator, seconds.overload);
    generator.changeRate(loadName, sustainable / 2);
    const after = await phase(daemon, generator, seconds.after);
    const skippedCounted = (await daemon.metric('appsec_edge_skipped_total')) - skippedBefore;
    await generator.stop();
    return {
      title: `g  overload, ${engineThreads} engine thread; sustainable: ${whole(sustainable)} a second`,
      columns: ['before: x0.5', 'x3', 'after: x0.5'],
      rows: rowsOf([before, during, after], skippedCounted),
      notes: [
        `${seconds.overload} seconds of overload over ${connections} connections; a message that is late ends its transaction, as on HAProxy 2.6`,
      ],
      figures: { sustainable, before, during, after, skippedCounted },
    };
  } finally {
    await daemon.stop();
  }
}

async function phase(daemon: BenchDaemon, generator: Generator, phaseSeconds: number): Promise<Phase> {
  await generator.report();
  forgetPeak(daemon.pid);
  const startMs = nowMs();
  await sleep(phaseSeconds * 1000);
  const memory = memoryOf(daemon.pid);
  const [load] = await generator.report();
  if (load === undefined) throw new Error('a phase without a load');
  return { ...summary(load, (nowMs() - startMs) / 1000), ...memory };
}

function summary(load: LoadReport, took: number): Omit<Phase, 'rssMb' | 'peakMb'> {
  const { skipped, late, unsent, degradedMs } = load;
  return {
    begunPerSecond: load.begun / took,
    completedPerSecond: load.completed / took,
    ack: latencyOf(load.ackUs),
    generatorBehind: latencyOf(load.behindUs),
    ...{ skipped, late, unsent, degradedMs },
  };
}

function rowsOf(phases: readonly [Phase, Phase, Phase], skippedCounted: number): Row[] {
  const row = (label: string, cell: (phase: Phase) => string, target?: string): Row => ({
    label,
    cells: phases.map(cell),
    ...(target === undefined ? {} : { target }),
  });
  const [, , after] = phases;
  return [
    row('transactions begun per second', ({ begunPerSecond }) => whole(begunPerSecond)),
    row('ACK time, p50', ({ ack }) => figure(ack.p50Ms, 'ms')),
    row('ACK time, p99', ({ ack }) => figure(ack.p99Ms, 'ms')),
    row('ACK time, longest', ({ ack }) => figure(ack.maxMs, 'ms'), '< 200 ms'),
    row('of that, the generator was behind, longest', ({ generatorBehind }) =>
      figure(generatorBehind.maxMs, 'ms'),
    ),
    row('ACKs later than 200 ms, and messages never sent', ({ late, unsent }) => whole(late + unsent), '0'),
    row('messages shed (verdict skipped)', ({ skipped }) => whole(skipped)),
    {
      label: 'shed, according to appsec_edge_skipped_total',
      cells: ['', '', whole(skippedCounted)],
      target: 'x3 and after together',
    },
    row('resident memory: highest', ({ peakMb }) => figure(peakMb, 'MB'), 'flat'),
    row('resident memory: at the end', ({ rssMb }) => figure(rssMb, 'MB')),
    {
      label: 'full analysis back after',
      cells: ['', '', backAfter(after.degradedMs)],
      target: '< 1,000 ms',
    },
  ];
}

/** Degraded to the end of the window: nobody knows how long it would have gone on. */
function backAfter(degradedMs: number): string {
  const atLeast = degradedMs > (seconds.after - 0.25) * 1000;
  return `${atLeast ? '> ' : ''}${figure(degradedMs, 'ms')}`;
}
