import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const source = fileURLToPath(new URL('../src/', import.meta.url));

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

const doorFolders = readdirSync(join(source, 'adapters')).map((name) => `adapters/${name}`);

/** What a door may import besides itself; never another door. */
const ofDoors = ['spop', 'http1', 'net', 'engine', 'workers', 'ops', 'config', 'daemon/door.ts'];
const ofDaemon = [
  ...doorFolders,
  'datadog',
  'policy',
  'ops',
  'engine',
  'workers',
  'net',
  'spop',
  'http1',
  'config',
];

/** docs/architecture.md, "Folders, and what may import what". */
const allowed: Readonly<Record<string, readonly string[]>> = {
  net: [],
  http1: [],
  spop: [],
  engine: [],
  workers: [],
  config: ['net'],
  ops: ['engine'],
  policy: ['engine'],
  datadog: ['engine'],
  ...Object.fromEntries(doorFolders.map((folder) => [folder, ofDoors])),
  'doors.ts': [...doorFolders, 'daemon/door.ts'],
  daemon: [...ofDaemon, 'doors.ts'],
  cli: [...ofDaemon, 'doors.ts', 'daemon'],
  'main.ts': ['cli'],
};

function roomOf(path: string): string | undefined {
  return Object.keys(allowed).find((room) => path === room || path.startsWith(`${room}/`));
}

function textOf(file: string): string {
  return readFileSync(join(source, file), 'utf8');
}

function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)].map((match) =>
    relative(source, resolve(source, dirname(file), match[1] ?? '')),
  );
}

function mayImport(room: string, target: string): boolean {
  const targets = allowed[room] ?? [];
  return roomOf(target) === room || targets.includes(target) || targets.includes(roomOf(target) ?? '');
}

/** The first circle of imports, types included, as the files it goes through. */
function circle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of staticImportsOf(file)) {
      const found = visit(target, [...path, file]);
      if (found !== undefined) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) {
    const found = visit(file, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Without those that are imported when they are needed. */
function staticImportsOf(file: string): string[] {
  return [...textOf(file).matchAll(/from\s*'(\.[^']*)'/g)].map((match) =>
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
    expect(heavy.filter((name) => loadedWith('daemon/run.ts').has(name))).not.toEqual([]);
  });

  it('that asks for readiness is understood without the library that reads command lines', () => {
    const loaded = loadedWith('cli/command-line.ts');
    expect([...heavy, 'commander', 'node:fs'].filter((name) => loaded.has(name))).toEqual([]);
  });
});

describe('the folders of src/', () => {
  it('are all named in the table', () => {
    expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
  });

  it.each(Object.keys(allowed))('%s imports only what it may', (room) => {
    const strays = files
      .filter((file) => roomOf(file) === room)
      .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
      .filter(({ target }) => !mayImport(room, target));
    expect(strays).toEqual([]);
  });

  it('have no circle of imports, types included', () => {
    expect(circle()).toBeUndefined();
  });

  it.each(['engine', 'workers'])('%s names no door and no protocol of one', (room) => {
    const naming = files.filter(
      (file) => roomOf(file) === room && /haproxy|spop|spoe|envoy/i.test(textOf(file)),
    );
    expect(naming).toEqual([]);
  });

  it.each(doorFolders)('%s has the four files of every door', (folder) => {
    const names = ['door.ts', 'handler.ts', 'settings.ts', 'observers.ts'].map((name) => `${folder}/${name}`);
    expect(files).toEqual(expect.arrayContaining(names));
  });

  it('touch what is private to dd-trace in one file only', () => {
    expect(files.filter((file) => textOf(file).includes('dd-trace/packages'))).toEqual([
      'datadog/dd-trace-package.ts',
    ]);
  });
});
