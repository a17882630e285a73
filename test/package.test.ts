// What is installed, from where, and what runs at that: package.json, the lockfile, the Dockerfile and the package.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };
const installed = Object.entries(packages).filter(([path]) => path !== '');
const own = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;

describe('the lockfile', () => {
  it('names no other address than that of the registry', () => {
    const foreign = installed.filter(
      ([, { resolved, link }]) =>
        link === true || (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')),
    );
    expect(installed.length).toBeGreaterThan(40);
    expect(foreign).toEqual([]);
  });

  it('has a strong checksum of every package', () => {
    const weak = installed.filter(
      ([, { integrity, inBundle }]) => inBundle !== true && !/^sha512-/.test(integrity ?? ''),
    );
    expect(weak).toEqual([]);
  });

  it('has one package with an install script: that of Node.js, for development', () => {
    const withScript = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    expect(withScript.map(([path, { dev }]) => [path, dev])).toEqual([['node_modules/node', true]]);
  });
});

describe('package.json', () => {
  it('runs nothing when it is installed', () => {
    // `prepack` is not among them: it runs where the package is made.
    const atInstall = /^(pre|post)?(install|prepare|publish)(Only)?$|^postpack$|^dependencies$/;
    expect(Object.keys(own['scripts'] ?? {}).filter((name) => atInstall.test(name))).toEqual([]);
  });

  it.each(['dependencies', 'devDependencies'])('has exact versions: %s', (group) => {
    const versions = Object.entries(own[group] ?? {});
    expect(versions.length).toBeGreaterThan(0);
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

describe('the Dockerfile', () => {
  it('installs without scripts', () => {
    const installs = read('Dockerfile').match(/npm (ci|install)[^\\\n]*/g) ?? [];
    expect(installs.length).toBeGreaterThan(0);
    expect(installs.filter((line) => !line.includes('--ignore-scripts'))).toEqual([]);
  });

  it('puts the bill of materials into the image', () => {
    expect(read('Dockerfile')).toMatch(/npm sbom .*> sbom\.json/);
    expect(read('Dockerfile')).toMatch(/^COPY --from=dependencies \/appsec-edge\/sbom\.json /m);
  });
});

describe('the package that npm makes of a fresh clone', () => {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const leftOut = new Set(['.git', '.cache', 'node_modules', 'dist', 'coverage']);
  let folder = '';
  let files: string[] = [];
  const unpacked = (): string => join(folder, 'package');
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'appsec-edge-package-'));
    const clone = join(folder, 'clone');
    cpSync(root, clone, { recursive: true, filter: (path) => !leftOut.has(basename(path)) });
    symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
    // Of a source that is gone since the last build.
    mkdirSync(join(clone, 'dist'));
    writeFileSync(join(clone, 'dist', 'stale.js'), '');
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: clone });
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'none';
    execFileSync('tar', ['-xzf', join(folder, tarball), '-C', folder]);
    files = readdirSync(unpacked(), { recursive: true, encoding: 'utf8' });
    symlinkSync(join(root, 'node_modules'), join(unpacked(), 'node_modules'));
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has the program, the files for HAProxy, and what is said about them', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        ...['dist/main.js', 'dist/cli/engine-thread-main.js'],
        ...['haproxyconf/spoe.cfg', 'haproxyconf/frontend-config.cfg', 'haproxyconf/backend.cfg'],
        ...['haproxyconf/global-config.cfg', 'lua/datadog_aap_blocking_response.lua'],
        ...['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json'],
      ]),
    );
  });

  it('has nothing that is old, or that only developers need', () => {
    const strays = files.filter((name) =>
      /stale|\.map$|\.tsbuildinfo$|\.ts$|^(src|test|tools|bench|fuzz)\b/.test(name),
    );
    expect(strays).toEqual([]);
  });

  it('runs', () => {
    const conf = join(folder, 'conf');
    execFileSync(process.execPath, [join(unpacked(), 'dist/main.js'), 'haproxyconf', conf]);
    expect(readdirSync(conf)).toContain('datadog_aap_blocking_response.lua');
  });
});
