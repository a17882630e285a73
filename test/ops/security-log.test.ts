import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { obfuscationDefaults } from '../../src/datadog/dd-trace-package.ts';
import { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';
import { RateLimiter } from '../../src/engine/rate-limiter.ts';
import { throttled } from '../../src/ops/log.ts';
import { securityLog } from '../../src/ops/security-log.ts';
import { loadTestWaf, requestHead, testEngine } from '../support/test-engine.ts';

/** An engine whose security events are written to the lines returned. */
function setUp(reportsPerSecond = 1000) {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { keyRegex, valueRegex, queryStringRegex } = obfuscationDefaults();
  const { engine } = testEngine({
    waf: loadTestWaf({ obfuscatorKeyRegex: keyRegex, obfuscatorValueRegex: valueRegex }),
    observers: [securityLog(logger, new QueryObfuscator(queryStringRegex))],
    reportLimiter: new RateLimiter(reportsPerSecond, 1000),
  });
  return { engine, lines };
}

describe('a security event', () => {
  it('is one line with all that an operator asks for', () => {
    const { engine, lines } = setUp();
    const headers = [
      ['host', 'shop.test'],
      ['x-forwarded-for', '198.51.100.1'],
    ] as const;
    const { transaction } = engine.requestHeaders(requestHead('/a?q=attack-report', headers), 1000);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: 40,
      msg: 'attack reported',
      event: 'security',
      door: 'test',
      phase: 'request-headers',
      verdict: 'report',
      client: '198.51.100.1',
      method: 'GET',
      host: 'shop.test',
      path: '/a?q=attack-report',
      trace_id: transaction.traceId,
      span_id: transaction.id,
      rules: [{ id: 'report-1', type: 'test_report_1' }, { id: 'report-2' }],
    });
    expect(lines[0]).not.toHaveProperty('security_response_id');
  });

  it('of a block carries the id that the client was shown', () => {
    const { engine, lines } = setUp();
    const { verdict } = engine.requestHeaders(requestHead('/?q=attack-block'), 1000);
    const shown = 'securityResponseId' in verdict ? verdict.securityResponseId : undefined;
    expect(lines[0]).toMatchObject({ msg: 'attack blocked', verdict: 'block', security_response_id: shown });
  });

  it('of an application that only reports names it, and says that the rules would have blocked', () => {
    const { engine, lines } = setUp();
    const application = { service: 'shop', environment: undefined, version: undefined, reportOnly: true };
    engine.requestHeaders(requestHead('/?q=attack-block', undefined, { application }), 1000);
    engine.requestHeaders(requestHead('/?q=attack-report', undefined, { application }), 1000);
    engine.requestHeaders(requestHead('/?q=attack-block'), 1000);
    expect(lines[0]).toMatchObject({ ...{ service: 'shop', would_block: true }, verdict: 'report' });
    expect(lines[1]).toMatchObject({ service: 'shop' });
    expect(lines[1]).not.toHaveProperty('would_block');
    expect(lines[2]).not.toHaveProperty('service');
  });

  it('of a response without its request is a line too', () => {
    const { engine, lines } = setUp();
    engine.responseHeaders(undefined, { status: 599, headers: [] }, 1000);
    expect(lines[0]).toMatchObject({ phase: 'response-headers', status: 599, verdict: 'block' });
  });

  it('shows no secret of the query, whether the rule matched it or not', () => {
    const { engine, lines } = setUp();
    engine.requestHeaders(requestHead('/?password=hunter2+attack-report&q=attack-report&token=abc123'), 1000);
    const line = JSON.stringify(lines);
    expect(lines).toHaveLength(1);
    expect(line).not.toContain('hunter2');
    expect(line).not.toContain('abc123');
    expect(line).toContain('<redacted>');
  });

  it('shows no secret of a header or a cookie', () => {
    const { engine, lines } = setUp();
    const headers = [
      ['authorization', 'Bearer hunter2-attack-report'],
      ['cookie', 'session_token=hunter2 attack-report'],
    ] as const;
    engine.requestHeaders(requestHead('/', headers), 1000);
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });

  it('beyond the rate limit is not written; that it happened is, once', () => {
    const { engine, lines } = setUp(1);
    for (let index = 0; index < 5; index += 1) engine.requestHeaders(requestHead('/?q=attack-report'), 1000);
    expect(lines.map(({ event }) => event)).toEqual(['security', 'rate-limited']);
  });
});

describe('a throttled message', () => {
  it('passes once in its interval and says how many it held back', () => {
    const heldBack: number[] = [];
    const hour = throttled(3_600_000, (more) => heldBack.push(more));
    for (let index = 0; index < 5; index += 1) hour();
    expect(heldBack).toEqual([0]);
    const never = throttled(0, (more) => heldBack.push(more));
    never();
    never();
    expect(heldBack).toEqual([0, 0, 0]);
  });
});
