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
const ofDoors = ['spop', 'grpc', 'http1', 'net', 'engine', 'workers', 'ops', 'config', 'daemon/door.ts'];
const ofDaemon = [
  ...doorFolders,
  'datadog',
  'policy',
  'ops',
  'engine',
  'workers',
  'net',
  'spop',
  'grpc',
  'http1',
  'config',
];

/** What every folder may import. */
const ofAll = ['message-of.ts'];

/** docs/architecture.md, "Folders, and what may import what". */
const allowed: Readonly<Record<string, readonly string[]>> = {
  net: [],
  http1: [],
  spop: [],
  grpc: ['net', 'config'],
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
  'message-of.ts': [],
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
  const targets = [...ofAll, ...(allowed[room] ?? [])];
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

const longestFileLines = 300;
const longestFunctionLines = 60;

/**
 * The longest function of a file, in lines from its signature to its closing brace. The formatter gives both the same
 * indentation, and every line between them a deeper one.
 */
function longestFunction(file: string): number {
  const lines = textOf(file).split('\n');
  const depthOf = (line: string): number => (line === '' ? Number.POSITIVE_INFINITY : line.search(/\S/));
  let longest = 0;
  for (const [end, line] of lines.entries()) {
    if (!/^\s*\}/.test(line)) continue;
    let signature = '';
    let start = end;
    do {
      start -= 1;
      if (depthOf(lines[start] ?? '') <= depthOf(line)) signature = `${lines[start] ?? ''}${signature}`;
    } while (
      start > 0 &&
      (depthOf(lines[start] ?? '') > depthOf(line) || /^\s*[)}\]]/.test(lines[start] ?? ''))
    );
    const isStatement = /^\s*(?:if|for|while|switch|try|do|return)\b/.test(signature);
    const isFunction = /\bfunction\b|=>|^\s*(?:(?:static|async|get|set|override) )*[#\w]+\(/.test(signature);
    if (isFunction && !isStatement) longest = Math.max(longest, end - start + 1);
  }
  return longest;
}

describe('the files of src/', () => {
  it(`have ${longestFileLines} lines at most`, () => {
    const long = files.filter((file) => textOf(file).trimEnd().split('\n').length > longestFileLines);
    expect(long).toEqual([]);
  });

  it(`have no function of more than ${longestFunctionLines} lines`, () => {
    const long = files.filter((file) => longestFunction(file) > longestFunctionLines);
    expect(long).toEqual([]);
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
