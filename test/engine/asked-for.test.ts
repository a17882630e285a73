import { describe, expect, it } from 'vitest';
import type { EngineOptions } from '../../src/engine/engine.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import { WafConfigs } from '../../src/engine/waf/waf-configs.ts';
import { jsonHeaders, requestHead, testEngine } from '../support/test-engine.ts';

/*
 * What is carried over to the WAF, and which bodies are asked for: only what somebody looks at. The ruleset here is as
 * Datadog's: rules read the query, and only the schema processor reads what comes back.
 */

function ruleReading(address: string, part: object = {}): object {
  return {
    id: `reads-${address}`,
    name: 'test',
    tags: { type: 'test', category: 'attack_attempt' },
    conditions: [{ operator: 'phrase_match', parameters: { inputs: [{ address }], list: ['attack'] } }],
    on_match: ['block'],
    ...part,
  };
}

const ruleset = {
  version: '2.2',
  rules: [ruleReading('server.request.query')],
  processors: [
    {
      id: 'schemas',
      generator: 'extract_schema',
      conditions: [
        {
          operator: 'equals',
          parameters: {
            inputs: [{ address: 'waf.context.processor', key_path: ['extract-schema'] }],
            type: 'boolean',
            value: true,
          },
        },
      ],
      parameters: {
        mappings: [
          { inputs: [{ address: 'server.request.body' }], output: '_dd.appsec.s.req.body' },
          { inputs: [{ address: 'server.response.body' }], output: '_dd.appsec.s.res.body' },
          { inputs: [{ address: 'server.response.headers.no_cookies' }], output: '_dd.appsec.s.res.headers' },
        ],
      },
      evaluate: false,
      output: true,
    },
  ],
};

const jsonResponse = { status: 200, headers: [['content-type', 'application/json']] } as const;
const bytesOf = (text: string) => ({ bytes: Buffer.from(text), declaredSize: undefined });
const ttlMs = 60_000;

function start(changes: Partial<EngineOptions> = {}) {
  const waf = Waf.load(ruleset, 'test');
  const configs = new WafConfigs(waf, ruleset, 'off');
  const policy = (content: object) => ({ path: 'datadog/2/ASM/x/config', product: 'ASM' as const, content });
  return { waf, configs, policy, ...testEngine({ waf, ...changes }) };
}

describe('what only a schema reads', () => {
  const request = () => requestHead('/?q=1', jsonHeaders, { declaredBodySize: 9 });

  it('is not asked for and not carried over, for a transaction without one', () => {
    const { waf, engine } = start();
    const analysis = engine.requestHeaders(request(), ttlMs);
    expect(analysis.wantsBody).toBe(false);
    expect(engine.responseHeaders(analysis.transaction.id, jsonResponse, ttlMs).wantsBody).toBe(false);
    expect(analysis.transaction.endReason).toBe('complete');
    expect([...waf.addresses(false)]).toEqual(['server.request.query']);
  });

  it('is, for a transaction with one', () => {
    const { engine } = start({ schemaSampler: { take: () => true } });
    const analysis = engine.requestHeaders(request(), ttlMs);
    expect(analysis.wantsBody).toBe(true);
    const { id, waf: summary } = analysis.transaction;
    void engine.requestBody(id, bytesOf('{"a":"1"}'), ttlMs);
    expect(engine.responseHeaders(id, jsonResponse, ttlMs).wantsBody).toBe(true);
    void engine.responseBody(id, bytesOf('{"b":"x"}'), ttlMs);
    expect(summary.attributes).toEqual({
      '_dd.appsec.s.req.body': [{ a: [8] }],
      '_dd.appsec.s.res.body': [{ b: [8] }],
      '_dd.appsec.s.res.headers': [{ 'content-type': [[[8]], { len: 1 }] }],
    });
  });

  it.each([
    ['a custom rule', { custom_rules: [ruleReading('server.response.headers.no_cookies')] }],
    [
      'a condition of an exclusion',
      {
        exclusions: [
          {
            id: 'x',
            conditions: ruleReading('server.response.headers.no_cookies')['conditions' as never],
            rules_target: [{ rule_id: 'reads-server.request.query' }],
          },
        ],
      },
    ],
  ])('is carried over as soon as %s reads it, and no more when that goes', (_name, content) => {
    const { waf, configs, policy } = start();
    const config = policy(content);
    const [outcome] = configs.apply({ removed: [], added: [config] });
    expect(outcome).toMatchObject({ error: undefined, issues: [] });
    expect(waf.addresses(false)).toContain('server.response.headers.no_cookies');
    configs.apply({ removed: [config.path], added: [] });
    expect(waf.addresses(false)).not.toContain('server.response.headers.no_cookies');
  });
});

describe('a rule that comes while the daemon runs', () => {
  it('has the bodies that it reads asked for, and blocks', () => {
    const { engine, configs, policy } = start();
    configs.apply({
      removed: [],
      added: [policy({ custom_rules: [ruleReading('server.response.body')] })],
    });
    const { transaction } = engine.requestHeaders(requestHead('/'), ttlMs);
    expect(engine.responseHeaders(transaction.id, jsonResponse, ttlMs).wantsBody).toBe(true);
    const analysis = engine.responseBody(transaction.id, bytesOf('{"b":"attack"}'), ttlMs);
    expect(analysis).toMatchObject({ verdict: { kind: 'block' } });
  });

  it('that reads names of files has request bodies asked for', () => {
    const { engine, configs, policy } = start();
    configs.apply({
      removed: [],
      added: [policy({ custom_rules: [ruleReading('server.request.body.filenames')] })],
    });
    const upload = requestHead('/', [['content-type', 'multipart/form-data; boundary=x']], {
      declaredBodySize: 9,
    });
    expect(engine.requestHeaders(upload, ttlMs).wantsBody).toBe(true);
  });
});
