// Packages from npm in a folder of the cache, for tests: no dependency of this project, and nothing is run at that.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * @param folder gets a `node_modules`; several processes may fetch into it at once, and the first wins
 * @param packages as `name@version`
 * @returns why they are not there, a line for a skipped test; undefined when they are
 */
export async function fetchPackages(
  folder: string,
  packages: readonly string[],
): Promise<string | undefined> {
  if (existsSync(folder)) return undefined;
  const work = join(dirname(folder), `.npm-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const options = ['--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=1'];
  try {
    await mkdir(work, { recursive: true });
    await run('npm', ['install', ...options, '--prefix', work, ...packages]);
    await rename(work, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return `could not be fetched from npm: ${why}`;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
