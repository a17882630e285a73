// Part h: gRPC alone. Streams of two messages with a canned answer, by our server and by the least that node:http2 can do.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sleep } from './support/clock.ts';
import { GrpcLink } from './support/grpc-link.ts';
import { median } from './support/median.ts';
import { cpuBetween, cpuOf } from './support/process-stats.ts';
import { figure, type Section, whole } from './support/table.ts';

const mainFile = fileURLToPath(new URL('./support/grpc-main.ts', import.meta.url));
const [warmUpSeconds, seconds, rounds] = [2, 1, 5];
/** Of one connection, under way at a time. */
const streamCounts = [16, 1] as const;
const servers = ['floor', 'ours'] as const;

export async function benchGrpc(): Promise<Section> {
  const runs: Record<(typeof servers)[number], Run>[] = [];
  for (const streams of streamCounts) runs.push(await pair(streams));
  const cells = (of: (run: (typeof runs)[number]) => string): string[] => runs.map(of);
  return {
    title: 'h  gRPC alone: a stream of two messages, nothing analysed',
    columns: streamCounts.map((streams) => `${streams} at a time`),
    rows: [
      { label: 'CPU a stream, node:http2 alone', cells: cells(({ floor }) => figure(floor.cpuUs, 'µs')) },
      { label: 'CPU a stream, src/grpc/', cells: cells(({ ours }) => figure(ours.cpuUs, 'µs')) },
      {
        label: 'the second by the first',
        cells: cells(({ floor, ours }) => figure(ours.cpuUs / floor.cpuUs)),
        target: '<= 1.0',
      },
      { label: 'streams a second, node:http2 alone', cells: cells(({ floor }) => whole(floor.perSecond)) },
      { label: 'streams a second, src/grpc/', cells: cells(({ ours }) => whole(ours.perSecond)) },
    ],
    notes: [
      'as Envoy does it: one connection, a message of 1,500 bytes, its answer, one of 700, its answer, a reset',
      `CPU of the server process, all its threads; medians of ${rounds} windows each, in turn`,
    ],
    figures: streamCounts.map((streams, index) => ({ streams, ...runs[index] })),
  };
}

interface Run {
  readonly cpuUs: number;
  readonly perSecond: number;
}

/** Both servers, one window after the other. */
async function pair(streams: number): Promise<Record<(typeof servers)[number], Run>> {
  const started = await Promise.all(servers.map((which) => start(which)));
  try {
    const windows: Run[][] = servers.map(() => []);
    for (const { port, pid } of started) await window(port, pid, streams, warmUpSeconds);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, { port, pid }] of started.entries()) {
        windows[index]?.push(await window(port, pid, streams, seconds));
      }
    }
    const of = (index: number): Run => ({
      cpuUs: median((windows[index] ?? []).map(({ cpuUs }) => cpuUs)),
      perSecond: median((windows[index] ?? []).map(({ perSecond }) => perSecond)),
    });
    return { floor: of(0), ours: of(1) };
  } finally {
    for (const { stop } of started) stop();
  }
}

async function start(which: (typeof servers)[number]) {
  const server = fork(mainFile, [which], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [port] = (await once(server, 'message')) as [number];
  return { port, pid: server.pid ?? 0, stop: (): boolean => server.kill('SIGKILL') };
}

async function window(port: number, pid: number, streams: number, forSeconds: number): Promise<Run> {
  const link = await GrpcLink.start(port, streams);
  await sleep(200);
  const [cpuBefore, startMs, before] = [cpuOf(pid), performance.now(), link.completed];
  await sleep(forSeconds * 1000);
  const [cpuAfter, endMs, after] = [cpuOf(pid), performance.now(), link.completed];
  link.stop();
  const completed = after - before;
  return {
    cpuUs: (cpuBetween(cpuBefore, cpuAfter).runMs * 1000) / completed,
    perSecond: (completed / (endMs - startMs)) * 1000,
  };
}
