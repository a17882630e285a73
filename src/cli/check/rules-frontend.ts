import { backendsOf, modeOf } from './inherit.ts';
import type { Section } from './parse.ts';
import type { Issue, Rule } from './rule.ts';
import {
  type Frontend,
  type HttpRule,
  isOurLua,
  type MessageKey,
  protectedOf,
  type Setup,
  sendersOf,
} from './setup.ts';

/** Rules about what a frontend sends to the agent, and what it does with the verdict. */
export const frontendRules: readonly Rule[] = [
  {
    id: 'no-filter',
    severity: 'error',
    why: 'nothing is sent to the agent',
    remedy: 'paste frontend-config.cfg into each frontend that you want to protect',
    *find(setup) {
      if (setup.frontends.some((frontend) => frontend.filter !== undefined)) return;
      const http = setup.frontends.filter(({ section }) => modeOf(section) === 'http');
      for (const { section } of http) {
        yield {
          line: section.at,
          what: `${titleOf(section.kind, section.name)} has no 'filter spoe' for the agent`,
        };
      }
      const [first] = setup.sources;
      if (http.length === 0 && first !== undefined) {
        yield {
          line: { file: first.path, number: 1 },
          what: "the given files have no frontend in 'mode http'",
        };
      }
    },
  },
  {
    id: 'unprotected-frontend',
    severity: 'hint',
    why: 'its traffic is not inspected, although that of another frontend is',
    remedy: 'paste frontend-config.cfg into it, unless this is intended',
    *find(setup) {
      if (!setup.frontends.some((frontend) => frontend.filter !== undefined)) return;
      const isProtected = (section: Section): boolean =>
        setup.frontends.some((proxy) => proxy.section === section && proxy.isProtected);
      const open: Section[] = [];
      for (const { section } of setup.frontends) {
        if (isProtected(section) || modeOf(section) !== 'http') continue;
        // The agent's lines may stand in the backends instead.
        const backends = backendsOf(section, setup.configuration).filter((one) => modeOf(one) === 'http');
        if (backends.some(isProtected)) open.push(...backends.filter((one) => !isProtected(one)));
        else open.push(section);
      }
      for (const { at, kind, name } of open.filter((section) => hasApplication(section, setup))) {
        yield { line: at, what: `${titleOf(kind, name)} has no 'filter spoe' for the agent` };
      }
    },
  },
  {
    id: 'not-http',
    severity: 'error',
    why: 'HTTP rules are not evaluated, and nothing is inspected',
    remedy: "set 'mode http' in it or in its defaults",
    *find(setup) {
      for (const { section } of protectedOf(setup)) {
        if (modeOf(section) === 'http') continue;
        yield {
          line: section.at,
          what: `${titleOf(section.kind, section.name)} is in mode ${modeOf(section)}`,
        };
      }
    },
  },
  {
    id: 'group-without-filter',
    severity: 'error',
    why: 'HAProxy does not know the SPOE engine to send the group to',
    remedy:
      "put the 'filter spoe' line of frontend-config.cfg above it; a defaults section cannot have filters, so it cannot have these rules either",
    *find(setup) {
      for (const { rules, filter } of protectedOf(setup)) {
        for (const { line, sends, section } of rules) {
          if (sends.length === 0) continue;
          if (section.kind === 'defaults') {
            yield { line, what: `a defaults section sends a group to engine ${setup.engineName}` };
          } else if (filter === undefined) {
            yield { line, what: `sends a group to engine ${setup.engineName} without its 'filter spoe'` };
          }
        }
      }
    },
  },
  {
    id: 'request-not-sent',
    severity: 'error',
    why: 'requests are not inspected',
    remedy: "add 'http-request send-spoe-group' for the request headers, as in frontend-config.cfg",
    *find(setup) {
      for (const frontend of protectedOf(setup)) {
        const { filter } = frontend;
        if (filter === undefined || isSent(setup, frontend, 'requestHeaders')) continue;
        yield { line: filter, what: 'no rule sends the request headers' };
      }
    },
  },
  {
    id: 'part-not-sent',
    severity: 'hint',
    why: 'that part of the traffic is not inspected',
    remedy: 'copy the rules for it from frontend-config.cfg, unless this is intended',
    *find(setup) {
      const parts = {
        requestBody: 'request body',
        responseHeaders: 'response headers',
        responseBody: 'response body',
      } as const;
      for (const frontend of protectedOf(setup)) {
        const { filter } = frontend;
        if (filter === undefined || !isSent(setup, frontend, 'requestHeaders')) continue;
        for (const [key, name] of Object.entries(parts)) {
          if (!isSent(setup, frontend, key as MessageKey)) {
            yield { line: filter, what: `no rule sends the ${name}` };
          }
        }
      }
    },
  },
  {
    id: 'request-not-blocked',
    severity: 'error',
    why: 'attacks are reported but not blocked',
    remedy:
      "put 'http-request lua.send_blocking_response if { var(txn.dd.blocked) -m bool }' below the rule that sends the group",
    find: (setup) => notBlocked(setup, 'request', ['requestHeaders', 'requestBody']),
  },
  {
    id: 'response-not-blocked',
    severity: 'error',
    why: 'responses are never blocked: http-request rules run before the response arrives',
    remedy:
      "put 'http-response lua.send_blocking_response if { var(txn.dd.blocked) -m bool }' below the rule that sends the group",
    find: (setup) => notBlocked(setup, 'response', ['responseHeaders', 'responseBody']),
  },
  {
    id: 'blocks-everything',
    severity: 'error',
    why: 'every request gets the fallback page',
    remedy: "end the rule with 'if { var(txn.dd.blocked) -m bool }'",
    *find(setup) {
      for (const { rules } of protectedOf(setup)) {
        for (const rule of rules) {
          if (isOurLua(rule) && rule.condition === '') {
            yield { line: rule.line, what: `'${rule.action[0] ?? ''}' has no condition` };
          }
        }
      }
    },
  },
];

/** Whether it serves an application: not a backend without servers, nor statistics only. */
function hasApplication(section: Section, { configuration }: Setup): boolean {
  const has = (...keywords: string[]): boolean =>
    section.lines.some(({ words }) => keywords.includes(words[0] ?? ''));
  if (has('server', 'server-template', 'dispatch')) return true;
  if (section.kind === 'backend') return false;
  const onlyOwn = has('stats') || section.lines.some(({ words }) => words[1] === 'use-service');
  return backendsOf(section, configuration).length > 0 || !onlyOwn;
}

function titleOf(kind: string, name: string): string {
  return kind === 'snippet' ? 'the snippet' : `${kind} ${name}`;
}

/** By a rule of the proxy, or by an event in the SPOE file. */
function isSent(setup: Setup, frontend: Frontend, message: MessageKey): boolean {
  if (sendersOf(frontend, message).length > 0) return true;
  const section = [...(setup.spoe?.messages.values() ?? [])].find(
    ({ name }) => name === messageName(message),
  );
  return section?.lines.some((line) => line.words[0] === 'event') ?? false;
}

function messageName(message: MessageKey): string {
  return `http-${message.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}-msg`;
}

function* notBlocked(
  setup: Setup,
  direction: HttpRule['direction'],
  messages: readonly MessageKey[],
): Iterable<Issue> {
  for (const frontend of protectedOf(setup)) {
    for (const message of messages) {
      for (const sender of sendersOf(frontend, message)) {
        const blocked = frontend.rules.some(
          (rule) =>
            rule.direction === direction && rule.index > sender.index && (rule.blocks || isOurLua(rule)),
        );
        if (blocked) continue;
        yield { line: sender.line, what: `no http-${direction} rule below it acts on txn.dd.blocked` };
      }
    }
  }
}
