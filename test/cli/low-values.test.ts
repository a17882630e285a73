import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/cli/config.ts';
import { lowValueWarnings } from '../../src/cli/low-values.ts';

const told = (environment: NodeJS.ProcessEnv): string[] => lowValueWarnings(readConfig({}, environment));

describe('a value whose unit was taken for another', () => {
  it.each([
    ['DD_APPSEC_WAF_TIMEOUT', '10', "is only 10 µs: .*'10ms'"],
    ['DD_APPSEC_WAF_TIMEOUT', '999us', 'is only 999 µs: '],
    ['DD_APPSEC_BODY_PARSING_SIZE_LIMIT', '10', 'is only 10 bytes: .*10000000'],
    ['DD_HAPROXY_SPOA_PROCESSING_TIMEOUT', '2', 'is only 2 ms: .*200ms'],
    ['DD_HAPROXY_SPOA_TRANSACTION_TIMEOUT', '60', "is only 60 ms: .*'1m'"],
    ['DD_HAPROXY_SPOA_HELLO_TIMEOUT', '10', "is only 10 ms: .*'10s'"],
    ['DD_HAPROXY_SPOA_IDLE_TIMEOUT', '600', "is only 600 ms: .*'10m'"],
  ])('%s=%s is told with its consequence and how to write it', (variable, value, sentence) => {
    expect(told({ [variable]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${variable} .*${sentence}`)),
    ]);
  });

  it.each([
    ['DD_APPSEC_WAF_TIMEOUT', '1ms'],
    ['DD_APPSEC_WAF_TIMEOUT', '2000'],
    ['DD_APPSEC_BODY_PARSING_SIZE_LIMIT', '0'],
    ['DD_APPSEC_BODY_PARSING_SIZE_LIMIT', '-1'],
    ['DD_APPSEC_BODY_PARSING_SIZE_LIMIT', '1000'],
    ['DD_HAPROXY_SPOA_IDLE_TIMEOUT', '1s'],
  ])('%s=%s is taken as it is', (variable, value) => {
    expect(told({ [variable]: value })).toEqual([]);
  });

  it('is none of the defaults', () => {
    expect(told({})).toEqual([]);
  });
});
