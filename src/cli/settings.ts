import {
  addressList,
  agentUrl,
  boolean,
  fileMode,
  haproxyTime,
  headerName,
  integer,
  nameList,
  oneOf,
  type Parser,
  path,
  peerAddresses,
  port,
  regularExpression,
  seconds,
  secret,
  statusRanges,
  text,
  threadCount,
  wafTimeout,
} from './setting-parsers.ts';

/*
 * The one table of settings. The command line, the environment, `--help` and docs/configuration.md come from it.
 * A flag wins over its variable; an empty variable counts as unset.
 */

export interface Setting<T, D extends T | undefined> {
  readonly env: string;
  /** The flag without its dashes. */
  readonly flag: string;
  readonly parser: Parser<T>;
  readonly defaultValue: D;
  /** The default as an operator would write it. */
  readonly defaultText: string;
  readonly description: string;
  readonly group: 'HAProxy' | 'Limits' | 'Detection' | 'Datadog' | 'Log';
}

type SettingText = Pick<Setting<unknown, undefined>, 'env' | 'flag' | 'description' | 'group'>;

function withDefault<T>(parser: Parser<T>, defaultText: string, about: SettingText): Setting<T, T> {
  const defaultValue = parser.parse(defaultText);
  if (defaultValue === undefined)
    throw new Error(`${about.env}: its own default '${defaultText}' is not allowed`);
  return { ...about, parser, defaultValue, defaultText };
}

function optional<T>(parser: Parser<T>, about: SettingText): Setting<T, undefined> {
  return { ...about, parser, defaultValue: undefined, defaultText: '' };
}

export const settings = {
  host: withDefault(text, '0.0.0.0', {
    env: 'DD_HAPROXY_SPOA_HOST',
    flag: 'host',
    group: 'HAProxy',
    description: "Address to listen on, for SPOP and health: IPv4, IPv6 ('::' for both), or a host name.",
  }),
  port: withDefault(port, '3000', {
    env: 'DD_HAPROXY_SPOA_PORT',
    flag: 'port',
    group: 'HAProxy',
    description: 'Port that HAProxy connects to.',
  }),
  socketPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_SOCKET',
    flag: 'socket',
    group: 'HAProxy',
    description: 'Path of a unix socket to listen on instead of host and port. A stale one is replaced.',
  }),
  socketMode: withDefault(fileMode, '660', {
    env: 'DD_HAPROXY_SPOA_SOCKET_MODE',
    flag: 'socket-mode',
    group: 'HAProxy',
    description:
      'Permissions of the unix socket: who may write may connect. 660: the user and the group of the agent.',
  }),
  allowed: optional(addressList, {
    env: 'DD_HAPROXY_SPOA_ALLOW',
    flag: 'allow',
    group: 'HAProxy',
    description:
      'Who may connect to the port: HAProxy and other agents. All others are closed unread. Unset: everybody. The unix socket and the health port are not meant.',
  }),
  tlsCertificatePath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CERT',
    flag: 'tls-cert',
    group: 'HAProxy',
    description:
      'File with the certificate of the agent, in PEM, and those between it and its CA: HAProxy and other agents must speak TLS. Read again on SIGHUP.',
  }),
  tlsKeyPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_KEY',
    flag: 'tls-key',
    group: 'HAProxy',
    description: 'File with its key, in PEM without a passphrase; unset: in the file of the certificate.',
  }),
  tlsCaPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CA',
    flag: 'tls-ca',
    group: 'HAProxy',
    description:
      'File with CA certificates, in PEM: HAProxy and other agents must show a certificate of one of them. Unset: nobody is asked for one.',
  }),
  peers: optional(peerAddresses, {
    env: 'DD_HAPROXY_SPOA_PEERS',
    flag: 'peers',
    group: 'HAProxy',
    description:
      'The agents behind the same HAProxy backend, each by its own address: a message goes on to the one that began its transaction.',
  }),
  peerSecret: optional(secret, {
    env: 'DD_HAPROXY_SPOA_PEER_SECRET',
    flag: 'peer-secret',
    group: 'HAProxy',
    description:
      'Known to all agents: messages go on only to an agent that proves to know it. The variable shows in no list of processes.',
  }),
  healthcheckPort: withDefault(port, '3080', {
    env: 'DD_HAPROXY_SPOA_HEALTHCHECK_PORT',
    flag: 'healthcheck-port',
    group: 'HAProxy',
    description: 'Port of the HTTP server for /, /ready and /metrics.',
  }),
  healthcheckHost: optional(text, {
    env: 'DD_HAPROXY_SPOA_HEALTHCHECK_HOST',
    flag: 'healthcheck-host',
    group: 'HAProxy',
    description: 'Address that the health port listens on; unset: that of `DD_HAPROXY_SPOA_HOST`.',
  }),
  processingTimeoutMs: withDefault(haproxyTime, '200ms', {
    env: 'DD_HAPROXY_SPOA_PROCESSING_TIMEOUT',
    flag: 'processing-timeout',
    group: 'HAProxy',
    description:
      "HAProxy's `timeout processing`, when HAProxy does not say (argument `processing_timeout`). What cannot be analysed in time is let through at once.",
  }),
  observabilityMode: withDefault(boolean, 'false', {
    env: 'DD_HAPROXY_SPOA_OBSERVABILITY_MODE',
    flag: 'observability-mode',
    group: 'HAProxy',
    description: 'true: HAProxy is answered first and traffic is analysed afterwards. Nothing is blocked.',
  }),
  engineThreads: withDefault(threadCount, 'auto', {
    env: 'DD_HAPROXY_SPOA_ENGINE_THREADS',
    flag: 'engine-threads',
    group: 'HAProxy',
    description:
      'Threads that analyse. auto: one for each processor that this process may use, 8 at most, fewer where memory is limited, none on a single processor. 0: the thread that owns the connections does it.',
  }),
  transactionTimeoutMs: withDefault(haproxyTime, '1m', {
    env: 'DD_HAPROXY_SPOA_TRANSACTION_TIMEOUT',
    flag: 'transaction-timeout',
    group: 'HAProxy',
    description:
      'How long to wait for the last message of a transaction when HAProxy does not say (argument `timeout`).',
  }),
  shutdownGraceMs: withDefault(haproxyTime, '5s', {
    env: 'DD_HAPROXY_SPOA_SHUTDOWN_GRACE',
    flag: 'shutdown-grace',
    group: 'HAProxy',
    description:
      'After SIGTERM: time for HAProxy to notice failing health checks, before idle connections are closed.',
  }),
  shutdownTimeoutMs: withDefault(haproxyTime, '25s', {
    env: 'DD_HAPROXY_SPOA_SHUTDOWN_TIMEOUT',
    flag: 'shutdown-timeout',
    group: 'HAProxy',
    description: 'After SIGTERM: the process ends by then, whatever is still open.',
  }),
  maxFrameSizeBytes: withDefault(integer(256, 16_777_216, 'bytes'), '16777216', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAME_SIZE',
    flag: 'max-frame-size',
    group: 'Limits',
    description:
      'Largest SPOP frame to analyse. HAProxy sends up to its `tune.bufsize` less 4; what is larger than this is let through at once.',
  }),
  maxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'DD_HAPROXY_SPOA_MAX_CONNECTIONS',
    flag: 'max-connections',
    group: 'Limits',
    description: 'SPOP connections at a time; one more is closed at once.',
  }),
  maxFramesInFlight: withDefault(integer(1, 100_000), '128', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAMES_IN_FLIGHT',
    flag: 'max-frames-in-flight',
    group: 'Limits',
    description: 'NOTIFY frames of one connection under analysis; beyond it the connection is not read.',
  }),
  helloTimeoutMs: withDefault(haproxyTime, '10s', {
    env: 'DD_HAPROXY_SPOA_HELLO_TIMEOUT',
    flag: 'hello-timeout',
    group: 'Limits',
    description: 'Time for a new connection to send its HELLO.',
  }),
  idleTimeoutMs: withDefault(haproxyTime, '10m', {
    env: 'DD_HAPROXY_SPOA_IDLE_TIMEOUT',
    flag: 'idle-timeout',
    group: 'Limits',
    description: "A connection without any frame for so long is closed. Keep it above HAProxy's own.",
  }),
  maxLiveTransactions: withDefault(integer(1, 10_000_000), '10000', {
    env: 'DD_HAPROXY_SPOA_MAX_TRANSACTIONS',
    flag: 'max-transactions',
    group: 'Limits',
    description: 'Transactions waiting for a message; one more ends the oldest.',
  }),
  maxDecompressedBytes: withDefault(integer(1024, 1_073_741_824, 'bytes'), '1048576', {
    env: 'DD_HAPROXY_SPOA_MAX_DECOMPRESSED_SIZE',
    flag: 'max-decompressed-size',
    group: 'Limits',
    description: 'Bytes of a compressed body to look at, once decompressed.',
  }),
  bodyLimitBytes: withDefault(integer(-1, 1_073_741_824, 'bytes'), '0', {
    env: 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT',
    flag: 'body-limit',
    group: 'Detection',
    description:
      'Bytes of a body to inspect, in each direction. 0: bodies are not asked for. Recommended: 10000000.',
  }),
  rulesPath: optional(path, {
    env: 'DD_APPSEC_RULES',
    flag: 'rules',
    group: 'Detection',
    description: "Ruleset file in Datadog's format, in place of the recommended one that is built in.",
  }),
  appSecEnabled: optional(boolean, {
    env: 'DD_APPSEC_ENABLED',
    flag: 'appsec-enabled',
    group: 'Detection',
    description:
      'Whether anything is inspected. Unset: yes, and a policy file or Remote Config can switch it.',
  }),
  protect: withDefault(oneOf('off', 'confident', 'all'), 'off', {
    env: 'DD_APPSEC_PROTECT',
    flag: 'protect',
    group: 'Detection',
    description:
      'What is blocked beyond what rules say: nothing, what the ruleset is confident about, or all its rules find.',
  }),
  policyFolder: optional(path, {
    env: 'DD_HAPROXY_SPOA_POLICY_FOLDER',
    flag: 'policy-folder',
    group: 'Detection',
    description:
      "Folder of JSON files in Remote Config's formats (lists, overrides, exclusions, rules); watched.",
  }),
  blockPagesFolder: optional(path, {
    env: 'DD_HAPROXY_SPOA_BLOCK_PAGES_FOLDER',
    flag: 'block-pages-folder',
    group: 'Detection',
    description: 'Folder with block pages of single applications: <service>.html and <service>.json.',
  }),
  apiSecurityEnabled: withDefault(boolean, 'true', {
    env: 'DD_API_SECURITY_ENABLED',
    flag: 'api-security-enabled',
    group: 'Detection',
    description: 'Extract the schemas of sampled requests and responses for the Datadog console.',
  }),
  schemasPerMinute: withDefault(integer(-1, 1_000_000), '300', {
    env: 'DD_API_SECURITY_PROXY_SAMPLE_RATE',
    flag: 'api-security-sample-rate',
    group: 'Detection',
    description: 'Transactions per minute whose schema is extracted; 0: none.',
  }),
  wafTimeoutUs: withDefault(wafTimeout, '10ms', {
    env: 'DD_APPSEC_WAF_TIMEOUT',
    flag: 'waf-timeout',
    group: 'Detection',
    description: 'Time that the WAF may spend on one transaction.',
  }),
  reportsPerSecond: withDefault(integer(1, 1_000_000), '100', {
    env: 'DD_APPSEC_TRACE_RATE_LIMIT',
    flag: 'trace-rate-limit',
    group: 'Detection',
    description: 'Detections reported per second. Blocking and counting are not limited.',
  }),
  clientIpHeader: optional(headerName, {
    env: 'DD_TRACE_CLIENT_IP_HEADER',
    flag: 'client-ip-header',
    group: 'Detection',
    description: "The only header to take the client's address from; without it, Datadog's list of headers.",
  }),
  blockedTemplateHtmlPath: optional(path, {
    env: 'DD_APPSEC_HTTP_BLOCKED_TEMPLATE_HTML',
    flag: 'blocked-template-html',
    group: 'Detection',
    description: 'File with the HTML block page; `[security_response_id]` in it is replaced.',
  }),
  blockedTemplateJsonPath: optional(path, {
    env: 'DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON',
    flag: 'blocked-template-json',
    group: 'Detection',
    description: 'File with the JSON block page; `[security_response_id]` in it is replaced.',
  }),
  obfuscatorKeyRegex: optional(regularExpression, {
    env: 'DD_APPSEC_OBFUSCATION_PARAMETER_KEY_REGEXP',
    flag: 'obfuscation-key-regexp',
    group: 'Detection',
    description: "Keys whose values are redacted in events; without it, Datadog's.",
  }),
  obfuscatorValueRegex: optional(regularExpression, {
    env: 'DD_APPSEC_OBFUSCATION_PARAMETER_VALUE_REGEXP',
    flag: 'obfuscation-value-regexp',
    group: 'Detection',
    description: "Values that are redacted in events; without it, Datadog's.",
  }),
  queryStringRegex: optional(regularExpression, {
    env: 'DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP',
    flag: 'obfuscation-query-string-regexp',
    group: 'Detection',
    description: "Parts of a query string that become <redacted> in logs and spans; without it, Datadog's.",
  }),
  service: withDefault(text, 'spoa', {
    env: 'DD_SERVICE',
    flag: 'service',
    group: 'Datadog',
    description: "Service name in Datadog's console.",
  }),
  environment: optional(text, {
    env: 'DD_ENV',
    flag: 'env',
    group: 'Datadog',
    description: 'Environment name, for instance `prod`.',
  }),
  version: optional(text, {
    env: 'DD_VERSION',
    flag: 'service-version',
    group: 'Datadog',
    description: 'Version reported on spans and by the health server; without it, that of appsec-edge.',
  }),
  agentHost: withDefault(text, 'localhost', {
    env: 'DD_AGENT_HOST',
    flag: 'agent-host',
    group: 'Datadog',
    description: 'Host of the Datadog Agent.',
  }),
  agentPort: withDefault(port, '8126', {
    env: 'DD_TRACE_AGENT_PORT',
    flag: 'agent-port',
    group: 'Datadog',
    description: 'Trace port of the Datadog Agent.',
  }),
  agentUrl: optional(agentUrl, {
    env: 'DD_TRACE_AGENT_URL',
    flag: 'agent-url',
    group: 'Datadog',
    description: 'URL of the Datadog Agent (http, https or unix); wins over host and port.',
  }),
  remoteConfigEnabled: withDefault(boolean, 'true', {
    env: 'DD_REMOTE_CONFIGURATION_ENABLED',
    flag: 'remote-config-enabled',
    group: 'Datadog',
    description: 'Take rules, lists and switches from the Datadog console, through the Agent.',
  }),
  remoteConfigPollIntervalMs: withDefault(seconds, '5', {
    env: 'DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS',
    flag: 'remote-config-poll-interval',
    group: 'Datadog',
    description: 'Seconds between two polls; 0: without a pause.',
  }),
  queryStringDisabled: withDefault(boolean, 'false', {
    env: 'DD_TRACE_HTTP_URL_QUERY_STRING_DISABLED',
    flag: 'query-string-disabled',
    group: 'Datadog',
    description: 'Leave the query out of the URL of spans.',
  }),
  queryStringAllowlist: optional(nameList, {
    env: 'DD_TRACE_HTTP_URL_QUERY_STRING_ALLOWLIST',
    flag: 'query-string-allowlist',
    group: 'Datadog',
    description: 'Parameters to keep in the URL of spans, separated by commas; wins over obfuscation.',
  }),
  errorStatuses: withDefault(statusRanges, '500-599', {
    env: 'DD_TRACE_HTTP_SERVER_ERROR_STATUSES',
    flag: 'server-error-statuses',
    group: 'Datadog',
    description: 'Statuses that make a span an error: numbers and ranges, separated by commas.',
  }),
  tracingEnabled: withDefault(boolean, 'true', {
    env: 'DD_TRACE_ENABLED',
    flag: 'trace-enabled',
    group: 'Datadog',
    description: 'false: nothing is sent to a Datadog Agent and no trace headers are given to the origin.',
  }),
  apmTracingEnabled: withDefault(boolean, 'false', {
    env: 'DD_APM_TRACING_ENABLED',
    flag: 'apm-tracing-enabled',
    group: 'Datadog',
    description: 'true: every request becomes a trace; false: only those with a detection.',
  }),
  logLevel: withDefault(oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'), 'info', {
    env: 'DD_HAPROXY_SPOA_LOG_LEVEL',
    flag: 'log-level',
    group: 'Log',
    description: 'Least severity that is logged.',
  }),
  logFormat: withDefault(oneOf('auto', 'json', 'pretty'), 'auto', {
    env: 'DD_HAPROXY_SPOA_LOG_FORMAT',
    flag: 'log-format',
    group: 'Log',
    description: 'auto: pretty on a terminal, else JSON.',
  }),
} as const;

export type SettingName = keyof typeof settings;
export const settingNames = Object.keys(settings) as SettingName[];

/** The values of all settings. */
export type Config = {
  readonly [K in SettingName]: (typeof settings)[K] extends Setting<infer T, infer D> ? T | D : never;
};
