import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { said } from './policy-lint.ts';

// Policies that refer to each other, over several files: right ones are passed over in silence, and of each reference
// that is changed one thing is said.

const name = fc.stringMatching(/^[a-z]{8,12}$/);
const address = fc.constantFrom('server.request.query', 'server.request.body', 'server.request.cookies');
const ruleId = fc.constantFrom('crs-913-120', 'crs-942-100', 'ua0-600-55x');
const tags = fc.constantFrom(
  { type: 'sql_injection' },
  { type: 'xss', confidence: '1' },
  { category: 'attack_attempt' },
);
const ip = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.nat({ max: 32 })).map((parts) => parts.join('/')),
);
const sentStatus = fc.oneof(
  fc.integer({ min: 200, max: 599 }),
  fc.integer({ min: 200, max: 599 }).map(String),
);

/** Names that are far from each other: what was meant is never in doubt. */
const names = fc.uniqueArray(name, { minLength: 6, maxLength: 6 });

interface Policy {
  actions: { id: string; type: string; parameters: { status_code: unknown; type: string } }[];
  custom_rules: {
    id: string;
    on_match: string[];
    conditions: { operator: string; parameters: { inputs: { address: string }[]; data?: string } }[];
    transformers: string[];
  }[];
  rules_data: { id: string; type: string; data: { value: string; expiration?: number }[] }[];
  rules_override: { rules_target: { rule_id: string }[] | { tags: object }[]; on_match: string[] }[];
  exclusions: { id: string; rules_target: { rule_id: string }[]; on_match: string }[];
}

const policy: fc.Arbitrary<Policy> = fc
  .record({ names, address, ruleId, tags, ips: fc.array(ip, { minLength: 1, maxLength: 4 }), sentStatus })
  .map(({ names: [a, b, c, d, e], address: input, ruleId: id, tags: wanted, ips, sentStatus: status }) => ({
    actions: [{ id: `act-${a}`, type: 'block_request', parameters: { status_code: status, type: 'json' } }],
    custom_rules: [
      {
        ...{
          id: `rule-${b}`,
          name: 'x',
          tags: { type: 'custom' },
          on_match: [`act-${a}`],
          transformers: ['lowercase'],
        },
        conditions: [
          { operator: 'match_regex', parameters: { inputs: [{ address: input }], regex: 'x' } },
          {
            operator: 'ip_match',
            parameters: { inputs: [{ address: 'http.client_ip' }], data: `list-${c}` },
          },
        ],
      },
    ],
    rules_data: [
      {
        ...{ id: `list-${c}`, type: 'ip_with_expiration' },
        data: ips.map((value) => ({ value, expiration: 4_102_444_800 })),
      },
    ],
    rules_override: [
      { rules_target: [{ rule_id: id }], on_match: [`act-${a}`] },
      { rules_target: [{ tags: wanted }], on_match: ['block'] },
    ],
    exclusions: [
      { id: `excl-${d}-${e}`, rules_target: [{ rule_id: `rule-${b}` }, { rule_id: id }], on_match: 'bypass' },
    ],
  }));

/** The parts of a policy, each in a file of its own or several in one. */
function inFiles(content: Policy, seed: number): Record<string, object> {
  const files: Record<string, Record<string, unknown>> = {};
  for (const [index, [part, value]] of Object.entries(content).entries()) {
    const file = `${(seed >> index) % 3}.json`;
    files[file] = { ...files[file], [part]: value };
  }
  return files;
}

const wrong = 'zzz-of-none';
const mutations: Readonly<Record<string, (content: Policy) => void>> = {
  'unknown-action of a rule': ({ custom_rules: [rule] }) => rule?.on_match.splice(0, 1, wrong),
  'unknown-action of an override': ({ rules_override: [override] }) => override?.on_match.splice(0, 1, wrong),
  'unknown-action of an exclusion': ({ exclusions: [exclusion] }) =>
    Object.assign(exclusion ?? {}, { on_match: wrong }),
  'unknown-rule of an override': ({ rules_override: [override] }) =>
    override?.rules_target.splice(0, 1, { rule_id: wrong } as never),
  'unknown-rule by tags': ({ rules_override: [, override] }) =>
    override?.rules_target.splice(0, 1, { tags: { type: wrong } } as never),
  'unknown-rule of an exclusion': ({ exclusions: [exclusion] }) =>
    exclusion?.rules_target.splice(1, 1, { rule_id: wrong }),
  'unused-list or missing-list by the list': ({ rules_data: [list] }) =>
    Object.assign(list ?? {}, { id: `${list?.id}s` }),
  'missing-list by the condition': ({ custom_rules: [rule] }) => {
    const parameters = rule?.conditions[1]?.parameters;
    if (parameters?.data !== undefined) parameters.data = `${parameters.data}s`;
  },
  'unknown-address': ({ custom_rules: [rule] }) =>
    rule?.conditions[0]?.parameters.inputs.splice(0, 1, { address: wrong }),
  'unknown-operator': ({ custom_rules: [rule] }) =>
    Object.assign(rule?.conditions[0] ?? {}, { operator: wrong }),
  'unknown-transformer': ({ custom_rules: [rule] }) => rule?.transformers.push(wrong),
  'no-address': ({ rules_data: [list] }) => list?.data.push({ value: ` ${list.data[0]?.value}` }),
  expired: ({ rules_data: [list] }) => list?.data.push({ value: '192.0.2.1', expiration: 1 }),
  'bad-status': ({ actions: [action] }) => Object.assign(action?.parameters ?? {}, { status_code: '999' }),
  'bad-page-type': ({ actions: [action] }) => Object.assign(action?.parameters ?? {}, { type: 'html5' }),
  'unknown-action-type': ({ actions: [action] }) =>
    Object.assign(action ?? {}, { type: wrong, parameters: {} }),
  'unknown-key': (content) => Object.assign(content, { [wrong]: [] }),
  'unknown-action by the action': ({ actions: [action], rules_override: [override] }) => {
    override?.on_match.splice(0, 1);
    Object.assign(action ?? {}, { id: wrong });
  },
};

describe('any policy', () => {
  it('that is right is passed over in silence', () => {
    fc.assert(
      fc.property(policy, fc.nat(), (content, seed) => {
        expect(said(inFiles(content, seed))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it.each(Object.entries(mutations))('has one thing said of it: %s', (what, mutate) => {
    const kinds = what.split(' ').filter((word) => word.includes('-') || word === 'expired');
    fc.assert(
      fc.property(policy, fc.nat(), (content, seed) => {
        const changed = structuredClone(content);
        mutate(changed);
        const lines = said(inFiles(changed, seed));
        expect(lines).toHaveLength(1);
        expect(kinds).toContain(lines[0]?.split(' ')[0]);
      }),
      { numRuns: 10 },
    );
  });
});
