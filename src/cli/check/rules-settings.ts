import { lowValues } from '../../daemon/low-values.ts';
import { nearest } from '../../policy/lint/nearest.ts';
import type { Line } from './parse.ts';
import type { Rule } from './rule.ts';
import type { Setup } from './setup.ts';

/** What the shipped files read from HAProxy's environment; docs/haproxy.md explains them. */
export const haproxyVariables: readonly string[] = [
  ...['DD_SPOA_SPOA_CONF_FILE', 'DD_SPOA_LUA_FILE', 'DD_SPOA_ADDRESS', 'DD_SPOA_TIMEOUT'],
  ...['DD_SPOA_PROCESSING_TIMEOUT', 'DD_SPOA_HELLO_TIMEOUT', 'DD_SPOA_RESPONSE_WAIT_LIMIT'],
  ...['DD_SPOA_BODY_LIMIT', 'DD_SPOA_BUFSIZE', 'DD_SPOA_MAXREWRITE'],
];

/** Rules about the agent's settings, and about variables of HAProxy that no line reads. */
export const settingRules: readonly Rule[] = [
  {
    id: 'low-setting',
    severity: 'warning',
    why: 'the feature hardly works with this value: attacks pass uninspected',
    remedy:
      "check the unit: a bare number means microseconds for DD_APPSEC_WAF_TIMEOUT (write '10ms'), and bytes for sizes",
    *find(setup) {
      for (const { what } of lowValues(setup.settings)) yield { line: agentLine(setup), what };
    },
  },
  {
    id: 'unknown-variable',
    severity: 'warning',
    why: 'it has no effect',
    remedy: 'correct its name; docs/haproxy.md, "Settings", lists all variables',
    *find(setup) {
      const text = setup.sources.map((source) => source.text).join('\n');
      for (const name of setup.configuration.environment.keys()) {
        if (!name.startsWith('DD_SPOA_') || haproxyVariables.includes(name)) continue;
        // A variable of the operator's own, which a line of theirs reads.
        if (new RegExp(`\\$\\{?${name}\\b`).test(text)) continue;
        const near = nearest(name, haproxyVariables);
        const meant = near === undefined ? '' : `; did you mean ${near}?`;
        yield { line: lineThatSets(setup, name), what: `no line reads the variable ${name}${meant}` };
      }
    },
  },
];

function lineThatSets(setup: Setup, name: string): Pick<Line, 'file' | 'number'> {
  const line = setup.globalLines.find(
    ({ words }) => /^(pre)?setenv$/.test(words[0] ?? '') && words[1] === name,
  );
  return line ?? { file: setup.sources[0]?.path ?? '', number: 1 };
}

/** The line to report for problems of the agent itself. */
function agentLine(setup: Setup): Pick<Line, 'file' | 'number'> {
  const filter = setup.frontends.find((frontend) => frontend.filter !== undefined)?.filter;
  return setup.spoe?.agent?.at ?? filter ?? { file: setup.sources[0]?.path ?? '', number: 1 };
}
