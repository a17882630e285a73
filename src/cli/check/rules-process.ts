import { configurationVersion } from '../../adapters/haproxy/contract.ts';
import { lineageOf } from './inherit.ts';
import type { Section } from './parse.ts';
import type { Rule } from './rule.ts';
import { effectiveLine, isOurLua, modeOf, type Setup } from './setup.ts';
import { isAtLeast } from './version.ts';

const boolConversion = 'tune.lua.bool-sample-conversion';

/** Rules about the global section, Lua, the agent's backend, and the files as such. */
export const processRules: readonly Rule[] = [
  {
    id: 'no-lua-load',
    severity: 'error',
    why: 'HAProxy does not start: the action that blocks is not defined',
    remedy: "load datadog_aap_blocking_response.lua with 'lua-load-per-thread', as global-config.cfg does",
    *find({ frontends, scripts }) {
      if (scripts.length > 0) return;
      const rule = frontends.flatMap(({ rules }) => rules).find(isOurLua);
      // A snippet by itself: its global section was not given.
      if (rule !== undefined && !frontends.every(({ section }) => section.kind === 'snippet')) {
        yield { line: rule.line, what: 'the given files have no lua-load' };
      }
    },
  },
  {
    id: 'lua-request-only',
    severity: 'error',
    why: 'the action is not available to http-response rules, so responses are never blocked',
    remedy: 'use the datadog_aap_blocking_response.lua of this version',
    *find({ scripts }) {
      for (const { line, path, text } of scripts) {
        const phases = /register_action\(\s*["']send_blocking_response["']\s*,\s*\{([^}]*)\}/.exec(
          text ?? '',
        )?.[1];
        if (phases !== undefined && !/http-res/.test(phases)) {
          yield { line, what: `${path} registers send_blocking_response for requests only` };
        }
      }
    },
  },
  {
    id: 'lua-bool',
    severity: 'warning',
    why: 'HAProxy 3.2 and later warn at start, and other scripts may see numbers instead of booleans',
    remedy: `put '${boolConversion} normal' before the first lua-load`,
    *find({ version, globalLines, scripts }) {
      const [script] = scripts;
      if (script === undefined || !isAtLeast(version, [3, 2])) return;
      const at = globalLines.findIndex(({ words }) => words[0] === boolConversion);
      if (at === -1) yield { line: script.line, what: `no ${boolConversion}` };
      else if (at > globalLines.indexOf(script.line)) {
        const line = globalLines[at] ?? script.line;
        yield { line, what: `${boolConversion} is below lua-load, which is too late` };
      }
    },
  },
  {
    id: 'lua-bool-unknown',
    severity: 'error',
    why: 'HAProxy before 3.2 does not start',
    remedy: "put '.if version_atleast(3.2)' and '.endif' around it",
    *find({ version, globalLines }) {
      if (isAtLeast(version, [3, 2])) return;
      for (const line of globalLines) {
        if (line.words[0] === boolConversion)
          yield { line, what: `${boolConversion} is unknown to this version` };
      }
    },
  },
  {
    id: 'lua-twice',
    severity: 'warning',
    why: 'HAProxy warns at start: the action that blocks is registered twice',
    remedy: 'load or paste global-config.cfg once',
    *find({ scripts }) {
      const seen = new Set<string>();
      for (const { line, path } of scripts) {
        if (seen.has(path)) yield { line, what: `${path} is loaded twice` };
        seen.add(path);
      }
    },
  },
  {
    id: 'no-backend',
    severity: 'error',
    why: 'HAProxy has no agent to call',
    remedy: 'load backend.cfg, and pass every file that HAProxy loads to this command',
    *find(setup) {
      const line = useBackend(setup);
      if (line !== undefined && backendOf(setup) === undefined) {
        yield { line, what: `the given files have no backend ${line.words[1] ?? ''}` };
      }
    },
  },
  {
    id: 'backend-mode',
    severity: 'error',
    why: "HAProxy does not start: the agent's backend needs 'mode tcp' before 3.1, and 'mode spop' from 3.1 on",
    remedy: 'use backend.cfg, which works with all versions',
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined) return;
      const mode = modeOf(backend);
      const allowed = isAtLeast(setup.version, [3, 1]) ? ['spop', 'tcp'] : ['tcp'];
      if (!allowed.includes(mode)) {
        yield {
          line: effectiveLine(backend, 'mode') ?? backend.at,
          what: `backend ${backend.name} is in mode ${mode}`,
        };
      }
    },
  },
  {
    id: 'no-server',
    severity: 'error',
    why: 'HAProxy has no agent to call',
    remedy: "add 'server spoa1 127.0.0.1:3000'",
    *find(setup) {
      const backend = backendOf(setup);
      if (backend !== undefined && serversOf(backend).length === 0) {
        yield { line: backend.at, what: `backend ${backend.name} has no server` };
      }
    },
  },
  {
    id: 'no-spop-check',
    severity: 'warning',
    why: 'while an agent is down or draining, every request waits for the whole processing time-out',
    remedy: "add 'option spop-check' and 'default-server check' to the backend",
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined) return;
      if (effectiveLine(backend, 'option', 'spop-check') === undefined) {
        yield { line: backend.at, what: `backend ${backend.name} has no 'option spop-check'` };
      }
      const byDefault = lineageOf(backend)
        .flatMap(({ lines }) => lines)
        .some(({ words }) => words[0] === 'default-server' && words.includes('check'));
      for (const line of serversOf(backend)) {
        if (byDefault ? line.words.includes('no-check') : !line.words.includes('check')) {
          yield { line, what: `server ${line.words[1] ?? ''} has no health check` };
        }
      }
    },
  },
  {
    id: 'no-balance-hash',
    severity: 'warning',
    why: 'messages of one transaction reach different agents, so responses are inspected without their request',
    remedy:
      "use 'balance hash var(ptxn.dd_shard)', and set txn.dd_shard in the frontend, as the shipped files do",
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined || serversOf(backend).length < 2 || !isAtLeast(setup.version, [3, 1])) return;
      const line = effectiveLine(backend, 'balance');
      const variable = /^var\(ptxn\.([\w.]+)\)/.exec(line?.words[2] ?? '')?.[1];
      if (line?.words[1] !== 'hash' || variable === undefined) {
        yield { line: line ?? backend.at, what: `several servers without 'balance hash var(ptxn.…)'` };
        return;
      }
      const isSet = (text: string): boolean => text.includes(`set-var(txn.${variable})`);
      for (const { section, filter } of setup.frontends) {
        if (filter === undefined || section.lines.some(({ words }) => isSet(words.join(' ')))) continue;
        yield { line, what: `no rule sets txn.${variable} in ${section.kind} ${section.name}`.trimEnd() };
      }
    },
  },
  {
    id: 'several-agents',
    severity: 'hint',
    why: 'HAProxy before 3.1 cannot keep the messages of one transaction on one agent, so some responses are inspected without their request',
    remedy:
      'use one agent per HAProxy, list the agents in DD_HAPROXY_SPOA_PEERS, or use HAProxy 3.1 or later',
    *find(setup) {
      const backend = backendOf(setup);
      if (backend === undefined || isAtLeast(setup.version, [3, 1])) return;
      const second = serversOf(backend)[1];
      if (second !== undefined) yield { line: second, what: `backend ${backend.name} has several servers` };
    },
  },
  {
    id: 'outdated-file',
    severity: 'warning',
    why: `this version of appsec-edge ships configuration files ${configurationVersion}`,
    remedy: 'replace all files together; haproxyconf/CHANGELOG.md lists the changes',
    *find({ sources }) {
      for (const { path, text } of sources) {
        for (const [index, line] of text.split('\n').entries()) {
          const marked = /^\s*(?:#|--) appsec-edge HAProxy configuration (\d[\w.]*\w)/.exec(line)?.[1];
          if (marked === undefined || marked === configurationVersion) continue;
          yield { line: { file: path, number: index + 1 }, what: `has version ${marked}` };
        }
      }
    },
  },
  {
    id: 'unset-variable',
    severity: 'hint',
    why: "HAProxy replaces it with nothing, unless HAProxy's own environment sets it",
    remedy: "set it with 'presetenv' in the global section, or give it a default, as in spoe.cfg",
    *find({ configuration, spoe }) {
      const sections: Section[] = [...configuration.sections];
      if (spoe !== undefined) {
        if (spoe.agent !== undefined) sections.push(spoe.agent);
        sections.push(...spoe.messages.values());
      }
      for (const line of sections.flatMap((section) => section.lines)) {
        const [name] = line.unset.filter((variable) => variable.startsWith('DD_'));
        if (name !== undefined) yield { line, what: `variable ${name} is not set` };
      }
    },
  },
];

function useBackend({ spoe }: Setup): Section['at'] | undefined {
  return spoe?.agent?.lines.findLast(({ words }) => words[0] === 'use-backend');
}

/** The agent's backend, as the SPOE file names it. */
export function backendOf(setup: Setup): Section | undefined {
  const name = useBackend(setup)?.words[1];
  return setup.configuration.sections.find(
    (section) => (section.kind === 'backend' || section.kind === 'listen') && section.name === name,
  );
}

export function serversOf(backend: Section): Section['lines'] {
  return backend.lines.filter(({ words }) => words[0] === 'server' || words[0] === 'server-template');
}
