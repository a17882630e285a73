import { effectiveLine, lineageOf } from './inherit.ts';
import type { Line, Section } from './parse.ts';
import type { Issue, Rule } from './rule.ts';
import { backendOf, serversOf } from './rules-process.ts';
import type { Setup } from './setup.ts';

const ownDefaults = 'use the backend.cfg of this version, which gives the agent its own defaults section';

/** Settings that HAProxy warns about when they do not apply: outside mode http, or without the check they belong to. */
const unsuitable: readonly string[][] = [
  ...[
    ...[
      'forwardfor',
      'forwarded',
      'originalto',
      'http-buffer-request',
      'http-no-delay',
      'http-pretend-keepalive',
    ],
    ...['accept-invalid-http-response', 'accept-unsafe-violations-in-http-response', 'checkcache'],
    'prefer-last-server',
  ].map((name) => ['option', name]),
  ...[['cookie'], ['stats'], ['http-check', 'send-state'], ['http-check', 'disable-on-404']],
  ['external-check', 'command'],
];

/** Words of a `default-server` line that the agent does not support, or that send connections or checks elsewhere. */
const foreign = /^(ssl|check-ssl|check-send-proxy|proto|send-proxy.*|socks4|port|addr|disabled|track|redir)$/;
/** Words of a `default-server` line that HAProxy warns about and ignores. */
const warnedAbout = /^(cookie|tfo)$/;

const ruleKeywords = /^(tcp-request|tcp-response|http-request|http-response|http-after-response)$/;

/** Rules about settings that the agent's backend inherits, and about proxies that inherit the agent's defaults. */
export const backendRules: readonly Rule[] = [
  {
    id: 'backend-inherits-options',
    severity: 'warning',
    why: 'HAProxy warns at start; with zero-warning it does not start',
    remedy: ownDefaults,
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined) return;
      for (const words of unsuitable) {
        const line = effectiveLine(backend, ...words);
        if (line !== undefined && !backend.lines.includes(line)) {
          yield { line, what: `backend ${backend.name} inherits '${words.join(' ')}'` };
        }
      }
      yield* serverWords(backend, warnedAbout);
    },
  },
  {
    id: 'backend-inherits-server',
    severity: 'error',
    why: 'the agent does not support it and is never reached, or HAProxy does not start',
    remedy: ownDefaults,
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined) return;
      const transparent = effectiveLine(backend, 'option', 'transparent');
      if (transparent !== undefined && !backend.lines.includes(transparent)) {
        yield { line: transparent, what: `backend ${backend.name} inherits 'option transparent'` };
      }
      yield* serverWords(backend, foreign);
    },
  },
  {
    id: 'defaults-with-rules',
    severity: 'error',
    why: 'HAProxy does not start: frontends and backends cannot share a defaults section that contains rules',
    remedy: ownDefaults,
    *find(setup) {
      const backend = backendOf(setup);
      const defaults = backend?.defaults;
      if (backend === undefined || defaults === undefined) return;
      const isShared = takersOf(setup, defaults).some(({ kind }) => kind === 'frontend' || kind === 'listen');
      const line = defaults.lines.find(
        ({ words: [keyword = '', level = ''] }) =>
          (isShared && ruleKeywords.test(keyword)) ||
          (keyword === 'tcp-request' && /^(connection|session)$/.test(level)),
      );
      if (line !== undefined) {
        yield {
          line,
          what: `backend ${backend.name} uses a defaults section that contains '${line.words[0] ?? ''}'`,
        };
      }
    },
  },
  {
    id: 'defaults-mixed',
    severity: 'warning',
    why: 'HAProxy warns at start (2.6 calls it an alert); with zero-warning it does not start',
    remedy: ownDefaults,
    *find(setup) {
      const backend = backendOf(setup);
      const defaults = backend?.defaults;
      if (backend === undefined || defaults === undefined || backend.namesDefaults) return;
      if (takersOf(setup, defaults).some(({ namesDefaults }) => namesDefaults)) {
        yield {
          line: backend.at,
          what: `backend ${backend.name} uses defaults ${defaults.name} without 'from', while other sections name them`,
        };
      }
    },
  },
  {
    id: 'agent-defaults-taken',
    severity: 'error',
    why: 'it gets none of your own defaults, such as mode http and the time-outs',
    remedy:
      "move the agent's defaults and backend below all other sections, or name your own defaults with 'from'",
    *find(setup) {
      const backend = backendOf(setup);
      const defaults = backend?.defaults;
      if (backend === undefined || defaults === undefined || !backend.namesDefaults) return;
      const takers = takersOf(setup, defaults).filter((section) => section !== backend);
      // Defaults that other sections name as well are the operator's own.
      if (takers.some(({ namesDefaults }) => namesDefaults)) return;
      for (const { at, kind, name } of takers) {
        yield { line: at, what: `${kind} ${name} uses the agent's defaults ${defaults.name}` };
      }
    },
  },
  {
    id: 'loaded-twice',
    severity: 'error',
    why: 'HAProxy does not start',
    remedy: 'load or paste each file only once',
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined) return;
      for (const { at, kind, name } of setup.configuration.sections) {
        const isAgain = at !== backend.at && name === backend.name && kind === 'backend';
        if (isAgain) yield { line: at, what: `backend ${name} is defined twice` };
      }
      for (const { filters, filter, section } of setup.frontends) {
        const again = filters.find(
          (line) => line !== filter && line.words[1] === 'spoe' && line.words.includes(setup.engineName),
        );
        if (filter !== undefined && again !== undefined) {
          yield { line: again, what: `${section.kind} ${section.name} has the agent's filter twice` };
        }
      }
    },
  },
];

/** Proxies and defaults that inherit directly from `defaults`. */
function takersOf({ configuration }: Setup, defaults: Section): Section[] {
  return configuration.sections.filter((section) => section.defaults === defaults);
}

/** Words of inherited `default-server` lines that the backend's own lines neither undo nor repeat. */
function* serverWords(backend: Section, wanted: RegExp): Iterable<Issue> {
  const inherited = lineageOf(backend)
    .slice(1)
    .flatMap((section) => section.lines.filter(isDefaultServer));
  const own = backend.lines.filter(isDefaultServer);
  const says = (line: Line, word: string): boolean =>
    line.words.includes(word) ||
    line.words.includes(`no-${word}`) ||
    (word === 'disabled' && line.words.includes('enabled'));
  for (const line of inherited) {
    const word = line.words.find(
      (one, index) =>
        wanted.test(one) || (wanted === foreign && one === 'weight' && line.words[index + 1] === '0'),
    );
    if (word === undefined || own.some((other) => says(other, word))) continue;
    if (serversOf(backend).every((server) => says(server, word))) continue;
    yield { line, what: `backend ${backend.name} inherits 'default-server ${word}'` };
  }
}

function isDefaultServer({ words }: Line): boolean {
  return words[0] === 'default-server';
}
