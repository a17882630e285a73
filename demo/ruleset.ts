// The ruleset of the demo. The recommended one reports nearly everything and blocks almost nothing, for only the
// owner of a site knows what may be blocked there. This is how an owner says so: `on_match` on rules that exist,
// and rules of one's own.
import { readFileSync } from 'node:fs';
import { recommendedRulesPath } from '../src/datadog/dd-trace-package.ts';

interface Rule {
  readonly id: string;
  readonly tags: { readonly type: string; readonly [tag: string]: string };
  readonly on_match?: readonly string[];
}

/** Attacks that are blocked here; all others are reported. */
const blockedTypes: ReadonlySet<string> = new Set(['sql_injection', 'command_injection']);

const ownRules = [
  rule('demo-leak-001', 'Cloud credentials in a response body', 'server.response.body', {
    pattern: '\\bAKIA[0-9A-Z]{16}\\b',
    onMatch: 'block',
  }),
  rule('demo-leak-002', 'Error details in a response header', 'server.response.headers.no_cookies', {
    keyPath: 'x-debug-error',
    pattern: '.+',
    onMatch: 'block',
  }),
  rule('demo-probe-001', 'Somebody looks for a source repository', 'server.request.uri.raw', {
    pattern: '^/\\.(git|svn|hg)/',
    onMatch: 'demo-redirect',
  }),
];

const ownActions = [
  {
    id: 'demo-redirect',
    type: 'redirect_request',
    parameters: { status_code: 303, location: '/nothing-to-see-here' },
  },
];

/** The text of a ruleset file, for DD_APPSEC_RULES. */
export function demoRuleset(): string {
  const recommended = JSON.parse(readFileSync(recommendedRulesPath(), 'utf8')) as { readonly rules: Rule[] };
  const rules = recommended.rules.map((rule) =>
    blockedTypes.has(rule.tags.type) ? { ...rule, on_match: ['block'] } : rule,
  );
  return JSON.stringify({ ...recommended, rules: [...rules, ...ownRules], actions: ownActions });
}

interface Match {
  readonly keyPath?: string;
  readonly pattern: string;
  readonly onMatch: string;
}

function rule(id: string, name: string, address: string, match: Match): Rule & object {
  const input = match.keyPath === undefined ? { address } : { address, key_path: [match.keyPath] };
  const conditions = [{ operator: 'match_regex', parameters: { inputs: [input], regex: match.pattern } }];
  return {
    id,
    ...{ name, conditions, transformers: [] },
    tags: { type: 'demo', category: 'demo' },
    on_match: [match.onMatch],
  };
}
