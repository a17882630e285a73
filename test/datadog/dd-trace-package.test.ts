import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { obfuscationDefaults, recommendedRulesPath } from '../../src/datadog/dd-trace-package.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { Waf } from '../../src/engine/waf/waf.ts';
import { cpuUsOf } from '../support/growth.ts';

// What of dd-trace's inner life is used: a release that moves any of it fails here, not in production. Keeping
// traces and flushing are tested with a real tracer in tracing.test.ts.

describe('the recommended ruleset in dd-trace', () => {
  it('is there, and libddwaf takes all of it', () => {
    expect(existsSync(recommendedRulesPath())).toBe(true);
    const waf = Waf.load(JSON.parse(readFileSync(recommendedRulesPath(), 'utf8')), recommendedRulesPath());
    expect(waf.issues).toEqual([]);
    expect(waf.loadedRules).toBeGreaterThan(100);
    expect(waf.rulesetVersion).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe("Datadog's patterns for secrets", () => {
  it('find the names of secrets', () => {
    const { keyRegex, valueRegex } = obfuscationDefaults();
    const waf = Waf.load(JSON.parse(readFileSync(recommendedRulesPath(), 'utf8')), 'recommended', {
      obfuscatorKeyRegex: keyRegex,
      obfuscatorValueRegex: valueRegex,
    });
    const attack = { 'server.request.query': { password: ["hunter2' OR 1=1 -- '"] } };
    const result = waf.createContext(1_000_000).run(attack);
    expect(result?.events).not.toEqual([]);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  const obfuscator = new QueryObfuscator(obfuscationDefaults().queryStringRegex);

  it('hide secrets in a query in JavaScript too', () => {
    const hidden = obfuscator.obfuscate('/?a=1&password=hunter2&api_key=0123456789abcdef&b=2');
    expect(hidden).toBe('/?a=1&<redacted>&<redacted>&b=2');
  });

  it.each(['token', '%20', 'a'])(
    'of as many times %j as HAProxy lets in do so in little time',
    async (unit) => {
      const target = `/?${unit.repeat(15_000 / unit.length)}`;
      expect(await cpuUsOf(() => obfuscator.obfuscate(target))).toBeLessThan(5_000_000);
    },
  );
});
