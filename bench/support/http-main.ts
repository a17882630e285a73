// The HTTP clients of part f, a process of their own. Each tick's requests go to all targets in turn.
import { nowMs } from './clock.ts';
import type { HistogramData } from './histogram.ts';
import { Histogram } from './histogram.ts';
import { type HttpPlan, HttpTarget } from './http-target.ts';
import { Schedule } from './schedule.ts';
import { startTicker } from './ticker.ts';

export type HttpCommand =
  | { readonly kind: 'start'; readonly targets: readonly HttpPlan[]; readonly perSecond: number }
  | { readonly kind: 'report' };

export interface HttpReport {
  readonly name: string;
  readonly failures: number;
  readonly unanalysed: number;
  readonly latencyUs: HistogramData;
}

const connectionsEach = 32;
let targets: HttpTarget[] = [];
let arrivals = 0;

function start(plans: readonly HttpPlan[], perSecond: number): void {
  targets = plans.map((plan) => new HttpTarget(plan));
  for (const target of targets) target.open(connectionsEach);
  const schedule = new Schedule(perSecond, nowMs());
  startTicker(() => {
    const atMs = nowMs();
    for (let dueMs = schedule.take(atMs); dueMs !== undefined; dueMs = schedule.take(atMs)) {
      targets[arrivals % targets.length]?.request(dueMs);
      arrivals += 1;
    }
  });
}

function report(): HttpReport[] {
  return targets.map((target) => {
    const { name, failures, unanalysed, latencyUs } = target;
    target.latencyUs = new Histogram();
    target.failures = target.unanalysed = 0;
    return { name, failures, unanalysed, latencyUs: latencyUs.toJSON() };
  });
}

process.on('message', (command: HttpCommand) => {
  if (command.kind === 'start') start(command.targets, command.perSecond);
  else process.send?.(report());
});
process.on('disconnect', () => process.exit(0));
