import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { usableProcessors } from '../../src/daemon/processors.ts';

let root: string | undefined;
afterEach(() => {
  if (root !== undefined) rmSync(root, { recursive: true });
  root = undefined;
});

function machine(files: Readonly<Record<string, string>>): string {
  root = mkdtempSync(join(tmpdir(), 'appsec-edge-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const v2 = { 'proc/self/cgroup': '0::/system.slice/spoa.service\n' };
const v1 = { 'proc/self/cgroup': '4:memory:/spoa\n3:cpu,cpuacct:/spoa\n1:name=systemd:/\n' };

describe('the processors of this process', () => {
  it.each<[string, Readonly<Record<string, string>>, number]>([
    ['no control groups', {}, 8],
    [
      'a quota of two and a half',
      { ...v2, 'sys/fs/cgroup/system.slice/spoa.service/cpu.max': '250000 100000\n' },
      3,
    ],
    ['no quota', { ...v2, 'sys/fs/cgroup/system.slice/spoa.service/cpu.max': 'max 100000\n' }, 8],
    ['a container whose mount is its own group', { ...v2, 'sys/fs/cgroup/cpu.max': '100000 100000' }, 1],
    ['a tenth of one', { ...v2, 'sys/fs/cgroup/cpu.max': '10000 100000' }, 1],
    ['a quota above what there is', { ...v2, 'sys/fs/cgroup/cpu.max': '6400000 100000' }, 8],
    [
      'cgroup v1',
      {
        ...v1,
        'sys/fs/cgroup/cpu,cpuacct/spoa/cpu.cfs_quota_us': '200000',
        'sys/fs/cgroup/cpu,cpuacct/spoa/cpu.cfs_period_us': '100000',
      },
      2,
    ],
    [
      'cgroup v1 under another mount',
      {
        ...v1,
        'sys/fs/cgroup/cpu/spoa/cpu.cfs_quota_us': '400000',
        'sys/fs/cgroup/cpu/spoa/cpu.cfs_period_us': '100000',
      },
      4,
    ],
    [
      'cgroup v1 without a quota',
      {
        ...v1,
        'sys/fs/cgroup/cpu/spoa/cpu.cfs_quota_us': '-1',
        'sys/fs/cgroup/cpu/spoa/cpu.cfs_period_us': '100000',
      },
      8,
    ],
    ['files that say nonsense', { ...v2, 'sys/fs/cgroup/cpu.max': 'often never' }, 8],
  ])('with %s', (_what, files, expected) => {
    expect(usableProcessors(machine(files), 8)).toBe(expected);
  });
});
