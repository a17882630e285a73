import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { obfuscationDefaults, recommendedRulesPath } from '../../src/datadog/dd-trace-package.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { Waf } from '../../src/engine/waf/waf.ts';

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

  it('hide secrets in a query in JavaScript too, in little time', () => {
    const obfuscator = new QueryObfuscator(obfuscationDefaults().queryStringRegex);
    const hidden = obfuscator.obfuscate('/?a=1&password=hunter2&api_key=0123456789abcdef&b=2');
    expect(hidden).toBe('/?a=1&<redacted>&<redacted>&b=2');
    const startedAtMs = performance.now();
    obfuscator.obfuscate(`/?${'token'.repeat(3000)}`);
    obfuscator.obfuscate(`/?${'%20'.repeat(5000)}`);
    obfuscator.obfuscate(`/?${'a'.repeat(15_000)}`);
    expect(performance.now() - startedAtMs).toBeLessThan(2000);
  });
});
