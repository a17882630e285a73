import { describe, expect, it } from 'vitest';
import { type Ruleset, Waf } from '../../../src/engine/waf/waf.ts';
import {
  type ProtectLevel,
  protectRuleset,
  type WafConfig,
  WafConfigs,
  type WafProduct,
} from '../../../src/engine/waf/waf-configs.ts';
import type { WafContext } from '../../../src/engine/waf/waf-context.ts';

interface RuleOptions {
  readonly address?: string;
  readonly confidence?: string;
  readonly onMatch?: readonly string[];
}

function rule(id: string, word: string, options: RuleOptions = {}): object {
  const { address = 'server.request.query', confidence, onMatch } = options;
  return {
    id,
    name: id,
    tags: { type: 'test', category: 'attack_attempt', ...(confidence === undefined ? {} : { confidence }) },
    conditions: [{ operator: 'phrase_match', parameters: { inputs: [{ address }], list: [word] } }],
    ...(onMatch === undefined ? {} : { on_match: onMatch }),
  };
}

function listRule(id: string, address: string, operator: string, data: string): object {
  const parameters = { inputs: [{ address }], data };
  return {
    id,
    name: id,
    tags: { type: 'list', category: 'security_response' },
    conditions: [{ operator, parameters }],
    on_match: ['block'],
  };
}

function ruleset(version: string, ...rules: readonly object[]): Ruleset {
  return { version: '2.2', metadata: { rules_version: version }, rules };
}

const builtIn = ruleset(
  'built-in',
  rule('report', 'attack-report'),
  rule('sure', 'attack-sure', { confidence: '1' }),
  rule('own', 'attack-own', { confidence: '1', onMatch: ['teapot'] }),
  listRule('blocked-ip', 'http.client_ip', 'ip_match', 'blocked_ips'),
  listRule('blocked-user', 'usr.id', 'exact_match', 'blocked_users'),
);

function start(protect: ProtectLevel = 'off'): { waf: Waf; configs: WafConfigs } {
  const protectedRules = protectRuleset(builtIn, protect);
  const waf = Waf.load(protectedRules, 'built-in.json');
  return { waf, configs: new WafConfigs(waf, protectedRules, protect) };
}

function config(product: WafProduct, content: Ruleset, name = 'test'): WafConfig {
  return { path: `datadog/2/${product}/${name}/config`, product, content };
}

const add = (...added: readonly WafConfig[]) => ({ removed: [], added });
const remove = (...removed: readonly WafConfig[]) => ({
  removed: removed.map(({ path }) => path),
  added: [],
});

function newContext(waf: Waf): WafContext {
  return waf.createContext(1_000_000);
}

/** What a new transaction with these addresses matches, and the ids or kinds of what it is to be done. */
function seen(
  waf: Waf,
  addresses: object,
  context = newContext(waf),
): { rules: string[]; actions: string[] } {
  const result = context.run({ ...addresses });
  const rules = result?.events.map((event) => event.rule.id) ?? [];
  return { rules, actions: Object.keys(result?.actions ?? {}) };
}
/** Rules of one type hide each other in one run: each word is a transaction of its own. */
function eachRule(waf: Waf, addresses: ReturnType<typeof query>): string[] {
  const words = addresses['server.request.query'].q.flatMap((text) => text.split(' '));
  return words.flatMap((word) => seen(waf, query(word)).rules);
}
const query = (value: string) => ({ 'server.request.query': { q: [value] } });
const none = { rules: [], actions: [] };

describe('a ruleset of another source', () => {
  const first = config('ASM_DD', ruleset('first', rule('first', 'attack-first')), 'a');
  const second = config('ASM_DD', ruleset('second', rule('second', 'attack-second')), 'b');

  it('takes the place of the built-in one, which returns with the last of them gone', () => {
    const { waf, configs } = start();
    configs.apply(add(first, second));
    expect(seen(waf, query('attack-report'))).toEqual(none);
    expect(seen(waf, query('attack-first')).rules).toEqual(['first']);
    expect(seen(waf, query('attack-second')).rules).toEqual(['second']);

    configs.apply(remove(first));
    expect(seen(waf, query('attack-report attack-first'))).toEqual(none);
    expect(seen(waf, query('attack-second')).rules).toEqual(['second']);

    configs.apply(remove(second));
    expect(seen(waf, query('attack-second'))).toEqual(none);
    expect(seen(waf, query('attack-report')).rules).toEqual(['report']);
  });

  it('names its version while it is there', () => {
    const { waf, configs } = start();
    configs.apply(add(first));
    expect(waf.rulesetVersion).toBe('first');
    configs.apply(remove(first));
    expect(waf.rulesetVersion).toBe('built-in');
  });

  it('gives the version back to the one that is left', () => {
    const { waf, configs } = start();
    configs.apply(add(first, second));
    expect(waf.rulesetVersion).toBe('second');
    configs.apply(remove(second));
    expect(waf.rulesetVersion).toBe('first');
    configs.apply(remove(first));
    expect(waf.rulesetVersion).toBe('built-in');
  });

  it('may have the ids of the built-in rules', () => {
    const { waf, configs } = start();
    const same = config('ASM_DD', ruleset('same', rule('report', 'attack-other')));
    expect(configs.apply(add(same))).toEqual([{ path: same.path, error: undefined, issues: [] }]);
    expect(seen(waf, query('attack-other')).rules).toEqual(['report']);
  });

  it.each<[string, Ruleset]>([
    ['no valid rule', ruleset('bad', { id: 'mine' })],
    ['rules that are no list', { version: '2.2', rules: 'all' }],
    ['nothing', {}],
    ['an empty list', { version: '2.2', rules: [] }],
    ['a version nobody knows', { version: '9.9', rules: [] }],
  ])('with %s is refused and leaves the built-in one', (_what, content) => {
    const { waf, configs } = start();
    const [outcome] = configs.apply(add(config('ASM_DD', content)));
    expect(outcome?.error).toMatch(/./);
    expect(seen(waf, query('attack-report')).rules).toEqual(['report']);
    expect(waf.rulesetVersion).toBe('built-in');
  });

  it('is refused with what libddwaf said, as Datadog reads it', () => {
    const { configs } = start();
    const [outcome] = configs.apply(add(config('ASM_DD', ruleset('bad', { id: 'mine' }))));
    expect(JSON.parse(outcome?.error ?? '')).toMatchObject({
      rules: { errors: { "missing key 'conditions'": ['mine'] } },
    });
  });

  it('that is partly invalid is in effect, and its bad items are named', () => {
    const { waf, configs } = start();
    const [outcome] = configs.apply(
      add(config('ASM_DD', ruleset('part', { id: 'mine' }, rule('good', 'attack-good')))),
    );
    expect(outcome?.error).toBeUndefined();
    expect(outcome?.issues).toEqual([{ part: 'rules', reason: "missing key 'conditions'", ids: ['mine'] }]);
    expect(seen(waf, query('attack-good')).rules).toEqual(['good']);
  });
});

describe('two configurations about the same thing', () => {
  const turn = (name: string, change: object): WafConfig =>
    config('ASM', { rules_override: [{ rules_target: [{ rule_id: 'report' }], ...change }] }, name);
  const status = (waf: Waf): unknown =>
    newContext(waf).run(query('attack-report'))?.actions['block_request']?.['status_code'];
  const teapot = (name: string, code: number): WafConfig =>
    config(
      'ASM',
      { actions: [{ id: 'teapot', type: 'block_request', parameters: { status_code: code } }] },
      name,
    );

  it.each([
    ['in the order of their paths', ['a', 'b', 'c']],
    ['in the opposite order', ['c', 'b', 'a']],
  ])('that come %s: the first path decides, for each thing it says', (_what, order) => {
    const { waf, configs } = start();
    const all: Readonly<Record<string, WafConfig>> = {
      a: turn('a', { enabled: true }),
      b: turn('b', { enabled: false, on_match: ['block'] }),
      c: turn('c', { on_match: [] }),
    };
    for (const name of order) configs.apply(add(...[all[name] ?? []].flat()));
    expect(seen(waf, query('attack-report'))).toEqual({ rules: ['report'], actions: ['block_request'] });
  });

  it('by tags and by id: the id decides, whatever the paths', () => {
    const { waf, configs } = start();
    const tags = { rules_target: [{ tags: { type: 'test' } }], enabled: false };
    configs.apply(add(config('ASM', { rules_override: [tags] }, 'a'), turn('b', { enabled: true })));
    expect(eachRule(waf, query('attack-report attack-sure'))).toEqual(['report']);
  });

  it('of one id: the second waits, and its outcome is told when the first goes or comes', () => {
    const { waf, configs } = start();
    const [first, second] = [teapot('a', 418), teapot('b', 429)];
    configs.apply(add(second, turn('c', { on_match: ['teapot'] })));
    expect(status(waf)).toBe(429);
    expect(configs.apply(add(first))).toEqual([
      { path: first.path, error: undefined, issues: [] },
      expect.objectContaining({ path: second.path, error: expect.stringContaining('duplicate action') }),
    ]);
    expect(status(waf)).toBe(418);
    expect(configs.apply(remove(first))).toEqual([
      { path: first.path, error: undefined, issues: [] },
      { path: second.path, error: undefined, issues: [] },
    ]);
    expect(status(waf)).toBe(429);
  });

  it('may turn all rules off', () => {
    const { waf, configs } = start();
    const only = config('ASM_DD', ruleset('one', rule('report', 'attack-report')));
    configs.apply(add(only, turn('a', { enabled: false })));
    expect(seen(waf, query('attack-report'))).toEqual(none);
  });

  it('are in the snapshot with the last good content of each', () => {
    const { configs } = start();
    const [a, b] = [turn('a', { enabled: true }), teapot('b', 418)];
    configs.apply(add(b, a));
    configs.apply(add(config('ASM', { custom_rules: [{ id: 'bad' }] }, 'a')));
    expect(configs.snapshot()).toEqual([a, b]);
  });
});

describe('a change', () => {
  it('that is bad leaves the last good content of its path', () => {
    const { waf, configs } = start();
    const custom = (word: string) => config('ASM', { custom_rules: [rule('custom', word)] });
    configs.apply(add(custom('attack-old')));
    const [outcome] = configs.apply(add(config('ASM', { custom_rules: [{ id: 'custom' }] })));
    expect(outcome?.error).toContain('custom');
    expect(seen(waf, query('attack-old')).rules).toEqual(['custom']);

    configs.apply(add(custom('attack-new')));
    expect(seen(waf, query('attack-old'))).toEqual(none);
    expect(seen(waf, query('attack-new')).rules).toEqual(['custom']);
  });

  it('that is a bad ruleset leaves the last good one', () => {
    const { waf, configs } = start();
    configs.apply(add(config('ASM_DD', ruleset('good', rule('good', 'attack-good')))));
    configs.apply(add(config('ASM_DD', ruleset('bad', { id: 'bad' }))));
    expect(seen(waf, query('attack-good')).rules).toEqual(['good']);
    expect(seen(waf, query('attack-report'))).toEqual(none);
    expect(waf.rulesetVersion).toBe('good');
  });

  it.each<[WafProduct, Ruleset, string[]]>([
    ['ASM_DD', ruleset('new', rule('new', 'attack-new')), ['new']],
    ['ASM_DD', ruleset('bad', { id: 'bad' }), ['report', 'custom']],
  ])('of a path from ASM to %s %#', (product, content, rules) => {
    const { waf, configs } = start();
    const [path, all] = ['one/path', query('attack-report attack-custom attack-new')];
    const custom = {
      path,
      product: 'ASM' as const,
      content: { custom_rules: [rule('custom', 'attack-custom')] },
    };
    configs.apply(add(custom));
    configs.apply(add({ path, product, content }));
    expect(eachRule(waf, all)).toEqual(rules);
    configs.apply(add(custom));
    expect(eachRule(waf, all)).toEqual(['report', 'custom']);
  });

  it('takes out before it adds: an id may move from one path to another', () => {
    const { waf, configs } = start();
    const before = config('ASM', { custom_rules: [rule('moves', 'attack-before')] }, 'z');
    const after = config('ASM', { custom_rules: [rule('moves', 'attack-after')] }, 'a');
    configs.apply(add(before));
    const outcomes = configs.apply({ removed: [before.path], added: [after] });
    expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(seen(waf, query('attack-before'))).toEqual(none);
    expect(seen(waf, query('attack-after')).rules).toEqual(['moves']);
  });

  it('of a path that is not there does nothing', () => {
    const { waf, configs } = start();
    expect(configs.apply({ removed: ['no/such'], added: [] })).toEqual([
      { path: 'no/such', error: undefined, issues: [] },
    ]);
    expect(seen(waf, query('attack-report')).rules).toEqual(['report']);
  });

  it('does not touch transactions under way', () => {
    const { waf, configs } = start();
    const before = newContext(waf);
    configs.apply(add(config('ASM_DD', ruleset('new', rule('new', 'attack-new')))));
    expect(seen(waf, query('attack-new attack-report'), before).rules).toEqual(['report']);
    expect(seen(waf, query('attack-new attack-report')).rules).toEqual(['new']);
  });

  it('is told to those who ask for the generation', () => {
    const { waf, configs } = start();
    const before = waf.generation;
    const custom = config('ASM', { custom_rules: [rule('custom', 'x')] });
    configs.apply(add(custom));
    const added = waf.generation;
    expect(added).toBeGreaterThan(before);
    configs.apply(remove(custom));
    expect(waf.generation).toBeGreaterThan(added);
  });
});

describe('a configuration', () => {
  it('brings rules of its own, which may read what no rule read before', () => {
    const { waf, configs } = start();
    expect(waf.addresses(true)).not.toContain('server.request.body');
    const custom = config('ASM', {
      custom_rules: [rule('body', 'attack-body', { address: 'server.request.body', onMatch: ['block'] })],
    });
    configs.apply(add(custom));
    const body = { 'server.request.body': { a: 'attack-body' } };
    expect(seen(waf, body)).toEqual({ rules: ['body'], actions: ['block_request'] });
    configs.apply(remove(custom));
    expect(seen(waf, body)).toEqual(none);
  });

  it('turns a rule off by its id, and on again by going', () => {
    const { waf, configs } = start();
    const off = config('ASM', {
      rules_override: [{ rules_target: [{ rule_id: 'report' }], enabled: false }],
    });
    configs.apply(add(off));
    expect(seen(waf, query('attack-report'))).toEqual(none);
    expect(seen(waf, query('attack-sure')).rules).toEqual(['sure']);
    configs.apply(remove(off));
    expect(seen(waf, query('attack-report')).rules).toEqual(['report']);
  });

  it('lets rules block by their tags', () => {
    const { waf, configs } = start();
    const override = { rules_target: [{ tags: { confidence: '1' } }], on_match: ['block'] };
    configs.apply(add(config('ASM', { rules_override: [override] })));
    expect(seen(waf, query('attack-sure')).actions).toEqual(['block_request']);
    expect(seen(waf, query('attack-report')).actions).toEqual([]);
  });

  it('brings actions with parameters of their own', () => {
    const { waf, configs } = start();
    const actions = [
      { id: 'teapot', type: 'block_request', parameters: { status_code: 418, type: 'json' } },
      { id: 'away', type: 'redirect_request', parameters: { status_code: 302, location: '/away' } },
    ];
    const override = { rules_target: [{ rule_id: 'report' }], on_match: ['away'] };
    configs.apply(add(config('ASM', { actions, rules_override: [override] })));
    const blocked = newContext(waf).run(query('attack-own'))?.actions;
    expect(blocked).toMatchObject({ block_request: { status_code: 418, type: 'json' } });
    const redirected = newContext(waf).run(query('attack-report'))?.actions;
    expect(redirected).toMatchObject({ redirect_request: { status_code: 302, location: '/away' } });
  });

  it('excludes requests from a rule', () => {
    const { waf, configs } = start();
    const conditions = [
      {
        operator: 'phrase_match',
        parameters: { inputs: [{ address: 'server.request.uri.raw' }], list: ['/free'] },
      },
    ];
    const exclusion = { id: 'free', rules_target: [{ rule_id: 'report' }], conditions };
    configs.apply(add(config('ASM', { exclusions: [exclusion] })));
    const at = (path: string) => ({ ...query('attack-report'), 'server.request.uri.raw': path });
    expect(seen(waf, at('/free'))).toEqual(none);
    expect(seen(waf, at('/other')).rules).toEqual(['report']);
  });

  it('fills lists of addresses and users', () => {
    const { waf, configs } = start();
    const lists = config('ASM_DATA', {
      rules_data: [
        { id: 'blocked_ips', type: 'ip_with_expiration', data: [{ value: '198.51.100.0/24' }] },
        { id: 'blocked_users', type: 'data_with_expiration', data: [{ value: 'mallory' }] },
      ],
    });
    configs.apply(add(lists));
    expect(seen(waf, { 'http.client_ip': '198.51.100.9' }).actions).toEqual(['block_request']);
    expect(seen(waf, { 'http.client_ip': '198.51.101.9' })).toEqual(none);
    expect(seen(waf, { 'usr.id': 'mallory' }).actions).toEqual(['block_request']);
    configs.apply(remove(lists));
    expect(seen(waf, { 'http.client_ip': '198.51.100.9' })).toEqual(none);
  });

  it.each([
    ['rules_data', 'blocked_ips'],
    ['exclusion_data', 'free_ips'],
  ])('may have a list without entries in %s', (part, id) => {
    const { waf, configs } = start();
    const conditions = [
      { operator: 'ip_match', parameters: { inputs: [{ address: 'http.client_ip' }], data: 'free_ips' } },
    ];
    const empty = { id, type: 'ip_with_expiration', data: [] };
    const exclusion = config('ASM', { exclusions: [{ id: 'free', conditions }] });
    const outcomes = configs.apply(add(exclusion, config('ASM_DATA', { [part]: [empty] })));
    expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
    const request = { ...query('attack-report'), 'http.client_ip': '198.51.100.1' };
    expect(seen(waf, request).rules).toEqual(['report']);
  });

  it('forgets entries of a list whose time is over', () => {
    const { waf, configs } = start();
    const nowSeconds = Math.floor(Date.now() / 1000);
    const data = [
      { value: '198.51.100.1', expiration: nowSeconds - 10 },
      { value: '198.51.100.2', expiration: nowSeconds + 3600 },
    ];
    const list = { id: 'blocked_ips', type: 'ip_with_expiration', data };
    configs.apply(add(config('ASM_DATA', { rules_data: [list] })));
    expect(seen(waf, { 'http.client_ip': '198.51.100.1' })).toEqual(none);
    expect(seen(waf, { 'http.client_ip': '198.51.100.2' }).rules).toEqual(['blocked-ip']);
  });

  it('stays when the ruleset beside it changes', () => {
    const { waf, configs } = start();
    configs.apply(add(config('ASM', { custom_rules: [rule('custom', 'attack-custom')] })));
    const other = config('ASM_DD', ruleset('other', rule('other', 'attack-other')));
    configs.apply(add(other));
    expect(seen(waf, query('attack-custom')).rules).toEqual(['custom']);
    configs.apply(remove(other));
    expect(seen(waf, query('attack-custom')).rules).toEqual(['custom']);
  });
});

describe('protection', () => {
  it.each<[ProtectLevel, string[], string[]]>([
    ['off', [], []],
    ['confident', [], ['block_request']],
    ['all', ['block_request'], ['block_request']],
  ])('%s blocks what it covers', (level, report, sure) => {
    const { waf } = start(level);
    expect(seen(waf, query('attack-report'))).toEqual({ rules: ['report'], actions: report });
    expect(seen(waf, query('attack-sure'))).toEqual({ rules: ['sure'], actions: sure });
  });

  it('leaves rules that have an action as they are', () => {
    const { waf, configs } = start('all');
    const teapot = { id: 'teapot', type: 'block_request', parameters: { status_code: 418 } };
    configs.apply(add(config('ASM', { actions: [teapot] })));
    const actions = newContext(waf).run(query('attack-own'))?.actions;
    expect(actions).toMatchObject({ block_request: { status_code: 418 } });
  });

  it('covers a ruleset of another source, and the built-in one again after it', () => {
    const { waf, configs } = start('confident');
    const other = config('ASM_DD', ruleset('other', rule('other', 'attack-other', { confidence: '1' })));
    configs.apply(add(other));
    expect(seen(waf, query('attack-other')).actions).toEqual(['block_request']);
    configs.apply(remove(other));
    expect(seen(waf, query('attack-sure')).actions).toEqual(['block_request']);
  });

  it('is not upset by what is no rule', () => {
    const { waf, configs } = start('all');
    const rules = [null, 'rule', rule('sure', 'attack-sure')];
    configs.apply(add(config('ASM_DD', { version: '2.2', rules })));
    const [outcome] = configs.apply(add(config('ASM_DD', { version: '2.2', rules: [null] })));
    expect(outcome?.error).toMatch(/rules/);
    expect(seen(waf, query('attack-sure'))).toEqual({ rules: ['sure'], actions: ['block_request'] });
  });

  it('covers no custom rule: those say themselves what they do', () => {
    const { waf, configs } = start('all');
    configs.apply(add(config('ASM', { custom_rules: [rule('custom', 'attack-custom')] })));
    expect(seen(waf, query('attack-custom'))).toEqual({ rules: ['custom'], actions: [] });
  });

  it.each([
    ['off', { enabled: false }, none],
    ['to report only', { on_match: [] }, { rules: ['sure'], actions: [] }],
  ])('is outranked by an override that turns a rule %s', (_what, change, expected) => {
    const { waf, configs } = start('all');
    const override = { rules_target: [{ rule_id: 'sure' }], ...change };
    configs.apply(add(config('ASM', { rules_override: [override] })));
    expect(seen(waf, query('attack-sure'))).toEqual(expected);
  });
});
