// Part b: the protocol alone. Sockets, frames and ACKs of the daemon, and nobody who analyses anything.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sleep } from './support/clock.ts';
import { Generator } from './support/generator.ts';
import { cpuBetween, cpuOf } from './support/process-stats.ts';
import { figure, type Section, whole } from './support/table.ts';

const mainFile = fileURLToPath(new URL('./support/protocol-main.ts', import.meta.url));
const [warmUpSeconds, seconds] = [1, 2];
/** Messages under way. */
const streamCounts = [256, 8, 1] as const;

export async function benchProtocol(): Promise<Section> {
  const server = fork(mainFile, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  try {
    const [port] = (await once(server, 'message')) as [number];
    const runs: Run[] = [];
    for (const streams of streamCounts) runs.push(await run(port, server.pid ?? 0, streams));
    return {
      title: 'b  protocol alone: NOTIFY to ACK, nothing analysed',
      columns: streamCounts.map((streams) => `${streams} at a time`),
      rows: [
        {
          label: "per second of one core's CPU",
          cells: runs.map(({ perCpuSecond }) => whole(perCpuSecond)),
          target: '>= 90,000',
        },
        { label: 'per second of time', cells: runs.map(({ perSecond }) => whole(perSecond)) },
        { label: 'cores used by the server', cells: runs.map(({ cores }) => figure(cores)) },
      ],
      notes: [
        'headers of pages and assets, messages and arguments read, eight variables set; 4 connections',
        'the CPU is that of the server process, all its threads; the more at a time, the more share a read and a write',
      ],
      figures: streamCounts.map((streams, index) => ({ streams, ...runs[index] })),
    };
  } finally {
    server.kill('SIGKILL');
  }
}

interface Run {
  readonly perCpuSecond: number;
  readonly perSecond: number;
  readonly cores: number;
}

async function run(port: number, pid: number, streams: number): Promise<Run> {
  const arrival = { kind: 'closed', streams } as const;
  const generator = await Generator.start(port, [
    { name: 'headers', mix: 'clean', connections: Math.min(4, streams), arrival },
  ]);
  await sleep(warmUpSeconds * 1000);
  await generator.report();
  const [before, startMs] = [cpuOf(pid), performance.now()];
  await sleep(seconds * 1000);
  const [after, endMs] = [cpuOf(pid), performance.now()];
  const acks = (await generator.report()).reduce((sum, load) => sum + load.acks, 0);
  await generator.stop();
  const cpuMs = cpuBetween(before, after).runMs;
  const tookMs = endMs - startMs;
  return { perCpuSecond: (acks / cpuMs) * 1000, perSecond: (acks / tookMs) * 1000, cores: cpuMs / tookMs };
}
