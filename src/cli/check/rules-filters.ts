import { effectiveLine } from './inherit.ts';
import type { Line } from './parse.ts';
import type { Rule } from './rule.ts';
import { type Frontend, protectedOf } from './setup.ts';
import { isAtLeast } from './version.ts';

/*
 * HAProxy adds the filters of compression, cache and FastCGI to a proxy by itself, as long as no other filter is
 * declared there. The agent's is one.
 */
export const filterRules: readonly Rule[] = [
  {
    id: 'implicit-filter',
    severity: 'error',
    why: 'HAProxy does not start: once a filter is declared, it adds none on its own',
    remedy: "declare it below the agent's filter; declare a cache before compression",
    *find(setup) {
      for (const frontend of protectedOf(setup)) {
        if (frontend.filter === undefined) continue;
        const title = `${frontend.section.kind} ${frontend.section.name}`;
        const compression =
          effectiveLine(frontend.section, 'compression', 'algo') ??
          effectiveLine(frontend.section, 'compression');
        if (compression !== undefined && !declares(frontend, 'compression')) {
          yield { line: compression, what: `needs 'filter compression' in ${title}` };
        }
        for (const [cache, line] of cachesOf(frontend)) {
          if (!declares(frontend, 'cache', cache)) {
            yield { line, what: `needs 'filter cache ${cache}' in ${title}` };
          }
        }
        const app = fcgiAppOf(frontend);
        const name = app?.words.at(-1) ?? '';
        if (app !== undefined && !declares(frontend, 'fcgi-app', name)) {
          yield { line: app, what: `needs 'filter fcgi-app ${name}' in ${title}` };
        }
      }
    },
  },
  {
    id: 'fcgi-app-beside',
    severity: 'error',
    why: 'HAProxy before 3.2 does not start when an FCGI application has another filter beside it, declared or not',
    remedy:
      "put the agent's lines into a frontend, and the FCGI application into a backend that the frontend uses",
    *find(setup) {
      if (isAtLeast(setup.version, [3, 2])) return;
      for (const frontend of protectedOf(setup)) {
        const app = fcgiAppOf(frontend);
        if (app === undefined || frontend.filter === undefined) continue;
        const { kind, name } = frontend.section;
        yield { line: app, what: `${kind} ${name} has the agent's filter and an FCGI application` };
      }
    },
  },
];

function declares({ filters }: Frontend, ...words: string[]): boolean {
  return filters.some((line) => words.every((word, index) => line.words[index + 1] === word));
}

/** Caches that rules use, with the first line of each. */
function cachesOf({ rules }: Frontend): Map<string, Line> {
  const caches = new Map<string, Line>();
  for (const { action, line } of rules) {
    const [keyword, name] = action;
    if (!/^cache-(use|store)$/.test(keyword ?? '') || name === undefined || caches.has(name)) continue;
    caches.set(name, line);
  }
  return caches;
}

function fcgiAppOf({ section, filters }: Frontend): Line | undefined {
  return (
    section.lines.find(({ words }) => words[0] === 'use-fcgi-app') ??
    filters.find(({ words }) => words[1] === 'fcgi-app')
  );
}
