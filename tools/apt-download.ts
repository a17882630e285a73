// Debian packages of any suite, downloaded with the machine's own apt configuration and mirror. Nothing is installed,
// and no root rights are needed.
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type AptSource, sourceForSuite } from './apt-source.ts';

const run = promisify(execFile);

export interface DownloadOptions {
  readonly source: AptSource;
  readonly suite: string;
  readonly packages: readonly string[];
  /** What they depend on comes with them, as on a machine where nothing is installed. */
  readonly withDependencies?: boolean;
}

/** @returns the files, in a folder of their own below `work`, which must exist. */
export async function downloadPackages(work: string, options: DownloadOptions): Promise<string[]> {
  const { source, suite, packages, withDependencies = false } = options;
  const apt = join(work, 'apt');
  const archives = join(apt, 'cache', 'archives');
  const debs = withDependencies ? archives : join(work, 'debs');
  for (const folder of [join(apt, 'sources'), join(apt, 'lists', 'partial'), join(archives, 'partial')]) {
    await mkdir(folder, { recursive: true });
  }
  await mkdir(debs, { recursive: true });
  await writeFile(join(apt, 'sources', `suite.${source.extension}`), sourceForSuite(source, suite));
  await writeFile(join(apt, 'status'), '');
  const settings = [
    ...['Dir::Etc::sourcelist=/dev/null', `Dir::Etc::sourceparts=${join(apt, 'sources')}`],
    ...[`Dir::State::lists=${join(apt, 'lists')}`, `Dir::State::status=${join(apt, 'status')}`],
    ...[`Dir::Cache=${join(apt, 'cache')}`, 'APT::Sandbox::User=root', 'Acquire::Languages=none'],
    ...['Acquire::Retries=1', 'Acquire::http::Timeout=20', 'Acquire::https::Timeout=20'],
    // The lock is that of the machine's own dpkg, which is not touched.
    'Debug::NoLocking=true',
  ].flatMap((setting) => ['-o', setting]);
  // `--error-on=any`: an update that could not reach the mirror would otherwise end with 0.
  await run('apt-get', [...settings, '-qq', '--error-on=any', 'update']);
  const what = withDependencies
    ? ['install', '--download-only', '--yes', '--no-install-recommends']
    : ['download'];
  await run('apt-get', [...settings, '-qq', ...what, ...packages], { cwd: debs });
  const names = await readdir(debs);
  await rm(join(apt, 'lists'), { recursive: true });
  return names.filter((name) => name.endsWith('.deb')).map((name) => join(debs, name));
}

/** apt's first complaint says what failed; the lines after it say that something did. */
export function firstComplaint(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines = ('stderr' in error ? `${error.stderr}` : '').split('\n');
  return lines.find((line) => /^(E:|ERROR:|.*No module named pip)/.test(line)) ?? error.message;
}
