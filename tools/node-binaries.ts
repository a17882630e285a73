// Finds, or fetches, the versions of Node.js that the package is tested on: the oldest that package.json promises, and
// that of the tests. They come from npm, as the one in node_modules does, into .cache/node/<version>.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fetchPackages } from './npm-packages.ts';

/** 22: the first version with all that is needed (src/cli/node-version.ts). 24: the one that runs this. */
export const nodeVersions = ['22.15.0', process.versions.node] as const;

/** The executable, or the sentence that a skipped test shows. */
export type NodeBinary =
  | { readonly kind: 'found'; readonly version: string; readonly path: string }
  | { readonly kind: 'missing'; readonly version: string; readonly reason: string };

const cacheFolder = join(import.meta.dirname, '..', '.cache', 'node');
/** What the npm package `node` would install by a script of its own. */
const platformPackage = `node-${process.platform}-${process.arch}`;

/** @returns `missing` with a reason instead of throwing: no network is ordinary. */
export async function nodeBinary(version: string): Promise<NodeBinary> {
  if (version === process.versions.node) return { kind: 'found', version, path: process.execPath };
  const folder = join(cacheFolder, version);
  const path = join(folder, 'node_modules', platformPackage, 'bin', 'node');
  if (existsSync(path)) return { kind: 'found', version, path };
  const failure = await fetchPackages(folder, [`${platformPackage}@${version}`]);
  if (failure !== undefined) return { kind: 'missing', version, reason: `Node.js ${version} ${failure}` };
  return { kind: 'found', version, path };
}

/** All of them, fetched side by side. */
export function allNodeBinaries(): Promise<NodeBinary[]> {
  return Promise.all(nodeVersions.map(nodeBinary));
}
