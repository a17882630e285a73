import { evaluate, type Version } from './check-version.ts';
import { type Environment, splitWords } from './check-words.ts';

/*
 * HAProxy configuration files to sections, for one version of HAProxy: of `.if` blocks only the branch that this
 * version takes is kept, or each branch where that cannot be known. Nothing is refused: HAProxy itself (`haproxy -c`)
 * says what does not parse.
 */

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Line {
  readonly file: string;
  readonly number: number;
  readonly words: readonly string[];
  readonly unset: readonly string[];
}

export interface Section {
  /** `frontend`, `global`, …; `snippet` for lines that stand before the first section of a file. */
  readonly kind: string;
  readonly name: string;
  readonly at: Line;
  readonly lines: Line[];
  /** What `defaults` it takes the rest from. */
  readonly defaults: Section | undefined;
  /** It names them with `from`. Without, a proxy takes the last ones above it, and `defaults` take none. */
  readonly namesDefaults: boolean;
}

export interface Configuration {
  readonly sections: readonly Section[];
  /** Variables at the end of the files. */
  readonly environment: Environment;
}

const sectionKinds: ReadonlySet<string> = new Set([
  ...[
    'global',
    'defaults',
    'frontend',
    'backend',
    'listen',
    'peers',
    'resolvers',
    'userlist',
    'mailers',
    'cache',
  ],
  ...[
    'program',
    'http-errors',
    'ring',
    'log-forward',
    'log-profile',
    'fcgi-app',
    'crt-store',
    'traces',
    'acme',
  ],
]);
const proxyKinds: ReadonlySet<string> = new Set(['defaults', 'frontend', 'backend', 'listen']);
const spoeSectionKinds: ReadonlySet<string> = new Set(['spoe-agent', 'spoe-message', 'spoe-group']);

/** @param files in the order in which HAProxy loads them. */
export function parseConfiguration(
  files: readonly SourceFile[],
  version: Version,
  environment: Environment,
): Configuration {
  const variables = new Map(environment);
  const sections: Section[] = [];
  let lastDefaults: Section | undefined;
  for (const file of files) {
    let current: Section | undefined;
    for (const line of activeLines(file, version, variables)) {
      if (sectionKinds.has(line.words[0] ?? '')) {
        current = sectionOf(line, sections, lastDefaults);
        if (current.kind === 'defaults') lastDefaults = current;
        sections.push(current);
        continue;
      }
      if (current === undefined) {
        current = withoutDefaults('snippet', '', line);
        sections.push(current);
      }
      current.lines.push(line);
      setVariable(variables, line.words);
    }
  }
  return { sections, environment: variables };
}

function sectionOf(line: Line, sections: readonly Section[], last: Section | undefined): Section {
  const [kind = '', second = '', third] = line.words;
  if (!proxyKinds.has(kind)) return withoutDefaults(kind, second, line);
  // `defaults from NAME` has no name of its own.
  const isUnnamed = kind === 'defaults' && second === 'from' && line.words.length === 3;
  const name = isUnnamed ? '' : second;
  const from = isUnnamed ? third : third === 'from' ? line.words[3] : undefined;
  const named = sections.findLast((section) => section.kind === 'defaults' && section.name === from);
  const defaults = from !== undefined ? named : kind === 'defaults' ? undefined : last;
  return { kind, name, at: line, lines: [], defaults, namesDefaults: from !== undefined };
}

function withoutDefaults(kind: string, name: string, at: Line): Section {
  return { kind, name, at, lines: [], defaults: undefined, namesDefaults: false };
}

/** The sections of one engine in a SPOE file (SPOE.txt, 2.1 and 2.2). */
export interface SpoeEngine {
  readonly file: string;
  readonly agent: Section | undefined;
  readonly messages: ReadonlyMap<string, Section>;
  readonly groups: ReadonlyMap<string, Section>;
}

/** Undefined when the file has no `[engine]`. Sections before the first scope belong to every engine. */
export function parseSpoeEngine(
  file: SourceFile,
  engine: string,
  version: Version,
  environment: Environment,
): SpoeEngine | undefined {
  const sections: Section[] = [];
  let scope: string | undefined;
  let hasScopes = false;
  let found = false;
  let current: Section | undefined;
  for (const line of activeLines(file, version, new Map(environment))) {
    const [word = '', name = ''] = line.words;
    const scopeName = /^\[(.*)\]$/.exec(line.words.join(' '))?.[1];
    if (scopeName !== undefined) {
      scope = scopeName;
      hasScopes = true;
      found ||= scope === engine;
      current = undefined;
    } else if (scope !== undefined && scope !== engine) {
    } else if (spoeSectionKinds.has(word)) {
      current = withoutDefaults(word, name, line);
      sections.push(current);
    } else current?.lines.push(line);
  }
  if (hasScopes && !found) return undefined;
  const byName = (kind: string): Map<string, Section> =>
    new Map(sections.filter((section) => section.kind === kind).map((section) => [section.name, section]));
  return {
    file: file.path,
    agent: sections.find((section) => section.kind === 'spoe-agent'),
    messages: byName('spoe-message'),
    groups: byName('spoe-group'),
  };
}

interface Block {
  /** Whether an earlier branch was certainly taken. */
  taken: boolean;
  active: boolean;
}

function* activeLines(file: SourceFile, version: Version, environment: Environment): Generator<Line> {
  const blocks: Block[] = [];
  for (const [index, text] of file.text.split(/\r?\n/).entries()) {
    const { words, unset } = splitWords(text, environment);
    const [first, ...rest] = words;
    if (first === undefined) continue;
    const innermost = blocks.at(-1);
    if (first === '.if') {
      const result = evaluate(rest.join(' '), version, environment);
      blocks.push({ taken: result === true, active: result !== false });
    } else if (first === '.elif' && innermost !== undefined) {
      const result = innermost.taken ? false : evaluate(rest.join(' '), version, environment);
      innermost.active = result !== false;
      innermost.taken ||= result === true;
    } else if (first === '.else' && innermost !== undefined) {
      innermost.active = !innermost.taken;
    } else if (first === '.endif') {
      blocks.pop();
    } else if (!first.startsWith('.') && blocks.every((block) => block.active)) {
      yield { file: file.path, number: index + 1, words, unset };
    }
  }
}

function setVariable(variables: Map<string, string>, words: readonly string[]): void {
  const [keyword, name, value] = words;
  if (name === undefined) return;
  if (keyword === 'presetenv' && !variables.has(name)) variables.set(name, value ?? '');
  if (keyword === 'setenv') variables.set(name, value ?? '');
  if (keyword === 'unsetenv') for (const unset of words.slice(1)) variables.delete(unset);
}
