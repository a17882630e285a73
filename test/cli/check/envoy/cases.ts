import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { checkEnvoyFiles } from '../../../../src/cli/check/envoy/run.ts';
import type { Finding } from '../../../../src/cli/check/run.ts';

// The shipped files, changed as operators change them, and what must be said of it.

export const defaultSettings = { bodyLimitBytes: 1_000_000, wafTimeoutUs: 10_000 };

export type ShippedName = 'envoy/envoy' | 'istio-gateway/envoyfilter' | 'envoy-gateway/envoy-gateway';
export type Edit = (text: string) => string;

export function shipped(name: ShippedName): string {
  return readFileSync(new URL(`../../../../envoyconf/${name}.yaml`, import.meta.url), 'utf8');
}

export function check(
  text: string,
  settings: Partial<typeof defaultSettings> = {},
  path = 'envoy.yaml',
): Finding[] {
  return checkEnvoyFiles([{ path, text }], { ...defaultSettings, ...settings });
}

/** What is said of the shipped files as they are: the operator is to know it. */
export const said = ['fail-open', 'gateway-stream-timeout'];

/** Replaces the one place where `old` stands; a test that edits nothing would prove nothing. */
export function replace(old: string | RegExp, by: string): Edit {
  return (text) => {
    const edited = text.replace(old, () => by);
    expect(edited, `no ${old}`).not.toBe(text);
    return edited;
  };
}

export const all = (...edits: readonly Edit[]): Edit => {
  return (text) => edits.reduce((edited, edit) => edit(edited), text);
};

/** The line of the field, and all that stands below it or continues it. */
export function drop(field: string): Edit {
  return (text) => {
    const lines = text.split('\n');
    const at = lines.findIndex((line) => new RegExp(`^ *(- )?${field}:`).test(line));
    expect(at, `no ${field}`).not.toBe(-1);
    const indent = /^ */.exec(lines[at] ?? '')?.[0].length ?? 0;
    const end = lines.findIndex(
      (line, index) => index > at && line.trim() !== '' && (/^ */.exec(line)?.[0].length ?? 0) <= indent,
    );
    return [...lines.slice(0, at), ...lines.slice(end === -1 ? lines.length : end)].join('\n');
  };
}

export const add = (behind: string, line: string): Edit => {
  return (text) => {
    const found = new RegExp(`^( *)${behind}.*$`, 'm').exec(text);
    expect(found, `no ${behind}`).not.toBe(null);
    return text.replace(found?.[0] ?? '', (whole) => `${whole}\n${found?.[1] ?? ''}${line}`);
  };
};

const plain = 'envoy/envoy';
const istio = 'istio-gateway/envoyfilter';
const gateway = 'envoy-gateway/envoy-gateway';
const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.http.${name}`;
const inFront = (name: string, message: string): Edit =>
  replace(
    '- name: envoy.filters.http.ext_proc',
    `- name: ${name}
                    typed_config: { "@type": ${type(message)} }
                  - name: envoy.filters.http.ext_proc`,
  );
const observes = add('failure_mode_allow', 'observability_mode: true');
const requestBody = (mode: string): Edit => add('response_header_mode', `request_body_mode: ${mode}`);

/** Rule, file, what an operator did, the words of the line that is named, and settings of the processor. */
export const cases: [string, ShippedName, Edit, string | RegExp, Partial<typeof defaultSettings>?][] = [
  ['no-ext-proc', plain, replace('ext_proc.v3.ExternalProcessor', 'on_demand.v3.OnDemand'), 'admin:'],
  [
    'unprotected-manager',
    plain,
    replace(
      '  clusters:\n',
      `    - name: other
      filter_chains:
        - filters:
            - typed_config:
                "@type": type.googleapis.com/x.HttpConnectionManager
                stat_prefix: other
                http_filters: []
  clusters:
`,
    ),
    'http_filters: []',
  ],
  [
    'unprotected-route',
    plain,
    replace(
      'route: { cluster: origin }',
      `route: { cluster: origin }
                          typed_per_filter_config:
                            envoy.filters.http.ext_proc:
                              "@type": ${type('ext_proc.v3.ExtProcPerRoute')}
                              disabled: true`,
    ),
    'disabled: true',
  ],
  ['http-service', plain, add('failure_mode_allow', 'http_service: {}'), 'http_service: {}'],
  ['google-grpc', plain, replace('envoy_grpc:', 'google_grpc:'), 'google_grpc:'],
  ['placeholder', istio, replace('namespace: istio-system', 'namespace: <your-namespace>'), /<your-/],
  ['fail-open', plain, replace('0.25s', '0.2s'), 'failure_mode_allow: true'],
  ['fail-open', gateway, replace('failOpen: true', 'failOpen: true # yes'), 'failOpen: true # yes'],
  ['fail-closed-unsaid', plain, drop('failure_mode_allow'), '- name: envoy.filters.http.ext_proc'],
  ['default-timeout', plain, drop('message_timeout'), '- name: envoy.filters.http.ext_proc'],
  ['default-timeout', gateway, drop('messageTimeout'), '- backendRefs:'],
  ['short-timeout', plain, replace('message_timeout: 0.5s', 'message_timeout: 0.005s'), /0\.005s/],
  ['short-timeout', gateway, replace('messageTimeout: 500ms', 'messageTimeout: 10ms'), /10ms/],
  ['short-timeout', plain, (text) => text, /message_timeout: 0/, { wafTimeoutUs: 600_000 }],
  ['no-max-timeout', plain, drop('max_message_timeout'), '- name: envoy.filters.http.ext_proc'],
  [
    'stream-timeout',
    plain,
    replace('retry_policy:', 'timeout: 5s\n                        retry_policy:'),
    'timeout: 5s',
  ],
  ['gateway-stream-timeout', gateway, (text) => text, '- backendRefs:'],
  ['no-retry', plain, drop('retry_policy'), 'cluster_name: appsec_edge'],
  ['no-integration', plain, drop('initial_metadata'), 'grpc_service:'],
  ['no-source-address', plain, drop('request_attributes'), '- name: envoy.filters.http.ext_proc'],
  ['no-source-address', istio, replace('[source.address]', '[source.port]'), /request_attributes/],
  ['no-verdict-in-logs', plain, drop('metadata_options'), '- name: envoy.filters.http.ext_proc'],
  ['blocks-ignored', plain, add('failure_mode_allow', 'disable_immediate_response: true'), /disable_imm/],
  [
    'headers-withheld',
    plain,
    add('failure_mode_allow', 'forward_rules: { disallowed_headers: { patterns: [{ exact: cookie }] } }'),
    /forward_rules/,
  ],
  ['outdated-file', plain, replace('configuration 1.0.0', 'configuration 0.9.0'), /0\.9\.0/],
  ['requests-skipped', plain, replace('request_header_mode: SEND', 'request_header_mode: SKIP'), /SKIP/],
  ['requests-skipped', gateway, drop('request'), '- backendRefs:'],
  ['responses-skipped', plain, replace('response_header_mode: SEND', 'response_header_mode: SKIP'), /SKIP/],
  ['no-mode-override', plain, drop('allow_mode_override'), '- name: envoy.filters.http.ext_proc'],
  ['no-mode-override', gateway, replace('Override: true', 'Override: false'), 'allowModeOverride: false'],
  [
    'override-ignored',
    plain,
    add('allow_mode_override', 'send_body_without_waiting_for_header_response: true'),
    /send_body_without/,
  ],
  [
    'override-ignored',
    plain,
    add('allow_mode_override', 'allowed_override_modes: [{ request_body_mode: STREAMED }]'),
    /allowed_override_modes/,
  ],
  ['streamed-body', plain, requestBody('STREAMED'), 'request_body_mode: STREAMED'],
  ['streamed-body', gateway, replace('response: {}', 'response: { body: Streamed }'), /Streamed \}/],
  ['buffered-body', plain, requestBody('BUFFERED'), 'request_body_mode: BUFFERED'],
  ['buffered-body', plain, requestBody('2'), 'request_body_mode: 2'],
  ['partial-body-always', plain, requestBody('BUFFERED_PARTIAL'), 'request_body_mode: BUFFERED_PARTIAL'],
  ['full-duplex-trailers', plain, requestBody('FULL_DUPLEX_STREAMED'), /FULL_DUPLEX/],
  [
    'full-duplex-fail-open',
    plain,
    all(requestBody('FULL_DUPLEX_STREAMED'), add('request_header_mode', 'request_trailer_mode: SEND')),
    /FULL_DUPLEX/,
  ],
  ['observes-only', plain, observes, 'observability_mode: true'],
  ['observes-only', gateway, add('failOpen', 'shadowMode: true'), 'shadowMode: true'],
  ['observed-bodies', plain, observes, 'observability_mode: true'],
  ['observed-bodies', plain, all(observes, requestBody('BUFFERED')), 'request_body_mode: BUFFERED'],
  ['rewritten-before', plain, inFront('edge-script', 'lua.v3.Lua'), '- name: edge-script'],
  ['rewritten-before', plain, inFront('envoy.filters.http.wasm', 'x'), '- name: envoy.filters.http.wasm'],
  ['answered-before', plain, inFront('jwt', 'jwt_authn.v3.JwtAuthentication'), '- name: jwt'],
  ['answered-before', plain, inFront('slow', 'local_ratelimit.v3.LocalRateLimit'), '- name: slow'],
  ['buffered-before', plain, inFront('hold', 'buffer.v3.Buffer'), '- name: hold'],
  [
    'compressed-before',
    plain,
    replace(
      '- name: envoy.filters.http.router',
      `- name: gzip
                    typed_config: { "@type": ${type('compressor.v3.Compressor')} }
                  - name: envoy.filters.http.router`,
    ),
    '- name: gzip',
  ],
  ['last-in-istio', istio, replace('INSERT_FIRST\n', 'INSERT_BEFORE\n'), 'operation: INSERT_BEFORE'],
  ['cluster-missing', plain, replace('- name: appsec_edge', '- name: other'), 'cluster_name: appsec_edge'],
  ['cluster-http1', plain, drop('typed_extension_protocol_options'), '- name: appsec_edge'],
  [
    'deprecated-field',
    plain,
    all(drop('typed_extension_protocol_options'), add('lb_policy', 'http2_protocol_options: {}')),
    'http2_protocol_options: {}',
  ],
  [
    'deprecated-field',
    plain,
    replace('match_typed_subject_alt_names', 'match_subject_alt_names'),
    'match_subject_alt_names:',
  ],
  [
    'plaintext',
    plain,
    all(drop('transport_socket'), replace('127.0.0.1, port_value: 8443', '10.0.0.5, port_value: 8443')),
    '- name: appsec_edge',
  ],
  ['certificate-unchecked', plain, drop('validation_context'), 'typed_config:'],
  ['name-unchecked', plain, drop('match_typed_subject_alt_names'), 'validation_context:'],
  ['no-health-check', plain, drop('health_checks'), '- name: appsec_edge'],
  ['no-health-check', plain, replace('grpc_health_check', 'tcp_health_check'), /tcp_health_check/],
  ['health-check-alpn', plain, drop('alpn_protocols'), '- grpc_health_check: {}'],
  ['slow-health-check', plain, drop('no_traffic_interval'), '- grpc_health_check: {}'],
  ['slow-health-check', plain, replace(' interval: 1s', ' interval: 5s'), 'interval: 5s'],
  ['slow-health-check', plain, replace('unhealthy_threshold: 1', 'unhealthy_threshold: 9'), 'interval: 1s'],
  ['circuit-breakers', plain, drop('circuit_breakers'), '- name: appsec_edge'],
  ['circuit-breakers', plain, replace('max_requests: 65536', 'max_requests: 1024'), 'max_requests: 1024'],
  ['circuit-breakers', gateway, drop('circuitBreaker'), '- backendRefs:'],
  ['retry-breaker', plain, replace('max_retries: 1024', 'max_retries: 3'), 'max_retries: 3'],
  ['connect-timeout', plain, replace('connect_timeout: 0.25s', 'connect_timeout: 1s'), /connect_timeout: 1s/],
  [
    'one-address',
    plain,
    replace('type: STRICT_DNS\n      # Less', 'type: LOGICAL_DNS\n      # Less'),
    'type: LOGICAL_DNS',
  ],
  ['buffer-limit', plain, replace('bytes: 1048576', 'bytes: 65536'), /bytes: 65536/],
  ['buffer-limit', plain, drop('per_connection_buffer_limit_bytes'), '- name: site', { bodyLimitBytes: 2e6 }],
  ['buffer-limit', istio, drop('per_connection_buffer_limit_bytes'), 'value:'],
  ['buffer-limit', gateway, replace(/(?<=connection:\n {4}bufferLimit:) 1Mi/, ' 64Ki'), /64Ki/],
  ['buffer-by-default', istio, drop('per_connection_buffer_limit_bytes'), 'value:', { bodyLimitBytes: 0 }],
];
