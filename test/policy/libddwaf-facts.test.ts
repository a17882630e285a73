// What the rules take for true of libddwaf, asked of libddwaf.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { recommendedRulesPath } from '../../src/datadog/dd-trace-package.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import type { WafResult } from '../../src/engine/waf/waf-result.ts';
import { addressMeant, addressProblem } from '../../src/policy/lint/addresses.ts';
import {
  applicationAddresses,
  builtInActions,
  exclusionModes,
  generators,
  givenAddresses,
  negatableOperators,
  operators,
  redirectStatuses,
  transformers,
} from '../../src/policy/lint/known-names.ts';
import { locationProblem } from '../../src/policy/lint/location.ts';
import { conditionsOf, inputsOf, mappingsOf, otherInputsOf } from '../../src/policy/lint/parts.ts';
import { addressList, customRule, recommended } from './policy-lint.ts';

const wafs: Waf[] = [];
afterAll(() => {
  for (const waf of wafs) waf.dispose();
});

function load(content: object): Waf {
  const waf = Waf.load(content, 'test');
  wafs.push(waf);
  return waf;
}

function run(content: object, addresses: Record<string, string>): WafResult {
  const waf = Waf.load(content, 'test');
  const result = waf.createContext(1_000_000).run(addresses);
  waf.dispose();
  if (result === undefined) throw new Error('nothing was looked at');
  return result;
}

const ipRule = customRule(
  { on_match: ['block'] },
  { inputs: [{ address: 'http.client_ip' }], data: 'blocked_ips' },
  'ip_match',
);

/** Whether a list with this entry is in effect: it matches itself, without its prefix length. */
function counts(entry: string): boolean {
  const address = entry.split('/')[0] ?? '';
  return run({ ...ipRule, ...addressList(entry) }, { 'http.client_ip': address }).events.length > 0;
}

describe('an entry of a list of addresses', () => {
  it.each([
    ...['198.51.100.7', '198.51.100.0/24', '198.51.100.7/0', '198.51.100.0/24 ', '198.51.100.0/ 24'],
    ...[
      '198.51.100.0/+8',
      '198.51.100.0/024',
      '198.51.100.0/8x',
      '::1',
      '::/0',
      '2001:DB8::/32',
      '::ffff:192.0.2.1',
    ],
    ...[
      '198.51.100.300',
      '198.51.100',
      '198.51.100.7 ',
      ' 198.51.100.7',
      '198.51.100.7/33',
      '198.51.100.7/-1',
    ],
    ...[
      '198.51.100.7/',
      '198.51.100.7/0024',
      '/33',
      '/',
      '',
      ' ',
      'localhost',
      '01.2.3.4',
      '10.0.0.1-10.0.0.9',
    ],
    ...[
      '1.2.3.*',
      '[::1]',
      'fe80::1%eth0',
      '::1/129',
      '::1/128 ',
      '1.2.3.4:80',
      '1.2.3.4/32/1',
      '1.2.3.4/x',
      '0x7f.1',
    ],
    ...['1.2.3.4,1.2.3.5', '::1::', '12345::', ':', '1.2.3.4.5'],
  ])('%j is an address to us when it is one to libddwaf', (entry) => {
    expect(addressProblem(entry) === undefined).toBe(counts(entry));
  });

  it('of any text is an address to us when it is one to libddwaf', () => {
    const text = fc.oneof(
      fc.stringMatching(/^[0-9a-f:./ %-]{0,12}$/),
      fc
        .tuple(
          fc.oneof(fc.ipV4(), fc.ipV6()),
          fc.constantFrom('', ' ', '/8', '/33', '/129', '/ 8', '/', '.', ':'),
        )
        .map((p) => p.join('')),
    );
    fc.assert(
      fc.property(text, (entry) => {
        expect(addressProblem(entry) === undefined).toBe(counts(entry));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['198.51.100.7 ', '198.51.100.7'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::]/32', '2001:db8::/32'],
    ['10.1.*', '10.1.0.0/16'],
    ['10.1.2.*', '10.1.2.0/24'],
    ['010.001.002.003', '10.1.2.3'],
    ['10.0.0.1-10.0.0.9', undefined],
    ['198.51.100.300', undefined],
  ])('%s was meant to be %s', (entry, meant) => {
    expect(addressMeant(entry)).toBe(meant);
  });
});

function redirected(parameters: object): { kinds: string[]; status: unknown } {
  const content = {
    ...customRule({ on_match: ['own'] }),
    actions: [{ id: 'own', type: 'redirect_request', parameters }],
  };
  const { actions } = run(content, { 'server.request.query': 'x' });
  return { kinds: Object.keys(actions), status: actions['redirect_request']?.['status_code'] };
}

describe('a redirect', () => {
  const isSent = (location: string): boolean => redirected({ location }).kinds.includes('redirect_request');

  it.each([
    ...[
      '/',
      '/why?id=[security_response_id]',
      '/[security_response_id]',
      'https://example.com',
      '//example.com/x',
      '//',
    ],
    ...[
      'http:/x',
      'http:x',
      'https://a@b:80/c?d#e',
      'https://a:b@c',
      'https://[::1]:8080/x',
      'https://[::g]/',
      'https://[]/',
    ],
    ...[
      'https://a:99999/',
      'https://a:/',
      'HTTPS://example.com',
      'ftp://example.com',
      'example.com/x',
      '?x',
      '#x',
      '/a b',
    ],
    ...[
      '/ü',
      '/a\nb',
      '/a\u007f',
      '/a\\b',
      '/a|b',
      '/a#b#c',
      '/a?b[c]',
      '/a?b#c[d]',
      '',
      'https:',
      'https://',
      'https:///x',
    ],
  ])('to %j is sent by us when libddwaf sends it', (location) => {
    expect(locationProblem(location) === undefined).toBe(isSent(location));
  });

  it('to any text is sent by us when libddwaf sends it', () => {
    // libddwaf passes over a host whose first character is none, and takes `https:// ?` for a URL. We do not.
    const oddHost = /^(?:https?:)?\/\/(?:[^/?#@]*@)?[^\w\-.~!$&'()*+,;=%[:/?#]/;
    const text = fc
      .tuple(
        fc.constantFrom('', '/', '//', 'http:', 'https://', 'https://a', 'https://[::1]'),
        fc.stringMatching(/^[a-z0-9:/?#@%.[\]" -]{0,8}$/),
      )
      .map((parts) => parts.join(''))
      .filter((location) => !oddHost.test(location));
    fc.assert(
      fc.property(text, (location) => {
        expect(locationProblem(location) === undefined).toBe(isSent(location));
      }),
      { numRuns: 300 },
    );
  });

  it('has a status of those that libddwaf takes', () => {
    const taken = Array.from({ length: 100 }, (_, index) => 300 + index).filter(
      (status) => redirected({ location: '/', status_code: status }).status === status,
    );
    expect(taken).toEqual(redirectStatuses);
  });
});

/** Whether libddwaf takes the rule. */
function takes(content: object): boolean {
  const build = load(recommended).newBuild();
  const { error, issues } = build.setConfig('test', content);
  build.discard();
  return error === undefined && issues.length === 0;
}

const parametersFor: Readonly<Record<string, unknown>> = {
  ...{ regex: 'x', list: ['x'], checksum: 'luhn', type: 'string', value: 'x' },
  ...Object.fromEntries(
    ['resource', 'params', 'db_type'].map((key) => [key, [{ address: 'server.db.system' }]]),
  ),
};

function ruleWith(operator: string): object {
  const plain = operator.replace(/^!/, '');
  const known = Object.entries(parametersFor).filter(([key]) => operators[plain]?.includes(key));
  const numeric = /_than$/.test(plain) ? { type: 'unsigned', value: 1 } : {};
  return customRule({}, { ...Object.fromEntries(known), ...numeric }, operator);
}

describe('the names that are known', () => {
  it.each(Object.keys(operators))('operator %s is taken, and negated as we say', (operator) => {
    expect(takes(ruleWith(operator))).toBe(true);
    expect(takes(ruleWith(`!${operator}`))).toBe(negatableOperators.has(operator));
  });

  it('transformers are taken, and no other', () => {
    for (const transformer of transformers)
      expect(takes(customRule({ transformers: [transformer] })), transformer).toBe(true);
    expect(takes(customRule({ transformers: ['trim'] }))).toBe(false);
  });

  it.each(Object.entries(generators))('generator %s is taken with its inputs %j', (generator, inputs) => {
    const mapping = Object.fromEntries(inputs.map((key) => [key, [{ address: 'server.request.query' }]]));
    const parameters = { mappings: [{ ...mapping, output: 'own' }] };
    expect(takes({ processors: [{ id: 'own', generator, parameters, evaluate: true, output: true }] })).toBe(
      true,
    );
  });

  it.each(builtInActions)('action %s needs no definition', (action) => {
    const { actions } = run(customRule({ on_match: [action] }), { 'server.request.query': 'x' });
    // Of `monitor`, libddwaf says nothing, as of one that is not there; rules with it are still reported.
    if (action !== 'monitor') expect(Object.keys(actions)).toHaveLength(1);
  });

  it('exclusions know both modes', () => {
    const matches = exclusionModes.map((mode) => {
      const content = {
        ...customRule(),
        exclusions: [{ id: 'e', on_match: mode, rules_target: [{ rule_id: 'mine' }] }],
      };
      return run(content, { 'server.request.query': 'x' }).events.map(({ rule }) => rule.on_match);
    });
    expect(matches).toEqual([[], [['monitor']]]);
  });

  it('addresses are those of Datadog’s ruleset', () => {
    const outputs = mappingsOf(recommended).map(({ value }) => value['output']);
    const known = new Set<unknown>([...givenAddresses, ...applicationAddresses, ...outputs]);
    const named = [...conditionsOf(recommended).flatMap(inputsOf), ...otherInputsOf(recommended)];
    expect(named.length, recommendedRulesPath()).toBeGreaterThan(100);
    const addresses = new Set(named.flatMap(({ value }) => value['address'] ?? []));
    expect([...addresses].filter((address) => !known.has(address))).toEqual([]);
  });
});
