// What is in effect follows from the set of configurations, not from the order in which they came.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Ruleset, Waf } from '../../../src/engine/waf/waf.ts';
import { type WafConfig, type WafConfigChange, WafConfigs } from '../../../src/engine/waf/waf-configs.ts';

function rule(id: string, type: string, word: string): object {
  const parameters = { inputs: [{ address: 'server.request.query' }], list: [word] };
  return {
    ...{ id, name: id, tags: { type, category: 'attack_attempt', kind: `${type}-kind` } },
    conditions: [{ operator: 'phrase_match', parameters }],
  };
}

const builtIn: Ruleset = {
  ...{ version: '2.2', metadata: { rules_version: 'built-in' } },
  rules: [
    rule('r1', 'one', 'word-one'),
    rule('r2', 'two', 'word-two'),
    rule('r3', 'two', 'word-two'),
    {
      ...{ id: 'ip', name: 'ip', tags: { type: 'ip', category: 'security_response' }, on_match: ['block'] },
      conditions: [
        { operator: 'ip_match', parameters: { inputs: [{ address: 'http.client_ip' }], data: 'ips' } },
      ],
    },
  ],
};

const probes: readonly Record<string, string>[] = [
  { 'server.request.query': 'word-one' },
  { 'server.request.query': 'word-two' },
  { 'server.request.query': 'word-three' },
  { 'server.request.query': 'word-one word-two word-three', 'server.request.uri.raw': '/free' },
  { 'http.client_ip': '198.51.100.7' },
  { 'http.client_ip': '198.51.100.8' },
];

const override = (target: object, ...changes: readonly object[]): Ruleset => ({
  rules_override: changes.map((change) => ({ rules_target: [target], ...change })),
});
const action = (id: string, status: number): object => ({
  ...{ id, type: 'block_request', parameters: { status_code: status, type: 'auto' } },
});
const ips = (...data: readonly object[]): Ruleset => ({
  rules_data: [{ id: 'ips', type: 'ip_with_expiration', data }],
});
const past = 1_000_000_000;
const byId = { rule_id: 'r1' };
const byTag = { tags: { kind: 'two-kind' } };

const good: readonly (readonly [WafConfig['product'], Ruleset])[] = [
  ['ASM', override(byId, { enabled: false })],
  ['ASM', override(byId, { enabled: true })],
  ['ASM', override(byId, { on_match: ['block'] })],
  ['ASM', override(byId, { on_match: ['teapot'] }, { on_match: [] }, { on_match: ['block'] })],
  ['ASM', override({ tags: { type: 'one' } }, { on_match: ['block'], enabled: false })],
  ['ASM', override(byTag, { on_match: ['teapot'] })],
  ['ASM', override(byTag, { enabled: false })],
  ['ASM', { actions: [action('teapot', 418)] }],
  ['ASM', { actions: [action('teapot', 429)], ...override({ rule_id: 'r2' }, { on_match: ['teapot'] }) }],
  ['ASM', { custom_rules: [rule('own', 'three', 'word-three')] }],
  ['ASM', { custom_rules: [{ ...rule('own', 'one', 'word-one'), on_match: ['block'] }] }],
  ['ASM', { custom_rules: [rule('r1', 'three', 'word-three')] }],
  [
    'ASM',
    {
      exclusions: [
        {
          ...{ id: 'free', rules_target: [byTag] },
          conditions: [
            {
              operator: 'phrase_match',
              parameters: { inputs: [{ address: 'server.request.uri.raw' }], list: ['/free'] },
            },
          ],
        },
      ],
    },
  ],
  ['ASM', { exclusions: [{ id: 'free', rules_target: [byId], on_match: 'monitor' }] }],
  ['ASM_DATA', ips({ value: '198.51.100.7', expiration: past }, { value: '198.51.100.8' })],
  ['ASM_DATA', ips({ value: '198.51.100.7' })],
  ['ASM_DATA', ips()],
  ['ASM_DATA', { rules_data: [{ id: 'ips', type: 'data_with_expiration', data: [{ value: 'x' }] }] }],
  ['ASM_DD', { version: '2.2', metadata: { rules_version: 'x' }, rules: [rule('r1', 'one', 'word-one')] }],
  [
    'ASM_DD',
    {
      ...{ version: '2.2', metadata: { rules_version: 'y' } },
      rules: [rule('r1', 'two', 'word-two'), rule('r4', 'three', 'word-three')],
    },
  ],
];

const bad: readonly (readonly [WafConfig['product'], Ruleset])[] = [
  ['ASM', { custom_rules: [{ id: 'own' }] }],
  ['ASM', { rules_override: [{ rules_target: 'x' }] }],
  ['ASM_DD', {}],
  ['ASM_DD', { version: '9.9', rules: [] }],
];

const paths = ['a', 'b', 'c', 'd', 'e'];
type Step = readonly [path: string, config: readonly [WafConfig['product'], Ruleset] | undefined];

/** Changes of one to three paths; undefined takes the path out. */
function changes(pool: typeof good): fc.Arbitrary<readonly (readonly Step[])[]> {
  const content = fc.option(fc.constantFrom(...pool), { nil: undefined, freq: 4 });
  const step = fc.tuple(fc.constantFrom(...paths), content);
  const change = fc.uniqueArray(step, { minLength: 1, maxLength: 3, selector: ([path]) => path });
  return fc.array(change, { minLength: 1, maxLength: 12 });
}

function changeOf(steps: readonly Step[]): WafConfigChange {
  return {
    removed: steps.flatMap(([path, config]) => (config === undefined ? [path] : [])),
    added: steps.flatMap(([path, config]) =>
      config === undefined ? [] : [{ path, product: config[0], content: config[1] }],
    ),
  };
}

function withConfigs<T>(use: (configs: WafConfigs, waf: Waf) => T): T {
  const waf = Waf.load(builtIn, 'built-in');
  try {
    return use(new WafConfigs(waf, builtIn, 'off'), waf);
  } finally {
    waf.dispose();
  }
}

function verdicts(waf: Waf): unknown[] {
  const seen = probes.map((probe) => {
    const context = waf.createContext(1_000_000);
    const result = context.run({ ...probe });
    context.dispose();
    return [result?.events.map((event) => event.rule.id), result?.actions];
  });
  return [waf.rulesetVersion, [...waf.addresses(true)].sort(), JSON.parse(withoutResponseIds(seen))];
}

/** Each block has an id of its own. */
function withoutResponseIds(value: unknown): string {
  return JSON.stringify(value, (key, entry: unknown) => (key === 'security_response_id' ? '' : entry));
}

/** Verdicts, and the outcomes, of a fresh one with these configurations. */
function fresh(added: readonly WafConfig[]): unknown[] {
  return withConfigs((configs, waf) => {
    const outcomes = configs.apply({ removed: [], added });
    return [verdicts(waf), outcomes];
  });
}

/** Applies the steps; `check` is told the verdicts then, and the last outcome of each path that is left. */
function afterSteps(
  steps: readonly (readonly Step[])[],
  check: (told: unknown[], configs: WafConfigs) => void,
): void {
  withConfigs((configs, waf) => {
    const outcomes = new Map<string, unknown>();
    for (const change of steps.map(changeOf)) {
      for (const outcome of configs.apply(change)) outcomes.set(outcome.path, outcome);
      for (const path of change.removed) outcomes.delete(path);
    }
    const told = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, outcome]) => outcome);
    check([verdicts(waf), told], configs);
  });
}

describe('after any changes', () => {
  it('verdicts, versions and outcomes are those of a fresh one with what is left', () => {
    fc.assert(
      fc.property(changes(good), (steps) => {
        const left = new Map(steps.flat());
        const change = changeOf([...left]);
        afterSteps(steps, (told) => {
          expect(told).toEqual(fresh(change.added));
          expect(told).toEqual(fresh([...change.added].reverse()));
        });
      }),
      { numRuns: 250 },
    );
  });

  it('rules are those of a fresh one with the snapshot, with bad contents among the good ones', () => {
    const pool = [...good, ...bad];
    fc.assert(
      fc.property(changes(pool), changes(pool), (steps, more) => {
        let begin: Step[][] = [];
        afterSteps(steps, ([seen], configs) => {
          const snapshot = configs.snapshot();
          begin = [snapshot.map(({ path, product, content }) => [path, [product, content]])];
          expect(seen).toEqual(fresh(snapshot)[0]);
        });
        // And it goes on like the one that the snapshot was taken of.
        afterSteps([...steps, ...more], ([seen]) => {
          afterSteps([...begin, ...more], ([again]) => expect(again).toEqual(seen));
        });
      }),
      { numRuns: 120 },
    );
  });
});
