import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/errors.ts';
import type { AnySetting } from '../../src/config/setting.ts';
import { readConfig, type SettingName, settingNames, settings } from '../../src/daemon/settings.ts';

/** The names and defaults that are promised, in the README and by Datadog's own documentation. */
const promised: [SettingName, string, unknown][] = [
  ['host', 'DD_HAPROXY_SPOA_HOST', '0.0.0.0'],
  ['port', 'DD_HAPROXY_SPOA_PORT', 3000],
  ['healthcheckPort', 'APPSEC_EDGE_HEALTHCHECK_PORT', 3080],
  ['bodyLimitBytes', 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT', 0],
  ['service', 'DD_SERVICE', undefined],
  ['agentHost', 'DD_AGENT_HOST', 'localhost'],
  ['agentPort', 'DD_TRACE_AGENT_PORT', 8126],
  ['wafTimeoutUs', 'DD_APPSEC_WAF_TIMEOUT', 10_000],
  ['reportsPerSecond', 'DD_APPSEC_TRACE_RATE_LIMIT', 100],
  ['apmTracingEnabled', 'DD_APM_TRACING_ENABLED', false],
  ['tracingEnabled', 'DD_TRACE_ENABLED', true],
  ['environment', 'DD_ENV', undefined],
  ['version', 'DD_VERSION', undefined],
  ['agentUrl', 'DD_TRACE_AGENT_URL', undefined],
  ['rulesPath', 'DD_APPSEC_RULES', undefined],
  ['clientIpHeader', 'DD_TRACE_CLIENT_IP_HEADER', undefined],
];

/** A setting, a text, and what it becomes; every parser is among them. */
const understood: [SettingName, string, unknown][] = [
  ['host', '::', '::'],
  ['port', '0', 0],
  [
    'peers',
    'spoa-1, spoa_2.internal:3001,10.0.0.3,[2001:db8::4],[::1]:65535,',
    [
      { host: 'spoa-1', port: 3000 },
      { host: 'spoa_2.internal', port: 3001 },
      { host: '10.0.0.3', port: 3000 },
      { host: '2001:db8::4', port: 3000 },
      { host: '::1', port: 65_535 },
    ],
  ],
  ['peerSecret', 'sixteen letters.', 'sixteen letters.'],
  ['port', '65535', 65_535],
  ['socketPath', '/run/spoa.sock', '/run/spoa.sock'],
  ['transactionTimeoutMs', '1d', 86_400_000],
  ['transactionTimeoutMs', '90000', 90_000],
  ['helloTimeoutMs', '30s', 30_000],
  ['bodyLimitBytes', '10000000', 10_000_000],
  ['bodyLimitBytes', '-1', -1],
  ['wafTimeoutUs', '5000', 5000],
  ['wafTimeoutUs', '2.5ms', 2500],
  ['wafTimeoutUs', '1s', 1_000_000],
  ['tracingEnabled', 'F', false],
  ['apmTracingEnabled', '1', true],
  ['clientIpHeader', 'CF-Connecting-IP', 'cf-connecting-ip'],
  ['obfuscatorKeyRegex', '(?i)secret', '(?i)secret'],
  ['agentUrl', 'unix:///run/apm.socket', 'unix:///run/apm.socket'],
  ['agentUrl', 'https://agent.example:8126', 'https://agent.example:8126'],
  ['logLevel', 'debug', 'debug'],
  ['logFormat', 'json', 'json'],
];

const refused: [SettingName, string][] = [
  ['port', 'http'],
  ['port', '65536'],
  ['port', '-1'],
  ['port', '3000.5'],
  ['peers', ' , '],
  ['peers', 'spoa-1:'],
  ['peers', 'spoa-1:0'],
  ['peers', 'spoa-1:65536'],
  ['peers', 'spoa-1 spoa-2'],
  ['peers', 'spop://spoa-1:3000'],
  ['peers', '2001:db8::4'],
  ['peers', '[spoa-1]:3000'],
  ['peers', '10.0.0.256'],
  ['peers', 'spoa-1:3000,,spoa-2:http'],
  ['healthcheckPort', '0x10'],
  ['transactionTimeoutMs', '1.5s'],
  ['shutdownGraceMs', 'soon'],
  ['maxFrameSizeBytes', '255'],
  ['maxFrameSizeBytes', '16777217'],
  ['maxConnections', '0'],
  ['bodyLimitBytes', '10MB'],
  ['wafTimeoutUs', '0'],
  ['wafTimeoutUs', '-5ms'],
  ['wafTimeoutUs', '2h'],
  ['reportsPerSecond', '0'],
  ['clientIpHeader', 'X Real IP'],
  ['obfuscatorKeyRegex', '('],
  ['tracingEnabled', 'yes'],
  ['agentUrl', 'ftp://agent'],
  ['agentUrl', 'localhost:8126'],
  ['agentPort', '99999'],
  ['logLevel', 'verbose'],
  ['logFormat', 'xml'],
];

describe('settings', () => {
  it.each(promised)('%s is the variable %s, by default %s', (name, variable, value) => {
    expect(settings[name].env).toBe(variable);
    expect(readConfig({}, {})[name]).toBe(value);
  });

  it.each(understood)('%s: %s is understood', (name, text, value) => {
    expect(readConfig({}, { [settings[name].env]: text })[name]).toEqual(value);
    expect(readConfig({ [name]: text }, {})[name]).toEqual(value);
  });

  it.each(refused)('%s: %s is refused, named with what is allowed', (name, text) => {
    const { env, flag, parser } = settings[name];
    const sentence = `'${text}' is not allowed; it must be ${parser.allowed}`;
    expect(() => readConfig({}, { [env]: text })).toThrow(new ConfigError(`${env}: ${sentence}`));
    expect(() => readConfig({ [name]: text }, {})).toThrow(new ConfigError(`--${flag}: ${sentence}`));
  });

  it('are plain data, which can be given to a thread', () => {
    const config = readConfig({ allowed: '10.0.0.0/8,::1', peers: 'a,b', errorStatuses: '500' }, {});
    expect(structuredClone(config)).toEqual(config);
  });

  it.each([
    ['allowed', '10.0.0.0/40'],
    ['allowed', 'localhost'],
    ['allowed', ','],
    ['socketMode', '888'],
    ['socketMode', '66'],
    ['socketMode', 'rw'],
  ] as const)('refuse %s %s', (name, value) => {
    expect(() => readConfig({ [name]: value }, {})).toThrow(ConfigError);
  });

  it('do not repeat a secret that is refused', () => {
    const { env, parser } = settings.peerSecret;
    expect(() => readConfig({}, { [env]: 'fifteen letters' })).toThrow(
      new ConfigError(`${env}: its value is not allowed; it must be ${parser.allowed}`),
    );
  });

  it('take a flag before a variable', () => {
    expect(readConfig({ port: '3001' }, { DD_HAPROXY_SPOA_PORT: '3002' }).port).toBe(3001);
  });

  it('do not look at a variable that a flag outdoes', () => {
    expect(readConfig({ port: '3001' }, { DD_HAPROXY_SPOA_PORT: 'nonsense' }).port).toBe(3001);
  });

  it.each(settingNames)('%s: an empty variable counts as unset', (name) => {
    expect(readConfig({}, { [settings[name].env]: '' })[name]).toBe(settings[name].defaultValue);
  });

  it('of a command may have other defaults, which flags and variables outdo', () => {
    const defaults = { bodyLimitBytes: '7' };
    expect(readConfig({}, {}, defaults).bodyLimitBytes).toBe(7);
    expect(readConfig({}, { DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '8' }, defaults).bodyLimitBytes).toBe(8);
    expect(readConfig({ bodyLimitBytes: '9' }, {}, defaults).bodyLimitBytes).toBe(9);
  });

  it('have names of their own, each', () => {
    const all = settingNames.map((name) => settings[name]);
    expect(new Set(all.map(({ env }) => env)).size).toBe(all.length);
    expect(new Set(all.map(({ flag }) => flag)).size).toBe(all.length);
  });

  it('cannot be changed once read', () => {
    expect(Object.isFrozen(readConfig({}, {}))).toBe(true);
  });
});

describe('a setting with several names', () => {
  const [env, alias] = ['APPSEC_EDGE_POLICY_FOLDER', 'DD_HAPROXY_SPOA_POLICY_FOLDER'];

  it.each([env, alias])('is read from %s', (name) => {
    expect(readConfig({}, { [name]: '/etc/policy' }).policyFolder).toBe('/etc/policy');
  });

  it('may have the same value under both', () => {
    expect(readConfig({}, { [env]: '/etc/policy', [alias]: '/etc/policy' }).policyFolder).toBe('/etc/policy');
  });

  it('is refused when they contradict each other, and both are named', () => {
    expect(() => readConfig({}, { [env]: '/one', [alias]: '/other' })).toThrow(
      new ConfigError(
        `${env} and ${alias} are names of the same setting but have different values ('/one' and '/other'); set only ${env}`,
      ),
    );
  });

  it('names the variable that was set when the value is not allowed', () => {
    expect(() => readConfig({}, { DD_HAPROXY_SPOA_LOG_LEVEL: 'loud' })).toThrow(
      /^DD_HAPROXY_SPOA_LOG_LEVEL: /,
    );
  });

  it('has no name that another setting has', () => {
    const names = settingNames.flatMap((name) => {
      const setting: AnySetting = settings[name];
      return [setting.env, ...(setting.aliases ?? [])];
    });
    expect(new Set(names).size).toBe(names.length);
  });
});
