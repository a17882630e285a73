import { describe, expect, it } from 'vitest';
import { RulesetError } from '../../../src/engine/waf/ruleset-error.ts';
import { Waf } from '../../../src/engine/waf/waf.ts';
import { WafContext } from '../../../src/engine/waf/waf-context.ts';
import { loadTestWaf, readFixtureRules } from '../../support/test-engine.ts';

const query = (value: string) => ({ 'server.request.query': { q: [value] } });
const plentyUs = 1_000_000;

describe('a ruleset', () => {
  it('is loaded with its version and the number of its rules', () => {
    const waf = loadTestWaf();
    expect(waf.rulesetVersion).toBe('test-1');
    expect(waf.loadedRules).toBe(14);
    expect(waf.issues).toEqual([]);
    expect(waf.addresses(true)).toContain('server.response.body');
  });

  it('that is partly invalid is loaded, and what was refused is named with its ids', () => {
    const waf = Waf.load(readFixtureRules('partly-invalid'), 'partly.json');
    expect(waf.loadedRules).toBe(1);
    expect(waf.issues).toEqual([
      { part: 'rules', reason: "missing key 'conditions'", ids: ['no-conditions'] },
      { part: 'rules', reason: 'invalid regular expression: (unclosed', ids: ['bad-regex'] },
    ]);
    expect(waf.createContext(plentyUs).run(query('attack-report'))?.events).toHaveLength(1);
  });

  it.each<[string, object, RegExp]>([
    ['nothing', {}, /no rule in it/],
    ['an empty list', { version: '2.2', rules: [] }, /no rule in it|no valid rule/],
    ['rules that are no list', { version: '2.2', rules: 'all' }, /rules: bad cast/],
    ['a bad rule only', { version: '2.2', rules: [{ id: 'mine' }] }, /missing key 'conditions' \(mine\)/],
    ['another version', { version: '9.9', rules: [] }, /./],
  ])('of %s stops the start with the file and the reason', (_what, ruleset, reason) => {
    const load = () => Waf.load(ruleset, '/etc/appsec/rules.json');
    expect(load).toThrow(RulesetError);
    expect(load).toThrow(/^ruleset \/etc\/appsec\/rules\.json: /);
    expect(load).toThrow(reason);
  });
});

describe('a run', () => {
  it('looks only at what some rule reads', () => {
    const context = loadTestWaf().createContext(plentyUs);
    expect(context.run({ 'server.no.such.address': 'attack-block' })).toBeUndefined();
    expect(context.run({ 'server.request.query': undefined })).toBeUndefined();
  });

  it('after the end is nothing, and the end may come twice', () => {
    const context = loadTestWaf().createContext(plentyUs);
    context.dispose();
    context.dispose();
    expect(context.run(query('attack-block'))).toBeUndefined();
  });

  it('remembers what earlier runs saw', () => {
    const context = loadTestWaf().createContext(plentyUs);
    expect(context.run({ 'server.request.uri.raw': '/backup.sql' })?.events).toEqual([]);
    const events = context.run({ 'server.response.status': '200' })?.events;
    expect(events?.map(({ rule }) => rule.id)).toEqual(['request-and-response']);
  });

  it('has the time that the earlier runs of its transaction left, and a fifth of all at least', () => {
    const budgets: number[] = [];
    const native = {
      disposed: false,
      run(_payload: object, timeoutUs: number) {
        budgets.push(timeoutUs);
        return { timeout: false, duration: 400_000 };
      },
      dispose: () => undefined,
    };
    const context = new WafContext(native, new Set(['server.request.query']), 1000);
    expect([1, 2, 3, 4].map(() => context.run(query('a'))?.timeout)).toEqual([false, false, false, false]);
    expect(budgets).toEqual([1000, 600, 200, 200]);
  });

  it('without time left is a time-out and finds nothing', () => {
    expect(loadTestWaf().createContext(0).run(query('attack-block'))).toMatchObject({
      timeout: true,
      events: [],
      errorCode: undefined,
    });
  });

  it('that ends in an error of libddwaf says which', () => {
    const native = {
      disposed: false,
      run: () => ({ timeout: false, errorCode: -3 }),
      dispose: () => undefined,
    };
    const context = new WafContext(native, new Set(['server.request.query']), 1000);
    expect(context.run(query('a'))).toMatchObject({
      errorCode: -3,
      errorMessage: 'libddwaf returned error -3',
      events: [],
      actions: {},
    });
  });

  it('that throws in the binding is an error too, never an exception', () => {
    const native = {
      disposed: false,
      run() {
        throw new Error('no memory');
      },
      dispose: () => undefined,
    };
    const context = new WafContext(native, new Set(['server.request.query']), 1000);
    expect(context.run(query('a'))).toMatchObject({
      errorCode: -127,
      errorMessage: 'no memory',
      timeout: false,
    });
  });

  it('on values that cannot even be carried over is an error, never an exception', () => {
    const hostile = {
      get trap(): string {
        throw new Error('not readable');
      },
    };
    const context = loadTestWaf().createContext(plentyUs);
    expect(context.run({ 'server.request.query': hostile })).toMatchObject({ errorCode: -127 });
    expect(context.run(query('attack-block'))?.actions).toHaveProperty('block_request');
  });
});

describe('secrets in events', () => {
  const secret = 'attack-report hunter2';

  it('are redacted by the name of their key', () => {
    const context = loadTestWaf({ obfuscatorKeyRegex: '(?i)passw' }).createContext(plentyUs);
    const result = context.run({ 'server.request.query': { Password: [secret] } });
    expect(result?.events).not.toEqual([]);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  it('are redacted by their look', () => {
    const context = loadTestWaf({ obfuscatorValueRegex: 'hunter\\d' }).createContext(plentyUs);
    const result = context.run(query(secret));
    expect(result?.events).not.toEqual([]);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });
});
