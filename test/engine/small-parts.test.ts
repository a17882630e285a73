import { describe, expect, it } from 'vitest';
import { clientIpOf, requestInput, responseInput, withListIndices } from '../../src/engine/addresses.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import { localTracer } from '../../src/engine/trace.ts';
import type { WafInput } from '../../src/engine/waf/waf-context.ts';
import { requestHead, testEngine } from '../support/test-engine.ts';

describe('the limit on reports', () => {
  it('lets so many through at once and refills with time', () => {
    const limiter = new RateLimiter(2, 1000);
    const takeAt = (nowMs: number): boolean => limiter.take(BigInt(nowMs) * 1_000_000n);
    expect([0, 0, 0].map(takeAt)).toEqual([true, true, false]);
    expect(takeAt(499)).toBe(false);
    expect(takeAt(500)).toBe(true);
    expect(takeAt(500)).toBe(false);
  });

  it('never saves up more than a second', () => {
    const limiter = new RateLimiter(3, 1000);
    const taken = Array.from({ length: 10 }, () => limiter.take(3_600_000_000_000n)).filter(Boolean);
    expect(taken).toHaveLength(3);
  });

  it('is one limit for all threads that share its cell', () => {
    const cell = new BigInt64Array(new SharedArrayBuffer(8));
    const limiters = [1, 2, 3].map(() => new RateLimiter(2, 1000, cell));
    expect(limiters.map((limiter) => limiter.take(0n))).toEqual([true, true, false]);
  });

  it('of 0 lets nothing through', () => {
    expect(new RateLimiter(0, 1000).take(0n)).toBe(false);
  });
});

describe('the obfuscator of queries', () => {
  const obfuscator = new QueryObfuscator('(?i)(?:token|password)=[^&]+');

  it('hides what its pattern finds, in the query only', () => {
    expect(obfuscator.obfuscate('/token=1/?a=2&PassWord=x&token=y')).toBe(
      '/token=1/?a=2&<redacted>&<redacted>',
    );
  });

  it('leaves a target without query alone, and any when its pattern is empty', () => {
    expect(obfuscator.obfuscate('/password=1')).toBe('/password=1');
    expect(new QueryObfuscator('').obfuscate('/?token=1')).toBe('/?token=1');
  });

  it('knows a name that is written with escapes', () => {
    expect(obfuscator.obfuscate('/?a=%201&%74oken=x%20y&pass%77ord=1&b=2')).toBe(
      '/?a=%201&<redacted>&<redacted>&b=2',
    );
    expect(obfuscator.obfuscate('/?%61=%20b&%zz=1')).toBe('/?%61=%20b&%zz=1');
  });

  it('sees the second question mark as part of the query', () => {
    expect(obfuscator.obfuscate('/?a?token=1')).toBe('/?a?<redacted>');
  });
});

/** As the WAF context has them, were every address read. */
function valuesOf(input: WafInput): Record<string, unknown> {
  const entries = Object.entries(input).map(([address, value]) => [
    address,
    typeof value === 'function' ? value() : value,
  ]);
  return Object.fromEntries(entries);
}

describe('the values for the WAF', () => {
  it('of a request have the shapes that rules are written for', () => {
    const request = requestHead('/p%20q/?a=1&a=2', [
      ['host', 'shop.test'],
      ['x-a', '1'],
      ['x-a', '2'],
      ['cookie', 'c=3'],
    ]);
    const lists = {
      'server.request.method': 'GET',
      'server.request.uri.raw': '/p%20q/?a=1&a=2',
      'server.request.headers.no_cookies': { host: ['shop.test'], 'x-a': ['1', '2'] },
      'server.request.cookies': { c: ['3'] },
      'server.request.query': { a: ['1', '2'] },
      'server.request.path_params': { path: '/p q/' },
      'http.client_ip': '192.0.2.1',
    };
    expect(valuesOf(requestInput(request, '192.0.2.1', true))).toEqual(lists);
    // A single value stands for an array of one.
    expect(valuesOf(requestInput(request, '192.0.2.1'))).toEqual({
      ...lists,
      'server.request.headers.no_cookies': { host: 'shop.test', 'x-a': ['1', '2'] },
      'server.request.cookies': { c: '3' },
    });
  });

  it('of a response have the status as text, and no Set-Cookie', () => {
    const headers = [
      ['set-cookie', 'a=b'],
      ['server', 'x'],
    ] as const;
    expect(valuesOf(responseInput({ status: 404, headers }, true))).toEqual({
      'server.response.status': '404',
      'server.response.headers.no_cookies': { server: ['x'] },
    });
  });

  it('lead to the same events whether a single value is an array or not', () => {
    const headers = [['cookie', 'c=attack-report']] as const;
    const [sampled, usual] = [true, false].map((wanted) => {
      const { engine } = testEngine({ schemaSampler: { take: () => wanted } });
      return engine.requestHeaders(requestHead('/?q=attack-report&a=1&a=attack-report', headers), 1000);
    });
    expect(usual?.transaction.events).toEqual(sampled?.transaction.events);
    expect(usual?.transaction.events).not.toEqual([]);
  });

  it('have no index where a name matched and not its value', () => {
    const match = (key: string, value: string) => ({
      rule: { id: '1', name: '', tags: {} },
      rule_matches: [
        { operator: 'x', parameters: [{ address: 'server.request.query', key_path: [key], value }] },
      ],
    });
    const paths = withListIndices([match('$where', '$where'), match('q', '$where')]).map(
      ({ rule_matches: [first] }) => first?.parameters[0]?.key_path,
    );
    expect(paths).toEqual([['$where'], ['q', '0']]);
  });

  it("take the client's address from the header asked for", () => {
    const request = requestHead('/', [
      ['x-forwarded-for', '198.51.100.1'],
      ['x-client', '198.51.100.2'],
    ]);
    expect(clientIpOf(request, undefined)).toBe('198.51.100.1');
    expect(clientIpOf(request, 'x-client')).toBe('198.51.100.2');
  });
});

describe('identities without Datadog', () => {
  it('are never 0, fit a signed 64-bit integer, and differ', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => localTracer.begin(undefined).spanId));
    expect(ids.size).toBe(1000);
    for (const id of ids) {
      expect(BigInt(id)).toBeGreaterThan(0n);
      expect(BigInt(id)).toBeLessThan(2n ** 63n);
    }
  });
});
