// A small Debian in a folder, to install a package into with chroot: the packages that a minimal system has, and systemd's
// tools, unpacked side by side under .cache/debian-root/<suite>. Nothing is booted and nothing of the machine is touched.
//
// The packages are unpacked and not configured: what their maintainer scripts would have made, and a package's own scripts
// need (users, the database of dpkg), is made here. That takes seconds in place of debootstrap's minute.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { downloadPackages, firstComplaint } from './apt-download.ts';
import { type AptSource, machineDebianSource } from './apt-source.ts';

export type DebianRoot =
  | { readonly kind: 'found'; readonly path: string }
  /** A sentence that a skipped test shows. */
  | { readonly kind: 'missing'; readonly reason: string };

const run = promisify(execFile);
/** The oldest that the package promises to run on among those that are still maintained. */
const suite = 'bookworm';
const cacheFolder = join(import.meta.dirname, '..', '.cache', 'debian-root');

/** What a package may count on, as a minimal installation has it, and what is wanted beside it. */
const packages = [
  ...[
    'base-files',
    'base-passwd',
    'bash',
    'coreutils',
    'dash',
    'debianutils',
    'diffutils',
    'dpkg',
    'findutils',
  ],
  ...[
    'grep',
    'gzip',
    'hostname',
    'init-system-helpers',
    'libc-bin',
    'login',
    'mawk',
    'ncurses-base',
    'passwd',
  ],
  ...['perl-base', 'sed', 'tar', 'util-linux', 'adduser', 'libgcc-s1', 'libstdc++6', 'systemd'],
];

/** The unpacked root, fetched into the cache when it has to be; to be copied and not changed. Wants root rights. */
export async function debianRoot(): Promise<DebianRoot> {
  if (process.getuid?.() !== 0) return missing('a Debian root is entered with chroot, which only root may');
  const path = join(cacheFolder, suite);
  if (existsSync(path)) return { kind: 'found', path };
  const source = await machineDebianSource();
  if (typeof source === 'string') return missing(`a Debian root ${source}`);
  try {
    await unpackRoot(source, path);
  } catch (error) {
    return missing(`a Debian root could not be made of ${suite}: ${firstComplaint(error)}`);
  }
  return { kind: 'found', path };
}

function missing(reason: string): DebianRoot {
  return { kind: 'missing', reason };
}

async function unpackRoot(source: AptSource, path: string): Promise<void> {
  const work = join(cacheFolder, `.${suite}-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const root = join(work, 'root');
  try {
    await mkdir(root, { recursive: true });
    const debs = await downloadPackages(work, { source, suite, packages, withDependencies: true });
    await mergeUsr(root);
    const records: string[] = [];
    for (const deb of debs) {
      await run('dpkg-deb', ['-x', deb, root]);
      const { stdout } = await run('dpkg-deb', ['-f', deb]);
      records.push(await installedRecord(root, deb, stdout));
    }
    await writeFile(join(root, 'var/lib/dpkg/status'), `${records.join('\n')}\n`);
    for (const file of ['passwd', 'group']) {
      await cp(join(root, 'usr/share/base-passwd', `${file}.master`), join(root, 'etc', file));
    }
    await mkdir(join(root, 'dev'), { recursive: true });
    // Where devices may not be made, a file that takes what is written does for scripts.
    await run('mknod', ['-m', '666', join(root, 'dev/null'), 'c', '1', '3']).catch(async () => {
      await writeFile(join(root, 'dev/null'), '');
      await chmod(join(root, 'dev/null'), 0o666);
    });
    await run('chroot', [root, '/sbin/ldconfig']);
    await rename(root, path).catch((error: unknown) => {
      if (!existsSync(path)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** /bin and its like are links into /usr, which debootstrap makes and no package brings. */
async function mergeUsr(root: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(root, 'usr', folder), { recursive: true });
    await symlink(join('usr', folder), join(root, folder));
  }
}

/** For dpkg's database: an installed package, with the list of its files. */
async function installedRecord(root: string, deb: string, control: string): Promise<string> {
  const info = join(root, 'var/lib/dpkg/info');
  await mkdir(info, { recursive: true });
  const name = /^Package: (.*)$/m.exec(control)?.[1] ?? '';
  const architecture = /^Architecture: (.*)$/m.exec(control)?.[1] ?? '';
  const same = /^Multi-Arch: same$/m.test(control);
  const { stdout } = await run('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" | tar -t', 'sh', deb], {
    maxBuffer: 64 * 1024 * 1024,
  });
  // As dpkg writes them: `./usr/bin/` is /usr/bin, and `./` is /.
  const files = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\./, '').replace(/(?<=.)\/$/, ''))
    .map((path) => (path === '/' ? '/.' : path));
  await writeFile(join(info, `${same ? `${name}:${architecture}` : name}.list`), `${files.join('\n')}\n`);
  return control
    .replace(/^(Package: .*)$/m, '$1\nStatus: install ok installed')
    .trimEnd()
    .concat('\n');
}
