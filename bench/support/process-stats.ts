// What the operating system says about a process: CPU by thread, memory. Linux only.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface ThreadCpu {
  readonly tid: number;
  readonly name: string;
  /** Time on a core. */
  readonly runMs: number;
  /** Time ready to run while others had the cores. */
  readonly waitMs: number;
}

export interface ProcessCpu {
  /** User and system time of all threads that live now. Those that ended meanwhile are missing: none of ours does. */
  readonly runMs: number;
  readonly waitMs: number;
  readonly threads: readonly ThreadCpu[];
}

/** To the nanosecond, from the scheduler; /proc/<pid>/stat counts in hundredths of a second. */
export function cpuOf(pid: number): ProcessCpu {
  const threads = readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      const folder = `/proc/${pid}/task/${tid}`;
      const [run = 0, wait = 0] = readFileSync(`${folder}/schedstat`, 'utf8').split(' ').map(Number);
      const name = readFileSync(`${folder}/comm`, 'utf8').trim();
      return [{ tid: Number(tid), name, runMs: run / 1e6, waitMs: wait / 1e6 }];
    } catch {
      // It ended between the two calls.
      return [];
    }
  });
  return {
    runMs: sum(threads.map(({ runMs }) => runMs)),
    waitMs: sum(threads.map(({ waitMs }) => waitMs)),
    threads,
  };
}

/** What was used between two looks at the same process. Threads that are new count from their start. */
export function cpuBetween(before: ProcessCpu, after: ProcessCpu): ProcessCpu {
  const earlier = new Map(before.threads.map((thread) => [thread.tid, thread]));
  const threads = after.threads.map((thread) => ({
    ...thread,
    runMs: thread.runMs - (earlier.get(thread.tid)?.runMs ?? 0),
    waitMs: thread.waitMs - (earlier.get(thread.tid)?.waitMs ?? 0),
  }));
  return {
    runMs: sum(threads.map(({ runMs }) => runMs)),
    waitMs: sum(threads.map(({ waitMs }) => waitMs)),
    threads,
  };
}

/** Milliseconds of all cores together, since the machine was started, in steps of ten. */
export function machineIdleMs(): number {
  const fields =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  return ((fields[3] ?? 0) + (fields[4] ?? 0)) * 10;
}

/** Resident memory in megabytes (10^6 bytes), now and the highest since `forgetPeak`. */
export function memoryOf(pid: number): { readonly rssMb: number; readonly peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    (Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6;
  return { rssMb: field('VmRSS'), peakMb: field('VmHWM') };
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
