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

describe('the version', () => {
  const version = String(own['version']);

  it('is that of package.json in the lockfile', () => {
    expect(packages['']).toMatchObject({ version });
  });

  it('is that of package.json on the image', () => {
    expect(read('Dockerfile')).toContain(`org.opencontainers.image.version="${version}"`);
  });

  it('has its heading in CHANGELOG.md, above those of older ones', () => {
    const headings = [...read('CHANGELOG.md').matchAll(/^## (\d\S*)/gm)].map(([, heading]) => heading);
    expect(headings[0]).toBe(version);
  });
});

describe('the Node.js of development', () => {
  const node = own['devDependencies']?.['node'];

  it.each([
    ['.nvmrc', `${node}\n`],
    ['Dockerfile', `ARG NODE_IMAGE=node:${node}-bookworm-slim\n`],
    ['.github/workflows/ci.yml', `container: node:${node}-bookworm\n`],
  ])('is the same in %s', (file, line) => expect(read(file)).toContain(line));
});

describe('.github/workflows/ci.yml', () => {
  const workflow = read('.github/workflows/ci.yml');

  it('runs what everybody can run, and may read and nothing else', () => {
    expect(workflow).toMatch(/^ {6}- run: \.ci\/run$/m);
    expect(workflow).toMatch(/^permissions:\n {2}contents: read\n\n/m);
    expect(workflow.match(/: write/g)).toBe(null);
  });

  it('uses exact versions of actions', () => {
    const actions = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    expect(actions.length).toBeGreaterThan(0);
    expect(actions.filter((action) => !/@v\d+\.\d+\.\d+$/.test(action ?? ''))).toEqual([]);
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

  it('has the program, the files for HAProxy and Envoy, and what is said about them', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        ...['dist/main.js', 'dist/daemon/engine-thread-main.js'],
        ...['haproxyconf/spoe.cfg', 'haproxyconf/frontend-config.cfg', 'haproxyconf/backend.cfg'],
        ...['haproxyconf/global-config.cfg', 'lua/datadog_aap_blocking_response.lua'],
        ...['envoyconf/envoy/envoy.yaml', 'envoyconf/kubernetes/kustomization.yaml'],
        ...['README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'package.json'],
        ...['docs/configuration.md', 'docs/check.md', 'packaging/systemd/appsec-edge.service'],
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
