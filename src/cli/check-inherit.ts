import type { Configuration, Line, Section } from './check-parse.ts';

/*
 * What a proxy takes from elsewhere, as HAProxy sees it: settings from its defaults and from those that these are made
 * from, rules from its own defaults only (HAProxy refuses a chain with rules further up), requests from frontends.
 */

/** The section and what it inherits from, the nearest first. */
export function lineageOf(section: Section): Section[] {
  return section.defaults === undefined ? [section] : [section, ...lineageOf(section.defaults)];
}

/** The line that counts, of the section or of its defaults: the last that begins with `words`, unless taken back. */
export function effectiveLine(section: Section, ...words: string[]): Line | undefined {
  const begins = (line: Line, skip: number): boolean =>
    words.every((word, index) => line.words[index + skip] === word);
  for (const { lines } of lineageOf(section)) {
    const found = lines.findLast((line) => begins(line, 0) || (line.words[0] === 'no' && begins(line, 1)));
    if (found !== undefined) return found.words[0] === 'no' ? undefined : found;
  }
  return undefined;
}

export function modeOf(section: Section): string {
  if (section.kind === 'snippet') return 'http';
  return effectiveLine(section, 'mode')?.words[1] ?? 'tcp';
}

/** The backends that a frontend sends requests to; some names only the running HAProxy knows. */
export function backendsOf(frontend: Section, { sections }: Configuration): Section[] {
  const names = frontend.lines
    .filter(({ words }) => words[0] === 'use_backend')
    .map(({ words }) => words[1] ?? '');
  const byDefault = effectiveLine(frontend, 'default_backend')?.words[1];
  if (byDefault !== undefined) names.push(byDefault);
  const isOpen = names.some((name) => name.includes('%['));
  return sections.filter(
    ({ kind, name }) =>
      (kind === 'backend' && (isOpen || names.includes(name))) || (kind === 'listen' && names.includes(name)),
  );
}

/** The frontends that may send requests to a backend. */
export function frontendsOf(backend: Section, configuration: Configuration): Section[] {
  return configuration.sections.filter(
    (section) =>
      (section.kind === 'frontend' || section.kind === 'listen') &&
      section !== backend &&
      backendsOf(section, configuration).includes(backend),
  );
}
