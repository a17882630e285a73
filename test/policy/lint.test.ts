import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lint, lintRules } from '../../src/policy/lint/lint.ts';
import { nearest, quoted } from '../../src/policy/lint/nearest.ts';
import { policyContents } from '../e2e/support/policy-cases.ts';
import { action, addressList, builtIn, customRule, nowMs, recommended, said, saidOf } from './policy-lint.ts';

const sqlRuleIndex = (recommended['rules'] as { id: string }[]).findIndex(({ id }) => id === 'crs-942-100');

const cases: readonly (readonly [what: string, content: object, line: string])[] = [
  [
    'an unknown part',
    { rule_overrides: [] },
    "unknown-key rule_overrides: unknown key 'rule_overrides': ignored; did you mean 'rules_override'?",
  ],
  [
    'an unknown key of a rule',
    customRule({ onMatch: ['block'] }),
    "unknown-key custom_rules[0].onMatch: unknown key 'onMatch' here: ignored; did you mean 'on_match'?",
  ],
  [
    'an unknown key of an override',
    { rules_override: [{ rules_target: [{ rule_id: 'crs-913-120' }], enabled: false, on_macth: [] }] },
    "unknown-key rules_override[0].on_macth: unknown key 'on_macth' here: ignored; did you mean 'on_match'?",
  ],
  [
    'an unknown key of the parameters of a condition',
    customRule({}, { option: { case_sensitive: true } }),
    "unknown-key custom_rules[0].conditions[0].parameters.option: unknown key 'option' here: ignored; did you mean 'options'?",
  ],
  [
    'an option that the operator does not have',
    customRule({}, { options: { casesensitive: true } }),
    "unknown-key custom_rules[0].conditions[0].parameters.options.casesensitive: unknown key 'casesensitive' here: ignored; did you mean 'case_sensitive'?",
  ],
  [
    'an unknown key of an action',
    action('block_request', { status: 418 }),
    "unknown-key actions[0].parameters.status: unknown key 'status' here: ignored; did you mean 'status_code'?",
  ],
  [
    'rules beside the switch',
    { asm: { enabled: true }, custom_rules: [] },
    'beside-switch custom_rules: ignored in a file with `asm`; move it to a file of its own',
  ],
  [
    'an unknown key of the switch',
    { asm: { enabled: true, enable: true } },
    "unknown-key asm.enable: unknown key 'enable' here: ignored; did you mean 'enabled'?",
  ],
  [
    'a version of which nothing is read',
    { version: '1.0', ...customRule() },
    "other-version version: only `events` is read from version '1.0'; did you mean '2.2'?",
  ],
  [
    'a rule for a later libddwaf',
    customRule({ min_version: '9.0.0' }),
    'other-version custom_rules[0].min_version: ignored, because this libddwaf is 1.30.1',
  ],
  [
    'an operator of a later version',
    {
      custom_rules: [
        {
          ...{ id: 'mine', name: 'mine', tags: { type: 'custom' } },
          conditions: [
            {
              operator: 'lfi_detector@v9',
              parameters: {
                resource: [{ address: 'server.request.query' }],
                params: [{ address: 'server.request.query' }],
              },
            },
          ],
        },
      ],
    },
    "operator-version custom_rules[0].conditions[0].operator: 'lfi_detector' has no version 9; the highest is 2",
  ],
  [
    'an action that nobody defines',
    customRule({ on_match: ['deny'] }),
    "unknown-action custom_rules[0].on_match[0]: unknown action 'deny'; did you mean 'block'?",
  ],
  [
    'an action of an override that nobody defines',
    { rules_override: [{ rules_target: [{ rule_id: 'crs-913-120' }], on_match: ['teapot'] }] },
    "unknown-action rules_override[0].on_match[0]: unknown action 'teapot'; it must be one of block, extract_schema, monitor, stack_trace",
  ],
  [
    'an unknown mode of an exclusion',
    { exclusions: [{ id: 'e', on_match: 'bypas', rules_target: [{ rule_id: 'crs-913-120' }] }] },
    "unknown-action exclusions[0].on_match: unknown action 'bypas'; did you mean 'bypass'?",
  ],
  [
    'an unknown type of action',
    action('block', {}),
    "unknown-action-type actions[0].type: unknown action type 'block'; did you mean 'block_request'?",
  ],
  [
    'an override of a rule that is not there',
    { rules_override: [{ rules_target: [{ rule_id: 'crs-942-10' }], enabled: false }] },
    "unknown-rule rules_override[0].rules_target[0].rule_id: unknown rule 'crs-942-10'; did you mean 'crs-942-100'?",
  ],
  [
    'an override by its own id of a rule that is not there',
    { rules_override: [{ id: 'crs-942-10', enabled: false }] },
    "unknown-rule rules_override[0].id: unknown rule 'crs-942-10'; did you mean 'crs-942-100'?",
  ],
  [
    'an override by a value of a tag that no rule has',
    { rules_override: [{ rules_target: [{ tags: { type: 'sql_injektion' } }], enabled: false }] },
    'unknown-rule rules_override[0].rules_target[0].tags: no rule has {"type":"sql_injektion"}; did you mean \'sql_injection\'?',
  ],
  [
    'an override by tags that no rule has together',
    { rules_override: [{ rules_target: [{ tags: { type: 'sql_injection', cwe: '79' } }], enabled: false }] },
    'unknown-rule rules_override[0].rules_target[0].tags: no rule has {"type":"sql_injection","cwe":"79"}; some rules have one of these tags, none has all of them',
  ],
  [
    'an override of a custom rule',
    { ...customRule(), rules_override: [{ rules_target: [{ rule_id: 'mine' }], enabled: false }] },
    "unknown-rule rules_override[0].rules_target[0].rule_id: 'mine' is a custom rule, which overrides cannot change; change the rule itself",
  ],
  [
    'an exclusion of a rule that is not there',
    { exclusions: [{ id: 'e', rules_target: [{ rule_id: 'mime' }] }], ...customRule() },
    "unknown-rule exclusions[0].rules_target[0].rule_id: unknown rule 'mime'; did you mean 'mine'?",
  ],
  [
    'an exclusion whose target says nothing',
    { exclusions: [{ id: 'e', rules_target: [{}] }] },
    'unknown-rule exclusions[0].rules_target[0]: selects no rule: it has neither `rule_id` nor `tags`',
  ],
  [
    'a list that no rule looks at',
    { rules_data: [{ id: 'blocked_ip', type: 'ip_with_expiration', data: [{ value: '192.0.2.1' }] }] },
    "unused-list rules_data[0].id: no rule uses the list 'blocked_ip'; did you mean 'blocked_ips'?",
  ],
  [
    'a list that no file gives',
    customRule({}, { inputs: [{ address: 'http.client_ip' }], data: 'partners' }, 'ip_match'),
    "missing-list custom_rules[0].conditions[0].parameters.data: no list 'partners' in any `rules_data`",
  ],
  [
    'a list of another name than the rule has',
    {
      ...customRule({}, { inputs: [{ address: 'http.client_ip' }], data: 'partner_ips' }, 'ip_match'),
      rules_data: [{ id: 'partners_ips', type: 'ip_with_expiration', data: [{ value: '192.0.2.1' }] }],
    },
    "missing-list custom_rules[0].conditions[0].parameters.data: no list 'partner_ips' in any `rules_data`; did you mean 'partners_ips'?",
  ],
  [
    'a list in the wrong part',
    {
      ...customRule({}, { inputs: [{ address: 'http.client_ip' }], data: 'partners' }, 'ip_match'),
      exclusion_data: [{ id: 'partners', type: 'ip_with_expiration', data: [{ value: '192.0.2.1' }] }],
    },
    "missing-list custom_rules[0].conditions[0].parameters.data: list 'partners' is in `exclusion_data`; move it to `rules_data`",
  ],
  [
    'a processor that is not there',
    { processor_overrides: [{ target: [{ id: 'extract-contents' }], scanners: { exclude: [] } }] },
    "unknown-processor processor_overrides[0].target[0].id: unknown processor 'extract-contents'; did you mean 'extract-content'?",
  ],
  [
    'an address that nothing gives',
    customRule({}, { inputs: [{ address: 'server.request.header' }] }),
    "unknown-address custom_rules[0].conditions[0].parameters.inputs[0].address: unknown address 'server.request.header'; did you mean 'server.request.headers.no_cookies'?",
  ],
  [
    'an address of an exclusion that nothing gives',
    { exclusions: [{ id: 'e', inputs: [{ address: 'server.request.querry', key_path: ['q'] }] }] },
    "unknown-address exclusions[0].inputs[0].address: unknown address 'server.request.querry'; did you mean 'server.request.query'?",
  ],
  [
    'a condition on what only applications know',
    customRule({}, { inputs: [{ address: 'usr.id' }] }),
    "application-address custom_rules[0].conditions[0].parameters.inputs[0].address: only an application can provide 'usr.id', a proxy cannot: this condition never matches",
  ],
  [
    'a field in capitals',
    customRule({}, { inputs: [{ address: 'server.request.headers.no_cookies', key_path: ['User-Agent'] }] }),
    "field-name custom_rules[0].conditions[0].parameters.inputs[0].key_path[0]: header names are lower case, so 'User-Agent' never matches; did you mean 'user-agent'?",
  ],
  [
    'cookies among the fields',
    customRule({}, { inputs: [{ address: 'server.request.headers.no_cookies', key_path: ['cookie'] }] }),
    "field-name custom_rules[0].conditions[0].parameters.inputs[0].key_path[0]: this address excludes cookies; use 'server.request.cookies'",
  ],
  [
    'an unknown operator',
    customRule({}, { list: ['x'] }, 'contains'),
    "unknown-operator custom_rules[0].conditions[0].operator: unknown operator 'contains'; did you mean 'phrase_match'?",
  ],
  [
    'an operator that cannot be negated',
    customRule({}, {}, '!is_sqli'),
    "unknown-operator custom_rules[0].conditions[0].operator: 'is_sqli' cannot be negated",
  ],
  [
    'an unknown transformer',
    customRule({ transformers: ['lower_case'] }),
    "unknown-transformer custom_rules[0].transformers[0]: unknown transformer 'lower_case'; did you mean 'lowercase'?",
  ],
  [
    'an empty list',
    customRule({}, { list: [] }, 'exact_match'),
    'never-matches custom_rules[0].conditions[0].parameters.list: an empty list matches nothing',
  ],
  [
    'capitals in lower case',
    customRule({ transformers: ['lowercase'] }, { list: ['Coupon'] }, 'phrase_match'),
    "never-matches custom_rules[0].conditions[0].parameters.list[0]: 'Coupon' never matches: 'lowercase' converts the input to lower case; did you mean 'coupon'?",
  ],
  [
    'a number where there is text',
    customRule(
      {},
      { inputs: [{ address: 'server.response.status' }], type: 'unsigned', value: 403 },
      'equals',
    ),
    "never-matches custom_rules[0].conditions[0].operator: 'server.response.status' is text, not unsigned; did you mean type 'string' with value '403'?",
  ],
  [
    'an address that is none',
    addressList('198.51.100.300'),
    "no-address rules_data[0].data[0].value: '198.51.100.300' is not an address: it must be an IPv4 or IPv6 address or network",
  ],
  [
    'an address that is none in a condition',
    customRule({}, { inputs: [{ address: 'http.client_ip' }], list: ['10.0.0.1-10.0.0.9'] }, 'ip_match'),
    "no-address custom_rules[0].conditions[0].parameters.list[0]: '10.0.0.1-10.0.0.9' is not an address: ranges are not supported, only addresses and networks such as 10.0.0.0/24",
  ],
  [
    'an entry whose time is over',
    addressList('192.0.2.1', 1_700_000_000),
    "expired rules_data[0].data[0].expiration: '192.0.2.1' expired at 2023-11-14T22:13:20.000Z and has no effect",
  ],
  [
    'a time in milliseconds',
    addressList('192.0.2.1', 1_900_000_000_000),
    'expired rules_data[0].data[0].expiration: 1900000000000 is read as seconds, so the entry never expires; did you mean 1900000000?',
  ],
  ...['999', 99, 199, 600, 403.5, '', true, null].map(
    (status) =>
      [
        `the status ${JSON.stringify(status)}`,
        action('block_request', { status_code: status }),
        `bad-status actions[0].parameters.status_code: ${quoted(status)} is not a status from 200 to 599: 403 is sent`,
      ] as const,
  ),
  [
    'a redirect with a status of none',
    action('redirect_request', { status_code: 308, location: '/why' }),
    'bad-status actions[0].parameters.status_code: 308 is not 301, 302, 303 or 307: 303 is sent',
  ],
  [
    'a status of gRPC that is none',
    action('block_request', { grpc_status_code: 'DENIED' }),
    "bad-grpc-status actions[0].parameters.grpc_status_code: 'DENIED' is not a gRPC status from 0 to 16",
  ],
  [
    'a type of page that is none',
    action('block_request', { type: 'html5' }),
    "bad-page-type actions[0].parameters.type: unknown page type 'html5': 'auto' is used; did you mean 'html'?",
  ],
  [
    'a redirect to nowhere',
    action('redirect_request', { status_code: 303 }),
    'bad-location actions[0].parameters: `location`: is missing; 403 is sent',
  ],
  [
    'a control character in a location',
    action('redirect_request', { location: '/why\r\nSet-Cookie: a=b' }),
    "bad-location actions[0].parameters.location: location '/why\\u{d}\\u{a}Set-Cookie: a=b': has a control character; 403 is sent",
  ],
  [
    'two rules of one id',
    { ...customRule(), rules_compat: customRuleList() },
    "duplicate-id custom_rules[0].id: 'mine' is already the id of rules_compat[0], which stays in effect; choose another id",
  ],
  [
    'the id of a rule of the ruleset',
    customRule({ id: 'crs-942-100' }),
    `duplicate-id custom_rules[0].id: 'crs-942-100' is already the id of rules[${sqlRuleIndex}] of the ruleset, which stays in effect; choose another id`,
  ],
  [
    'a generator that is none',
    { processors: [{ id: 'p', generator: 'jwt_decoder', parameters: { mappings: [] } }] },
    "unknown-generator processors[0].generator: unknown generator 'jwt_decoder'; did you mean 'jwt_decode'?",
  ],
];

function customRuleList(): unknown {
  const { custom_rules: rules } = customRule() as { custom_rules: unknown };
  return rules;
}

describe('a policy that refers to nothing', () => {
  it.each(cases)('says so once of %s', (_what, content, line) => {
    expect(saidOf(content)).toEqual([line]);
  });

  it('has a case for each rule', () => {
    const ruled = new Set(cases.map(([, , line]) => line.split(' ')[0]));
    expect([...ruled].sort()).toEqual(lintRules.map(({ id }) => id).sort());
  });

  it('finds what other files define', () => {
    const files = {
      'a.json': customRule({ on_match: ['teapot'] }),
      'b.json': action('block_request', {}),
    };
    expect(said(files)).toHaveLength(1);
    expect(
      said({ ...files, 'c.json': { actions: [{ id: 'teapot', type: 'monitor', parameters: {} }] } }),
    ).toEqual([]);
  });

  it('names the file that has an id already', () => {
    expect(said({ 'b.json': customRule(), 'a.json': customRule() })).toEqual([
      "duplicate-id b.json: custom_rules[0].id: 'mine' is already the id of custom_rules[0] of a.json, which stays in effect; choose another id",
    ]);
  });

  it('knows the ruleset that is in effect, and no other', () => {
    const override = { rules_override: [{ rules_target: [{ rule_id: 'own' }], enabled: false }] };
    const own = { path: 'own', content: { rules: [{ id: 'own', tags: { type: 'x' } }] } };
    expect(said({ a: override }, { others: [own] })).toEqual([]);
    expect(said({ a: override })).toHaveLength(1);
  });
});

describe('a policy that is right', () => {
  it('is passed over in silence when it is Datadog’s ruleset', () => {
    expect(said({ 'rules.json': recommended }, { others: [] })).toEqual([]);
  });

  it('is passed over in silence, with what is right to say of the entry that is over', () => {
    const lines = policyContents.flatMap((contents) => said(Object.fromEntries(contents.entries())));
    expect(lines).toEqual([expect.stringMatching(/^expired 0: rules_data\[0\]\.data\[0\]\.expiration: /)]);
  });

  it.each([
    ['an empty file', {}],
    ['notes', { $schema: 'x', _why: 'x', '//': 'x', comment: 'x', description: 'x' }],
    [
      'actions that are built in',
      customRule({ on_match: ['block', 'monitor', 'stack_trace', 'extract_schema'] }),
    ],
    [
      'digits as a status',
      action('block_request', { status_code: '429', type: 'json', grpc_status_code: '8' }),
    ],
    [
      'a list that Remote Config brings',
      customRule({}, { inputs: [{ address: 'http.client_ip' }], data: 'blocked_ips' }, 'ip_match'),
    ],
    [
      'a user list',
      { rules_data: [{ id: 'blocked_users', type: 'data_with_expiration', data: [{ value: 'mallory' }] }] },
    ],
    [
      'an input of applications beside one of ours',
      customRule({}, { inputs: [{ address: 'usr.id' }, { address: 'server.request.query' }] }),
    ],
    [
      'a phrase with capitals of which only some inputs are in lower case',
      customRule(
        {},
        {
          inputs: [
            { address: 'server.request.query', transformers: ['lowercase'] },
            { address: 'server.request.body' },
          ],
          list: ['Coupon'],
        },
        'phrase_match',
      ),
    ],
    [
      'a number in a body',
      customRule({}, { inputs: [{ address: 'server.request.body' }], type: 'unsigned', value: 1 }, 'equals'),
    ],
    ['a negated operator', customRule({}, { list: ['a'] }, '!exact_match')],
    [
      'an exclusion of all rules',
      { exclusions: [{ id: 'e', inputs: [{ address: 'server.request.query', key_path: ['*'] }] }] },
    ],
    [
      'a value that a processor makes',
      customRule({}, { inputs: [{ address: 'server.request.jwt', key_path: ['header', 'alg'] }] }),
    ],
  ])('is passed over in silence with %s', (_what, content) => {
    expect(saidOf(content)).toEqual([]);
  });
});

describe('configurations from Remote Config', () => {
  it('may have what applications need, and entries that are over', () => {
    const content = {
      ...customRule({ new_key: 1 }, { inputs: [{ address: 'usr.id' }] }),
      ...addressList('192.0.2.1', 1),
    };
    expect(said({ a: content }, { remote: true })).toEqual([]);
  });

  it('are told what refers to nothing', () => {
    expect(said({ a: customRule({ on_match: ['deny'] }) }, { remote: true })).toHaveLength(1);
  });
});

describe('any JSON', () => {
  it('is looked at without a failure', () => {
    const parts = fc.constantFrom(
      ...Object.keys(recommended),
      'rules_override',
      'exclusions',
      'custom_rules',
      'actions',
      'asm',
      'rules_data',
      'exclusion_data',
      'processor_overrides',
      'id',
      'tags',
      'conditions',
      'parameters',
      'inputs',
      'address',
      'data',
      'list',
      'operator',
      'value',
      'rules_target',
      'on_match',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 7 },
        fc.jsonValue(),
        fc.constantFrom('match_regex', 'constructor', '__proto__'),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(parts, tie('tree')),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(parts, tree), (content) => {
        lint([{ path: 'folder/a', content }], [builtIn], { libraryVersion: '1.30.1', nowMs });
      }),
      { numRuns: 300 },
    );
  });
});

describe('what was meant', () => {
  it.each([
    ['rule_overrides', ['rules', 'rules_override', 'rules_data'], 'rules_override'],
    ['Block', ['monitor', 'block'], 'block'],
    ['crs-942-10', ['crs-942-100', 'crs-913-110'], 'crs-942-100'],
    [
      'server.request.headers',
      ['server.request.query', 'server.request.headers.no_cookies'],
      'server.request.headers.no_cookies',
    ],
    ['teapot', ['block', 'monitor'], undefined],
    ['constructor', ['block'], undefined],
  ])('by %s is among %j %s', (value, candidates, meant) => {
    expect(nearest(value, candidates)).toBe(meant);
  });
});

describe('the fixtures of the tests', () => {
  it('have nothing that refers to nothing but where it is their purpose', () => {
    const file = new URL('../fixtures/rules/e2e.json', import.meta.url);
    expect(said({ a: JSON.parse(readFileSync(file, 'utf8')) as object }, { others: [] })).toEqual([]);
  });
});
