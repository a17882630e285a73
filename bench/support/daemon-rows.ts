// The rows of a daemon run, the same in parts c and d: one column a run.
import type { DaemonRun, Phase } from './daemon-run.ts';
import type { Latency } from './measure.ts';
import { figure, type Row, whole } from './table.ts';

export function daemonRows(runs: readonly DaemonRun[]): Row[] {
  const row = (label: string, cell: (run: DaemonRun) => string, target?: string): Row => ({
    label,
    cells: runs.map(cell),
    ...(target === undefined ? {} : { target }),
  });
  const ratio = (name: string, of: (run: DaemonRun) => Phase, target?: string): Row =>
    row(`${name}: daemon CPU / libddwaf`, (run) => figure(of(run).cost.ratio), target);
  const cost = (name: string, of: (run: DaemonRun) => Phase, target?: string): Row[] => [
    row(`${name}: daemon CPU per transaction`, (run) => figure(of(run).cost.cpuUsPerTransaction, 'µs')),
    row(`${name}: libddwaf's own time per transaction`, (run) =>
      figure(of(run).cost.wafUsPerTransaction, 'µs'),
    ),
    ratio(name, of, target),
    row(
      `${name}: the same, without waiting for a core`,
      (run) => figure(of(run).ratioWithoutWaiting),
      target,
    ),
  ];
  const ack = (percentile: string, of: (latency: Latency) => number): Row =>
    row(`mix, half load: ACK time, ${percentile}`, (run) => figure(of(run.mixHalf.ack), 'ms'));
  const unanalysed = ({ mixCapacity, mixHalf, cleanCapacity, cleanHalf, headers }: DaemonRun): number =>
    [mixCapacity, mixHalf, cleanCapacity, cleanHalf, headers].reduce((sum, part) => sum + part.unanalysed, 0);
  return [
    row('mix: transactions per second', (run) => whole(run.mixCapacity.cost.perSecond)),
    ...cost('mix', ({ mixCapacity }) => mixCapacity),
    row('mix: cores of daemon/generator/others/idle', ({ mixCapacity }) => shares(mixCapacity)),
    ack('p50', ({ p50Ms }) => p50Ms),
    ack('p99', ({ p99Ms }) => p99Ms),
    ack('p99.9', ({ p999Ms }) => p999Ms),
    row('mix, half load: of that, the generator was behind, p99', (run) =>
      figure(run.mixHalf.generatorBehind.p99Ms, 'ms'),
    ),
    ratio('mix, half load', ({ mixHalf }) => mixHalf),
    row('clean: transactions per second', (run) => whole(run.cleanCapacity.cost.perSecond)),
    ...cost('clean', ({ cleanCapacity }) => cleanCapacity, '<= 2.00 with engine threads'),
    ratio('clean, half load', ({ cleanHalf }) => cleanHalf, '<= 2.00 with engine threads'),
    row('header ACK p99, nothing else to do', ({ headers }) => figure(headers.idleP99Ms, 'ms')),
    row('header ACK p99, beside 15 KB JSON bodies', ({ headers }) => figure(headers.besideBodiesP99Ms, 'ms')),
    row(
      'header ACK p99: the second divided by the first',
      ({ headers }) => figure(headers.ratio),
      '<= 3.00 with two engine threads',
    ),
    row('messages let through uninspected, all of the above', (run) => whole(unanalysed(run)), '0'),
  ];
}

function shares({ daemonCores, generatorCores, otherCores, idleCores }: Phase): string {
  return [daemonCores, generatorCores, otherCores, idleCores].map((cores) => cores.toFixed(1)).join('/');
}
