import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const source = fileURLToPath(new URL('../src/', import.meta.url));

/** docs/architecture.md, "Folders, and what may import what". */
const allowed: Readonly<Record<string, readonly string[]>> = {
  spop: [],
  engine: [],
  workers: [],
  'adapters/haproxy': ['spop', 'engine', 'workers'],
  datadog: ['engine'],
  policy: ['engine'],
  ops: ['engine'],
  cli: ['spop', 'engine', 'adapters/haproxy', 'datadog', 'policy', 'ops', 'workers'],
};

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

function folderOf(path: string): string {
  return Object.keys(allowed).find((folder) => path.startsWith(`${folder}/`)) ?? '';
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)].map((match) =>
    relative(source, resolve(source, dirname(file), match[1] ?? '')),
  );
}

/** What is loaded with a file: what it imports, and what that imports, but for types and what is imported later. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(source, file), 'utf8');
  for (const [, what = '', name = ''] of text.matchAll(
    /^(?:im|ex)port (?!type\b)([^;]*?)from '([^']+)';/gm,
  )) {
    const onlyTypes = /^\{(?:\s*type \w+,?)+\s*\} $/.test(what);
    if (onlyTypes) continue;
    if (name.startsWith('.')) loadedWith(relative(source, resolve(source, dirname(file), name)), seen);
    else seen.add(name);
  }
  return seen;
}

describe('a command', () => {
  const heavy = ['@datadog/native-appsec', 'dd-trace', 'pino', 'pino-pretty', 'prom-client', 'node:http'];

  it('is understood without loading what the others run', () => {
    const loaded = loadedWith('cli/program.ts');
    expect(heavy.filter((name) => loaded.has(name))).toEqual([]);
    expect(heavy.filter((name) => loadedWith('cli/spoa.ts').has(name))).not.toEqual([]);
  });

  it('that asks for readiness is understood without the library that reads command lines', () => {
    const loaded = loadedWith('cli/command-line.ts');
    expect([...heavy, 'commander', 'node:fs'].filter((name) => loaded.has(name))).toEqual([]);
  });
});

describe('the folders of src/', () => {
  it('are all named in the table', () => {
    expect(files.filter((file) => file !== 'main.ts' && folderOf(file) === '')).toEqual([]);
  });

  it.each(Object.entries(allowed))('%s imports only what it may', (folder, targets) => {
    const strays = files
      .filter((file) => folderOf(file) === folder)
      .flatMap((file) => importsOf(file).map((target) => `${file} -> ${target}`))
      .filter((edge) => {
        const target = folderOf(edge.split(' -> ')[1] ?? '');
        return target !== folder && !targets.includes(target);
      });
    expect(strays).toEqual([]);
  });

  it('touch what is private to dd-trace in one file only', () => {
    const touching = files.filter((file) =>
      readFileSync(join(source, file), 'utf8').includes('dd-trace/packages'),
    );
    expect(touching).toEqual(['datadog/dd-trace-package.ts']);
  });
});
