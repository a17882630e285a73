import { parseHaproxyTime } from '../../config/duration.ts';
import { effectiveLine, frontendsOf } from './inherit.ts';
import type { Section } from './parse.ts';
import type { Issue, Rule } from './rule.ts';
import {
  argument,
  type Frontend,
  type HttpRule,
  isFinal,
  isOurLua,
  protectedOf,
  type Setup,
  sendersOf,
} from './setup.ts';
import { isAtLeast } from './version.ts';

/** When the files set no time-out for the client or server, a wait below this is short. */
const shortWaitMs = 10_000;

const pathActions =
  /^(set-path|set-pathq|set-query|set-uri|set-method|replace-path|replace-pathq|replace-uri|normalize-uri)$/;
const headerActions = /^(set-header|add-header|del-header|replace-header|replace-value)$/;

/** Rules about the rest of a frontend: the order of rules, variables, and waiting for bodies. */
export const orderRules: readonly Rule[] = [
  {
    id: 'rewritten-before',
    severity: 'warning',
    why: 'the agent does not inspect the request as the client sent it',
    remedy: "move the rule below the agent's rules; note that rules in a defaults section always run first",
    find: (setup) =>
      beforeInspection(
        setup,
        (rule) => pathActions.test(rule.action[0] ?? ''),
        () => 'changes the request',
      ),
  },
  {
    id: 'headers-before',
    severity: 'hint',
    why: "the agent inspects the changed header; this is right for a header in which your edge puts the client's address",
    remedy: "move the rule below the agent's rules, unless this is intended",
    find: (setup) =>
      beforeInspection(
        setup,
        (rule) => headerActions.test(rule.action[0] ?? ''),
        () => 'changes headers',
      ),
  },
  {
    id: 'answered-before',
    severity: 'hint',
    why: 'the requests that it answers are neither inspected nor reported',
    remedy: "move the rule below the agent's rules, unless this is intended",
    find: (setup) =>
      beforeInspection(
        setup,
        (rule) => isFinal(rule.action[0] ?? '') && !rule.blocks && !isOurLua(rule),
        // A Lua action may do anything.
        (rule) => (rule.action[0]?.startsWith('lua.') ? 'may answer requests' : 'answers requests'),
      ),
  },
  {
    id: 'skipped-inspection',
    severity: 'warning',
    why: 'it ends rule evaluation: the traffic that it matches is not inspected, or not blocked',
    remedy: "move the rule below the agent's rules; note that rules in a defaults section always run first",
    *find(setup) {
      for (const { rules } of protectedOf(setup)) {
        for (const rule of rules) {
          if (rule.action[0] !== 'allow') continue;
          const ours = rules.filter((other) => other.direction === rule.direction && isOfAgent(other));
          if (!ours.some((other) => other.index > rule.index)) continue;
          yield { line: rule.line, what: `'allow'${ofDefaults(rule)} comes before the agent's rules` };
        }
      }
    },
  },
  {
    id: 'misplaced-lines',
    severity: 'warning',
    why: 'HAProxy evaluates the lines in a different order than written, and warns at start; with zero-warning it does not start',
    remedy:
      "put the agent's lines below tcp-request and 'monitor fail', and above redirect, use_backend and use-server",
    *find(setup) {
      for (const { section, rules } of protectedOf(setup)) {
        const ours = rules.filter((rule) => rule.section === section && isOfAgent(rule));
        const places = (direction: HttpRule['direction']): number[] =>
          ours.filter((rule) => rule.direction === direction).map((rule) => section.lines.indexOf(rule.line));
        const [requests, responses] = [places('request'), places('response')];
        for (const [place, line] of section.lines.entries()) {
          const [keyword = '', second = ''] = line.words;
          const name = keyword.startsWith('tcp-') || keyword === 'monitor' ? `${keyword} ${second}` : keyword;
          if (/^(redirect|use_backend|use-server)$/.test(name) && requests.some((ours) => ours > place)) {
            yield { line, what: `'${name}' is above the agent's rules` };
          }
          const isLate = /^(tcp-request (connection|session|content)|monitor fail)$/.test(name)
            ? requests.some((ours) => ours < place)
            : name === 'tcp-response content' &&
              isAtLeast(setup.version, [3, 2]) &&
              responses.some((ours) => ours < place);
          if (isLate) yield { line, what: `'${name}' is below the agent's rules` };
        }
      }
    },
  },
  {
    id: 'session-variable',
    severity: 'error',
    why: "all requests of an HTTP/2 connection share it, so one request gets another's transaction and body flags",
    remedy: "use the agent's txn. variables directly, as frontend-config.cfg does",
    *find(setup) {
      for (const { section } of protectedOf(setup)) {
        for (const line of section.lines) {
          const text = line.words.join(' ');
          const stored = /set-var\((sess\.[\w.]+)\)/.exec(text)?.[1];
          if (stored !== undefined && /\btxn\.dd\./.test(text)) {
            yield { line, what: `stores a value from the agent in ${stored}` };
          }
        }
      }
      const { spoe } = setup;
      for (const section of [...(spoe?.messages.values() ?? []), ...(spoe?.groups.values() ?? [])]) {
        for (const line of section.lines) {
          const read = /\bvar\((sess\.[\w.]+)\)/.exec(line.words.join(' '))?.[1];
          if (read !== undefined) yield { line, what: `sends ${read}` };
        }
      }
    },
  },
  {
    id: 'response-body-flag',
    severity: 'warning',
    why: 'the flag of the request decides about the response: messages are sent needlessly or are missing',
    remedy: 'use txn.dd.response_body in http-response rules',
    *find(setup) {
      for (const { rules } of protectedOf(setup)) {
        for (const rule of rules) {
          if (rule.direction !== 'response') continue;
          const text = `${rule.line.words.join(' ')} ${rule.condition}`;
          if (/\btxn\.dd\.request_body\b/.test(text)) {
            yield { line: rule.line, what: 'reads txn.dd.request_body for a response' };
          }
        }
      }
    },
  },
  {
    id: 'short-wait',
    severity: 'warning',
    why: 'a slow upload gets a 408, a slow response a 504',
    remedy: "use 'time 1h': 'timeout client' and 'timeout server' are the real limits",
    *find(setup) {
      for (const { section, rules } of protectedOf(setup)) {
        for (const rule of rules) {
          const waitMs = waitTimeMs(rule);
          if (waitMs === undefined) continue;
          const side = rule.direction === 'request' ? 'client' : 'server';
          // The client's time-out is in the frontends, the server's in the backends.
          const limit = [section, ...frontendsOf(section, setup.configuration)]
            .map((one) => effectiveLine(one, 'timeout', side)?.words[2])
            .find((text) => text !== undefined);
          if (waitMs >= (parseHaproxyTime(limit ?? '') ?? shortWaitMs)) continue;
          yield { line: rule.line, what: `waits only ${argument(rule.line, 'time')} for the body` };
        }
      }
    },
  },
  {
    id: 'stream-held-back',
    severity: 'warning',
    why: 'a response that arrives in pieces (event streams, long polls) is held back until the time is over',
    remedy: 'wait only if Content-Length is known and the body fits, as frontend-config.cfg does',
    *find(setup) {
      for (const { rules } of protectedOf(setup)) {
        for (const rule of rules) {
          if (rule.direction !== 'response' || waitTimeMs(rule) === undefined) continue;
          if (/content-length|res\.body_size/i.test(rule.condition)) continue;
          yield { line: rule.line, what: 'waits for response bodies of unknown length' };
        }
      }
    },
  },
  {
    id: 'body-not-awaited',
    severity: 'warning',
    why: 'a body that arrives after the headers is not inspected',
    remedy: "put 'http-request wait-for-body time 1h' above it, as frontend-config.cfg does",
    *find(setup) {
      for (const frontend of protectedOf(setup)) {
        if (buffersRequests(setup, frontend.section)) continue;
        // A condition before the agent was called cannot be about its flag.
        const asked = sendersOf(frontend, 'requestHeaders')[0]?.index ?? 0;
        for (const sender of sendersOf(frontend, 'requestBody')) {
          const waits = frontend.rules.some(
            (rule) =>
              rule.direction === 'request' &&
              rule.index < sender.index &&
              (rule.index > asked || rule.condition === '') &&
              waitTimeMs(rule) !== undefined,
          );
          if (!waits) yield { line: sender.line, what: "sends the request body without 'wait-for-body'" };
        }
      }
    },
  },
];

function isOfAgent(rule: HttpRule): boolean {
  return rule.sends.length > 0 || rule.blocks || isOurLua(rule);
}

function waitTimeMs(rule: HttpRule): number | undefined {
  if (rule.action[0] !== 'wait-for-body') return undefined;
  return parseHaproxyTime(argument(rule.line, 'time'));
}

/** Either itself, or because all of its frontends do. */
function buffersRequests({ configuration }: Setup, section: Section): boolean {
  const buffers = (one: Section): boolean =>
    effectiveLine(one, 'option', 'http-buffer-request') !== undefined;
  const frontends = frontendsOf(section, configuration);
  return buffers(section) || (frontends.length > 0 && frontends.every(buffers));
}

function* beforeInspection(
  setup: Setup,
  matches: (rule: HttpRule) => boolean,
  does: (rule: HttpRule) => string,
): Iterable<Issue> {
  for (const frontend of protectedOf(setup)) {
    const first = sendersOf(frontend, 'requestHeaders')[0];
    if (first === undefined) continue;
    const own = frontend.rules.filter((rule) => rule.index < first.index);
    for (const rule of [...rulesBefore(setup, frontend), ...own]) {
      if (rule.direction !== 'request' || !matches(rule)) continue;
      const name = `'${rule.action[0] ?? ''}'${ofDefaults(rule)}`;
      yield { line: rule.line, what: `${name} ${does(rule)} before the agent is called` };
    }
  }
}

/** When the agent's lines are in a backend, its frontends' rules run first, unless these call the agent, too. */
function rulesBefore(setup: Setup, { section }: Frontend): HttpRule[] {
  if (section.kind === 'frontend') return [];
  const before = frontendsOf(section, setup.configuration);
  return setup.frontends
    .filter((frontend) => before.includes(frontend.section) && !frontend.isProtected)
    .flatMap(({ rules }) => rules);
}

function ofDefaults({ section }: HttpRule): string {
  return section.kind === 'defaults' ? ` in defaults ${section.name}`.trimEnd() : '';
}
