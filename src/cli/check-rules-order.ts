import { parseHaproxyTime } from '../adapters/haproxy/haproxy-time.ts';
import type { Issue, Rule } from './check-rule.ts';
import {
  argument,
  effectiveLine,
  type HttpRule,
  isFinal,
  isOurLua,
  protectedOf,
  type Setup,
  sendersOf,
} from './check-setup.ts';

/** Without a time-out of the client or server in the files, a wait below this is short. */
const shortWaitMs = 10_000;

const pathActions =
  /^(set-path|set-pathq|set-query|set-uri|set-method|replace-path|replace-pathq|replace-uri|normalize-uri)$/;
const headerActions = /^(set-header|add-header|del-header|replace-header|replace-value)$/;

/** Rules about what stands around the agent's rules in a frontend: the order, variables, and waiting for bodies. */
export const orderRules: readonly Rule[] = [
  {
    id: 'rewritten-before',
    severity: 'warning',
    why: 'the agent inspects another request than the client sent',
    remedy: 'put the rule behind those of the agent',
    find: (setup) =>
      beforeInspection(setup, (rule) => pathActions.test(rule.action[0] ?? ''), 'changes the request'),
  },
  {
    id: 'headers-before',
    severity: 'hint',
    why: 'the agent inspects the header as it is then; right for the client address that your edge sets',
    remedy: 'put the rule behind those of the agent, unless that is meant',
    find: (setup) =>
      beforeInspection(setup, (rule) => headerActions.test(rule.action[0] ?? ''), 'changes headers'),
  },
  {
    id: 'answered-before',
    severity: 'hint',
    why: 'what it answers is neither inspected nor reported',
    remedy: 'put the rule behind those of the agent, unless that is meant',
    find: (setup) =>
      beforeInspection(
        setup,
        (rule) => isFinal(rule.action[0] ?? '') && !rule.blocks && !isOurLua(rule),
        'answers requests',
      ),
  },
  {
    id: 'skipped-inspection',
    severity: 'warning',
    why: 'it ends the evaluation of rules: what it matches is not inspected, or not blocked',
    remedy: 'put the rule behind those of the agent',
    *find(setup) {
      for (const { rules } of protectedOf(setup)) {
        for (const rule of rules) {
          if (rule.action[0] !== 'allow') continue;
          const ours = rules.filter((other) => other.direction === rule.direction && isOfAgent(other));
          if (!ours.some((other) => other.index > rule.index)) continue;
          yield { line: rule.line, what: `'allow' stands before rules of the agent` };
        }
      }
    },
  },
  {
    id: 'session-variable',
    severity: 'error',
    why: 'all requests of one HTTP/2 connection share it: they get the identity and wishes of one another',
    remedy: 'use the txn. variables of the agent directly, as frontend-config.cfg does',
    *find(setup) {
      for (const { section } of protectedOf(setup)) {
        for (const line of section.lines) {
          const text = line.words.join(' ');
          const stored = /set-var\((sess\.[\w.]+)\)/.exec(text)?.[1];
          if (stored !== undefined && /\btxn\.dd\./.test(text)) {
            yield { line, what: `keeps a value of the agent in ${stored}` };
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
    why: 'what the agent wished for the request decides about the response: needless messages, or missing ones',
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
    why: 'a slow upload is refused with 408, a slow response with 504',
    remedy: "say 'time 1h': 'timeout client' and 'timeout server' are the limits",
    *find(setup) {
      for (const { section, rules } of protectedOf(setup)) {
        for (const rule of rules) {
          const waitMs = waitTimeMs(rule);
          if (waitMs === undefined) continue;
          const side = rule.direction === 'request' ? 'client' : 'server';
          const limit = effectiveLine(section, 'timeout', side)?.words[2] ?? '';
          if (waitMs >= (parseHaproxyTime(limit) ?? shortWaitMs)) continue;
          yield { line: rule.line, what: `waits for the body ${argument(rule.line, 'time')} only` };
        }
      }
    },
  },
  {
    id: 'stream-held-back',
    severity: 'warning',
    why: 'a response that comes bit by bit (event streams, long polls) is held back until the time is over',
    remedy: 'wait only when Content-Length is known and fits, as frontend-config.cfg does',
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
    why: 'a body that arrives after the headers escapes inspection',
    remedy: "put 'http-request wait-for-body time 1h' before it, as frontend-config.cfg does",
    *find(setup) {
      for (const frontend of protectedOf(setup)) {
        if (effectiveLine(frontend.section, 'option', 'http-buffer-request') !== undefined) continue;
        // A condition before the agent was asked cannot be about its wish.
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

function* beforeInspection(
  setup: Setup,
  matches: (rule: HttpRule) => boolean,
  what: string,
): Iterable<Issue> {
  for (const frontend of protectedOf(setup)) {
    const first = sendersOf(frontend, 'requestHeaders')[0];
    if (first === undefined) continue;
    for (const rule of frontend.rules) {
      if (rule.direction !== 'request' || rule.index >= first.index || !matches(rule)) continue;
      yield { line: rule.line, what: `'${rule.action[0] ?? ''}' ${what} before the agent is asked` };
    }
  }
}
