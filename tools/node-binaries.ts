// Finds, or fetches, the versions of Node.js that the package is tested on: the oldest that package.json promises, and
// that of the tests. They come from npm, as the one in node_modules does, into .cache/node/<version>.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** 22: the first version with all that is needed (src/cli/node-version.ts). 24: the one that runs this. */
export const nodeVersions = ['22.15.0', process.versions.node] as const;

/** The executable, or the sentence that a skipped test shows. */
export type NodeBinary =
  | { readonly kind: 'found'; readonly version: string; readonly path: string }
  | { readonly kind: 'missing'; readonly version: string; readonly reason: string };

const run = promisify(execFile);
const cacheFolder = join(import.meta.dirname, '..', '.cache', 'node');
/** What the npm package `node` would install by a script of its own. */
const platformPackage = `node-${process.platform}-${process.arch}`;

/** @returns `missing` with a reason instead of throwing: no network is ordinary. */
export async function nodeBinary(version: string): Promise<NodeBinary> {
  if (version === process.versions.node) return { kind: 'found', version, path: process.execPath };
  const folder = join(cacheFolder, version);
  const path = join(folder, 'node_modules', platformPackage, 'bin', 'node');
  if (existsSync(path)) return { kind: 'found', version, path };
  const work = join(cacheFolder, `.${version}-${process.pid}`);
  try {
    await mkdir(work, { recursive: true });
    await run('npm', [
      ...[
        'install',
        '--silent',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--fetch-retries=1',
        '--prefix',
        work,
      ],
      `${platformPackage}@${version}`,
    ]);
    // Several processes may do so at once: the first rename wins.
    await rename(work, folder).catch((error: unknown) => {
      if (!existsSync(path)) throw error;
    });
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { kind: 'missing', version, reason: `Node.js ${version} could not be fetched from npm: ${why}` };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { kind: 'found', version, path };
}

/** All of them, fetched side by side. */
export function allNodeBinaries(): Promise<NodeBinary[]> {
  return Promise.all(nodeVersions.map(nodeBinary));
}
