import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/**
 * Processors that this process may really use: those it may run on, and no more than the quota of its control group
 * allows. Node counts quotas too, but not under every mount of cgroup v1. A fraction counts as a whole one.
 *
 * @param root where /proc and /sys are; for tests
 */
export function usableProcessors(root = '/', parallelism = availableParallelism()): number {
  const limits = quotas(root).map((processors) => Math.max(1, Math.ceil(processors)));
  return Math.min(parallelism, ...limits);
}

/** Of each hierarchy that limits the processor time of this process. */
function quotas(root: string): number[] {
  return controlGroups(root).flatMap(({ controllers, path }) => {
    // In a container the mount is the container's own group, whatever path the host knows it by.
    for (const folder of [path, '/']) {
      const quota =
        controllers === ''
          ? quotaOfV2(join(root, 'sys/fs/cgroup', folder))
          : (quotaOfV1(join(root, 'sys/fs/cgroup', controllers, folder)) ??
            quotaOfV1(join(root, 'sys/fs/cgroup/cpu', folder)));
      if (quota !== undefined) return [quota];
    }
    return [];
  });
}

/** The lines of /proc/self/cgroup that concern processor time: `hierarchy:controllers:path`, no controllers in v2. */
function controlGroups(root: string): { readonly controllers: string; readonly path: string }[] {
  const text = read(join(root, 'proc/self/cgroup')) ?? '';
  return [...text.matchAll(/^\d+:([^:]*):(.*)$/gm)]
    .map(([, controllers = '', path = '/']) => ({ controllers, path }))
    .filter(({ controllers }) => controllers === '' || controllers.split(',').includes('cpu'));
}

/** `cpu.max`: quota and period in microseconds; `max` for none. */
function quotaOfV2(folder: string): number | undefined {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(/\s+/).map(Number);
  return ratio(quota, period);
}

function quotaOfV1(folder: string): number | undefined {
  const quota = Number(read(join(folder, 'cpu.cfs_quota_us')));
  return ratio(quota, Number(read(join(folder, 'cpu.cfs_period_us'))));
}

/** A quota below zero is none. */
function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  const processors = (quota ?? Number.NaN) / (period ?? Number.NaN);
  return Number.isFinite(processors) && processors > 0 ? processors : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
