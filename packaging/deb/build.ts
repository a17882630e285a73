// npm run package:deb [-- --output FOLDER] [-- --compression xz|gzip|none]
//
// Makes the Debian package of this checkout, from what `npm ci` installed; nothing is fetched. The same checkout on the same
// machine gives the same bytes: files are sorted, and their times are that of the last commit (SOURCE_DATE_EPOCH wins).
// Node.js is in the package, the same that the tests ran on: Debian 12 has 18 and Debian 13 has 20, and both are too old.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { settingsFile } from './settings-file.ts';

const root = join(import.meta.dirname, '..', '..');
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const { values } = parseArgs({
  options: {
    output: { type: 'string', default: root },
    compression: { type: 'string', default: 'xz' },
  },
});
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly description: string;
  readonly homepage: string;
  readonly devDependencies: { readonly node: string };
};
const architecture = architectures[process.arch];
if (process.platform !== 'linux' || architecture === undefined) {
  throw new Error(
    `the Debian package can only be built on Linux, on x64 or arm64; this is ${process.platform} on ${process.arch}`,
  );
}
/** A pre-release sorts before its release. */
const version = `${own.version.replace('-', '~')}-1`;

/** Seconds. */
const epoch = Number(
  process.env['SOURCE_DATE_EPOCH'] ??
    execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }),
);

const stage = mkdtempSync(join(tmpdir(), 'appsec-edge-deb-'));
try {
  process.stdout.write(`${build(stage, architecture)}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** @returns the path of the package. */
function build(folder: string, debArchitecture: string): string {
  const library = join(folder, 'usr/lib/appsec-edge');
  const share = join(folder, 'usr/share/appsec-edge');
  const documents = join(folder, 'usr/share/doc/appsec-edge');
  for (const path of [library, share, documents]) mkdirSync(path, { recursive: true });

  compile(join(library, 'dist'));
  copyFileSync(join(root, 'package.json'), join(library, 'package.json'));
  copyDependencies(library);
  copyNode(join(library, 'node'), join(documents, 'LICENSE.node'));
  // For people under /usr/share, and where `appsec-edge haproxyconf` looks for them.
  for (const name of ['haproxyconf', 'envoyconf', 'lua']) {
    cpSync(join(root, name), join(share, name), { recursive: true });
    symlinkSync(join('../../share/appsec-edge', name), join(library, name));
  }
  for (const name of ['README.md', 'SECURITY.md', 'docs']) {
    cpSync(join(root, name), join(documents, name), { recursive: true });
  }
  copyFileSync(join(import.meta.dirname, 'copyright'), join(documents, 'copyright'));
  // `-n`: without the time, which would be another one each time.
  const changes = execFileSync('gzip', ['-9nc', join(root, 'CHANGELOG.md')]);
  writeFileSync(join(documents, 'changelog.gz'), changes);
  place(
    join(root, 'packaging/systemd/appsec-edge.service'),
    join(folder, 'usr/lib/systemd/system/appsec-edge.service'),
  );
  place(join(import.meta.dirname, 'appsec-edge'), join(folder, 'usr/bin/appsec-edge'));
  mkdirSync(join(folder, 'etc/appsec-edge/policy'), { recursive: true });
  writeFileSync(join(folder, 'etc/appsec-edge/appsec-edge.env'), settingsFile());

  normalise(folder);
  writeControl(folder, debArchitecture);
  const target = join(values.output, `appsec-edge_${version}_${debArchitecture}.deb`);
  mkdirSync(values.output, { recursive: true });
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${values.compression}`, '--build', folder, target], {
    // With several threads, the bytes depend on how many there are.
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), DPKG_DEB_THREADS_MAX: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return target;
}

/** Into a folder of its own: dist/ may hold files of sources that are gone. */
function compile(target: string): void {
  const tsc = join(root, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', join(root, 'tsconfig.build.json'), '--outDir', target, '--incremental', 'false'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  rmSync(join(target, '.tsbuildinfo'), { force: true });
}

interface LockedPackage {
  readonly version: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
}

/** What the lockfile has for production, without the optional packages of dd-trace, which are not used here. */
function copyDependencies(library: string): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (path === '' || locked.dev || locked.optional || locked.devOptional) continue;
    const from = join(root, path);
    const { version: installed } = JSON.parse(
      readFileSync(join(from, 'package.json'), 'utf8'),
    ) as LockedPackage;
    if (installed !== locked.version) {
      throw new Error(`${path} is ${installed} and the lockfile has ${locked.version}: run "npm ci"`);
    }
    cpSync(from, join(library, path), {
      recursive: true,
      dereference: true,
      // Nested packages are entries of the lockfile themselves.
      filter: (source) => !relative(from, source).split('/').includes('node_modules'),
    });
  }
  const prebuilds = join(library, 'node_modules/@datadog/native-appsec/prebuilds');
  for (const platform of readdirSync(prebuilds)) {
    if (platform !== `linuxglibc-${process.arch}`) rmSync(join(prebuilds, platform), { recursive: true });
  }
}

function copyNode(target: string, licence: string): void {
  const found = execFileSync(join(root, 'node_modules/node/bin/node'), ['--version'], {
    encoding: 'utf8',
  }).trim();
  if (found !== `v${own.devDependencies.node}`) {
    throw new Error(
      `node_modules/node is ${found} and package.json has ${own.devDependencies.node}: run "npm ci"`,
    );
  }
  copyFileSync(join(root, 'node_modules/node/bin/node'), target);
  copyFileSync(join(root, `node_modules/node/node_modules/node-linux-${process.arch}/LICENSE`), licence);
}

function place(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** The modes and times of this checkout are of no importance. */
function normalise(folder: string): void {
  const programs = new Set(['usr/bin/appsec-edge', 'usr/lib/appsec-edge/node']);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (!entry.isSymbolicLink()) chmodSync(path, entry.isDirectory() || programs.has(name) ? 0o755 : 0o644);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(folder, 0o755);
  // Secrets: the unit's settings are read by systemd, as root. The folder is given to the agent's group at installation.
  chmodSync(join(folder, 'etc/appsec-edge'), 0o750);
  chmodSync(join(folder, 'etc/appsec-edge/appsec-edge.env'), 0o640);
}

function writeControl(folder: string, debArchitecture: string): void {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const sizeKb = files.reduce((sum, file) => sum + Math.ceil(statSync(file).size / 1024), 0);
  const control = join(folder, 'DEBIAN');
  mkdirSync(control);
  writeFileSync(
    join(control, 'control'),
    `Package: appsec-edge
Version: ${version}
Architecture: ${debArchitecture}
Maintainer: The appsec-edge authors <noreply@appsec-edge.invalid>
Installed-Size: ${sizeKb}
Depends: adduser, libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 8)
Suggests: haproxy (>= 2.6)
Section: httpd
Priority: optional
Homepage: ${own.homepage}
Description: web application firewall for HAProxy
 ${own.description}
 .
 It comes with its own Node.js ${own.devDependencies.node}.
`,
  );
  writeFileSync(join(control, 'conffiles'), '/etc/appsec-edge/appsec-edge.env\n');
  const sums = files
    .filter((file) => !file.startsWith(join(folder, 'etc')))
    .map(
      (file) => `${createHash('md5').update(readFileSync(file)).digest('hex')}  ${relative(folder, file)}\n`,
    );
  writeFileSync(join(control, 'md5sums'), sums.join(''));
  for (const name of ['postinst', 'prerm', 'postrm'])
    place(join(import.meta.dirname, name), join(control, name));
  for (const name of readdirSync(control)) {
    chmodSync(join(control, name), /^(post|pre)/.test(name) ? 0o755 : 0o644);
    lutimesSync(join(control, name), epoch, epoch);
  }
}
