import { describe, expect, it } from 'vitest';
import { misspeltVariables } from '../../src/daemon/misspelt.ts';
import { settingNames, settings } from '../../src/daemon/settings.ts';
import { knownVariables } from '../../src/datadog/dd-trace-package.ts';

const told = (...names: readonly string[]): string[] =>
  misspeltVariables(Object.fromEntries(names.map((name) => [name, 'hunter2'])));

describe('a variable that nobody reads', () => {
  it.each([
    ['DD_HAPROXY_SPOA_PROT', 'DD_HAPROXY_SPOA_PORT', 'letters swapped'],
    ['DD_HAPROXY_SPOA_LOG_LEVL', 'APPSEC_EDGE_LOG_LEVEL', 'a letter missing'],
    ['DD_HAPROXY_SPAO_PORT', 'DD_HAPROXY_SPOA_PORT', 'its beginning misspelt'],
    ['HAPROXY_SPOA_PORT', 'DD_HAPROXY_SPOA_PORT', 'its beginning forgotten'],
    ['dd_haproxy_spoa_port', 'DD_HAPROXY_SPOA_PORT', 'in small letters'],
    ['APPSEC_EDGE_PEERS', 'DD_HAPROXY_SPOA_PEERS', 'with the name of the program'],
    ['DD_HAPROXY_SPOA_RULES', 'DD_APPSEC_RULES', 'with the beginning of another'],
    ['DD_HAPROXY_SPOA_BODY_LIMIT', 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT', 'named as the flag is'],
    ['DD_APPSEC_BODY_PARSING_SIZE', 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT', 'its last word missing'],
    ['DD_APSEC_RULES', 'DD_APPSEC_RULES', 'a letter missing in the beginning'],
    ['DD_APPSEC_WAF_TIMEOUT_MS', 'DD_APPSEC_WAF_TIMEOUT', 'a word too many'],
    ['DD_REMOTE_CONFIGURATION_ENABLE', 'DD_REMOTE_CONFIGURATION_ENABLED', 'of those shared with Datadog'],
  ])('%s is told with the nearest name, %s (%s)', (name, nearest) => {
    expect(told(name)).toEqual([`${name} is not a setting and is ignored; did you mean ${nearest}?`]);
  });

  it.each(['DD_HAPROXY_SPOA_ELEPHANT', 'APPSEC_EDGE_X'])(
    '%s is told without one: nothing is near',
    (name) => {
      expect(told(name)).toEqual([
        `${name} is not a setting and is ignored; 'appsec-edge --help' lists all settings`,
      ]);
    },
  );

  it('never shows its value', () => {
    expect(told('DD_HAPROXY_SPOA_PEERS_SECRET').join()).not.toContain('hunter2');
  });
});

describe('no word is said of', () => {
  it('the settings themselves', () => {
    expect(told(...settingNames.map((name) => settings[name].env))).toEqual([]);
  });

  it('what dd-trace reads by itself', () => {
    const known = [...knownVariables()];
    expect(known).toEqual(expect.arrayContaining(['DD_APPSEC_RASP_ENABLED', 'DD_TRACE_AGENT_HOSTNAME']));
    expect(told(...known)).toEqual([]);
  });

  it("variables of Datadog's Agent, of its libraries in other languages, of HAProxy's files and of our tests", () => {
    expect(
      told(
        ...['DD_API_KEY', 'DD_SITE', 'DD_HOSTNAME', 'DD_TAGS', 'DD_LOGS_ENABLED', 'DD_APM_ENABLED'],
        ...[
          'DD_APM_RECEIVER_PORT',
          'DD_APM_NON_LOCAL_TRAFFIC',
          'DD_DOGSTATSD_PORT',
          'DD_APPSEC_EXTENSIONS_X',
        ],
        ...[
          '_DD_APPSEC_PROXY_ENVIRONMENT',
          'DD_APPSEC_PROXY_ENVIRONMENT',
          'DD_API_SECURITY_REQUEST_SAMPLE_RATE',
        ],
        ...['DD_SPOA_TIMEOUT', 'DD_SPOA_ADDRESS', 'APPSEC_EDGE_HAPROXY', 'APPSEC_EDGE_FUZZ_SEED', 'PATH'],
      ),
    ).toEqual([]);
  });

  it('what Kubernetes says of a Service with our name', () => {
    expect(
      told(
        ...['APPSEC_EDGE_SERVICE_HOST', 'APPSEC_EDGE_SERVICE_PORT', 'APPSEC_EDGE_SERVICE_PORT_SPOP'],
        ...['APPSEC_EDGE_PORT', 'APPSEC_EDGE_PORT_3000_TCP', 'APPSEC_EDGE_PORT_3000_TCP_ADDR'],
      ),
    ).toEqual([]);
  });

  it('an empty variable, which counts as unset', () => {
    expect(misspeltVariables({ DD_HAPROXY_SPOA_PROT: '' })).toEqual([]);
  });
});
