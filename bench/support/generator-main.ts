// The load generator, a process of its own: see generator.ts for the other side.
import { nowMs, sleep } from './clock.ts';
import { Load } from './load.ts';
import type { Answer, Command, LoadPlan } from './load-plan.ts';
import { SpopLink } from './spop-link.ts';
import { startTicker } from './ticker.ts';

const stopTimeoutMs = 2000;
const loads: Load[] = [];
let stopping = false;

function answer(value: Answer): void {
  process.send?.(value);
}

function fail(cause: unknown): void {
  if (stopping) return;
  stopping = true;
  answer({ kind: 'failed', reason: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) });
}

function report(): void {
  answer({ kind: 'report', loads: loads.map((load) => load.report()) });
}

async function start(port: number, plans: readonly LoadPlan[]): Promise<void> {
  for (const plan of plans) {
    const links = await Promise.all(
      Array.from({ length: plan.connections }, () => SpopLink.open(port, fail)),
    );
    loads.push(new Load(plan, links));
  }
  if (plans.some(({ arrival }) => arrival.kind === 'open')) {
    startTicker(() => {
      for (const load of loads) load.tick();
    });
  }
  for (const load of loads) load.start();
  answer({ kind: 'started' });
}

async function stop(): Promise<void> {
  stopping = true;
  for (const load of loads) load.stop();
  const deadlineMs = nowMs() + stopTimeoutMs;
  while (loads.some((load) => load.underWay > 0) && nowMs() < deadlineMs) await sleep(5);
  report();
  process.disconnect();
  process.exit(0);
}

process.on('message', (command: Command) => {
  switch (command.kind) {
    case 'start':
      start(command.port, command.loads).catch(fail);
      break;
    case 'report':
      report();
      break;
    case 'rate':
      loads.find(({ name }) => name === command.load)?.changeRate(command.perSecond);
      break;
    case 'go': {
      const load = loads.find(({ name }) => name === command.load);
      if (command.on) load?.start();
      else load?.stop();
      break;
    }
    case 'stop':
      stop().catch(fail);
      break;
  }
});
process.on('uncaughtException', fail);
// The bench went away without a word.
process.on('disconnect', () => process.exit(0));
