// What is installed, from where, and what runs at that: package.json, the lockfile and the Dockerfile.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

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
    const atInstall = /^(pre|post)?(install|prepare|pack|publish)(Only)?$|^dependencies$/;
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
