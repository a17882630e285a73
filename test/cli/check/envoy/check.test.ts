import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkEnvoyFiles, envoyRules } from '../../../../src/cli/check/envoy/run.ts';
import { kindOfFiles } from '../../../../src/cli/check/kind.ts';
import { ConfigError } from '../../../../src/config/errors.ts';
import { envoyConfigNames, expectedOfEnvoy, foundInEnvoy } from '../../../support/envoy-configs.ts';
import { add, all, cases, check, defaultSettings, drop, type Edit, replace, said, shipped } from './cases.ts';

const errorIds = (text: string, settings = {}): string[] =>
  check(text, settings)
    .map(({ rule }) => rule)
    .filter((rule) => !said.includes(rule));

describe('check on Envoy', () => {
  it.each(cases)('finds %s in %s', (rule, name, edit, words, settings = {}) => {
    const text = edit(shipped(name));
    const lines = check(text, settings)
      .filter((finding) => finding.rule === rule)
      .map(({ line }) => text.split('\n')[line - 1] ?? '');
    const isNamed = (line: string): boolean =>
      typeof words === 'string' ? line.trim() === words : words.test(line);
    expect(lines.map(isNamed), lines.join('\n')).toContain(true);
  });

  it('has a case for every rule', () => {
    const covered = new Set(cases.map(([rule]) => rule));
    expect(envoyRules.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
  });

  it('has rules with names of their own', () => {
    const ids = envoyRules.map(({ id }) => id);
    expect(ids.length).toBe(new Set(ids).size);
  });

  it.each(['envoy/envoy', 'istio-gateway/envoyfilter', 'envoy-gateway/envoy-gateway'] as const)(
    'says of %s only what an operator is to know',
    (name) => expect(errorIds(shipped(name))).toEqual([]),
  );

  it.each<[string, Edit]>([
    ['fail closed, said', replace('failure_mode_allow: true', 'failure_mode_allow: false')],
    [
      'bodies streamed where nothing is blocked anyway',
      all(
        add('failure_mode_allow', 'observability_mode: false'),
        replace('observability_mode: false', 'observability_mode: false'.replace('false', '"false"')),
      ),
    ],
    ['names as JSON writes them', replace('message_timeout: 0.5s', 'messageTimeout: 0.5s')],
    [
      'a compressor in front',
      replace(
        '- name: envoy.filters.http.ext_proc',
        '- name: envoy.filters.http.compressor\n                  - name: envoy.filters.http.ext_proc',
      ),
    ],
    [
      'ALPN in the health check itself',
      all(drop('alpn_protocols'), add('interval: 1s', 'tls_options: { alpn_protocols: [h2] }')),
    ],
    ['no TLS to this machine', drop('transport_socket')],
    [
      'a certificate from SDS',
      all(
        drop('validation_context'),
        add('alpn_protocols', 'validation_context_sds_secret_config: { name: ca }'),
      ),
    ],
    [
      'a larger limit of a route',
      all(
        replace('bytes: 1048576', 'bytes: 65536'),
        replace(
          'route: { cluster: origin }',
          'route: { cluster: origin }\n                          request_body_buffer_limit: 2000000',
        ),
      ),
    ],
    [
      'a cluster of Istio itself',
      (text) => replace('cluster_name: appsec_edge', 'cluster_name: outbound|443||waf')(text),
    ],
    ['retries without a policy of their own', replace('max_retries: 1024', 'max_retries: 100')],
    ['threshold of another priority', add('thresholds', '  - { priority: HIGH, max_requests: 1 }')],
  ])('finds nothing wrong with %s', (_what, edit) => {
    expect(errorIds(edit(shipped('envoy/envoy')))).toEqual([]);
  });

  it('follows aliases', () => {
    const text = `x: &filter
  name: envoy.filters.http.ext_proc
  typed_config: { "@type": x.ExternalProcessor, disable_immediate_response: true }
http_filters: [*filter]`;
    expect(check(text).map(({ rule, line }) => `${line} ${rule}`)).toContain('3 blocks-ignored');
  });

  it('ends with an endless file', () => {
    const bomb = Array.from({ length: 30 }, (_, index) =>
      index === 0 ? 'a0: &a0 [x]' : `a${index}: &a${index} [*a${index - 1}, *a${index - 1}]`,
    ).join('\n');
    expect(() => check(bomb)).toThrow(ConfigError);
    expect(() => check('a: &a [*a]')).toThrow(ConfigError);
  });

  it('says where a file is not YAML', () => {
    expect(() => check('a:\n  - b\n c: d')).toThrow(/^envoy\.yaml:3: not YAML: /);
  });

  it('survives any YAML', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(Array.isArray(check(text))).toBe(true);
      }),
    );
  });

  it('names what is missing in files given together, in their order', () => {
    const findings = checkEnvoyFiles(
      [
        { path: 'b.yaml', text: drop('connect_timeout')(shipped('envoy/envoy')) },
        { path: 'a.yaml', text: 'admin: {}' },
      ],
      defaultSettings,
    );
    expect(findings.every(({ file }) => file === 'b.yaml')).toBe(true);
  });
});

describe('check on Envoy configurations as operators have them', () => {
  it.each(envoyConfigNames)('finds in %s what expected.txt says and no more', (name) => {
    expect(foundInEnvoy(name)).toEqual(expectedOfEnvoy(name).findings);
  });
});

describe('a file given to check', () => {
  it.each([
    ['a.yaml', '', 'envoy'],
    ['a.json', 'x', 'envoy'],
    ['a.cfg', 'static_resources: {}', 'haproxy'],
    ['bootstrap', '# mine\n\nstatic_resources:\n', 'envoy'],
    ['bootstrap', '{"admin":{}}', 'envoy'],
    ['bootstrap', '---\nkind: EnvoyFilter\n', 'envoy'],
    ['haproxy', '# mine\nglobal\n  log stdout\n', 'haproxy'],
    ['snippet', '    http-request set-header X-Y "a: b"\n', 'haproxy'],
  ])('is of a kind: %s with %j', (path, text, kind) => {
    expect(kindOfFiles([{ path, text }])).toBe(kind);
  });

  it('is refused beside one of the other kind', () => {
    const files = [
      { path: 'a.cfg', text: '' },
      { path: 'b.yaml', text: '' },
    ];
    expect(() => kindOfFiles(files)).toThrow("a.cfg is HAProxy's and b.yaml is Envoy's");
  });
});
