import {
  agentUrl,
  boolean,
  haproxyTime,
  headerName,
  integer,
  nameList,
  oneOf,
  path,
  port,
  regularExpression,
  seconds,
  statusRanges,
  text,
  threadCount,
  wafTimeout,
} from '../config/parsers.ts';
import { type ConfigOf, optional, withDefault } from '../config/setting.ts';

/** Settings of the process and of the engine, whatever its doors. */
export const processSettings = {
  healthcheckPort: withDefault(port, '3080', {
    env: 'APPSEC_EDGE_HEALTHCHECK_PORT',
    aliases: ['DD_HAPROXY_SPOA_HEALTHCHECK_PORT'],
    flag: 'healthcheck-port',
    group: 'Process',
    description: 'Port of the HTTP server for /, /ready and /metrics.',
  }),
  healthcheckHost: optional(text, {
    env: 'APPSEC_EDGE_HEALTHCHECK_HOST',
    aliases: ['DD_HAPROXY_SPOA_HEALTHCHECK_HOST'],
    flag: 'healthcheck-host',
    group: 'Process',
    description:
      'Address that the health port listens on. Unset: that of the first door, for HAProxy `DD_HAPROXY_SPOA_HOST`.',
  }),
  engineThreads: withDefault(threadCount, 'auto', {
    env: 'APPSEC_EDGE_ENGINE_THREADS',
    aliases: ['DD_HAPROXY_SPOA_ENGINE_THREADS'],
    flag: 'engine-threads',
    group: 'Process',
    description:
      'Threads that analyse. auto: one for each processor that this process may use, 8 at most, fewer where memory is limited, none on a single processor. 0: the thread that owns the connections does it.',
  }),
  transactionTimeoutMs: withDefault(haproxyTime, '1m', {
    env: 'APPSEC_EDGE_TRANSACTION_TIMEOUT',
    aliases: ['DD_HAPROXY_SPOA_TRANSACTION_TIMEOUT'],
    flag: 'transaction-timeout',
    group: 'Process',
    description:
      'How long to wait for the last message of a transaction when HAProxy does not say (argument `timeout`).',
  }),
  shutdownGraceMs: withDefault(haproxyTime, '5s', {
    env: 'APPSEC_EDGE_SHUTDOWN_GRACE',
    aliases: ['DD_HAPROXY_SPOA_SHUTDOWN_GRACE'],
    flag: 'shutdown-grace',
    group: 'Process',
    description:
      'After SIGTERM: time for HAProxy to notice failing health checks, before idle connections are closed.',
  }),
  shutdownTimeoutMs: withDefault(haproxyTime, '25s', {
    env: 'APPSEC_EDGE_SHUTDOWN_TIMEOUT',
    aliases: ['DD_HAPROXY_SPOA_SHUTDOWN_TIMEOUT'],
    flag: 'shutdown-timeout',
    group: 'Process',
    description: 'After SIGTERM: the process ends by then, whatever is still open.',
  }),
  maxLiveTransactions: withDefault(integer(1, 10_000_000), '10000', {
    env: 'APPSEC_EDGE_MAX_TRANSACTIONS',
    aliases: ['DD_HAPROXY_SPOA_MAX_TRANSACTIONS'],
    flag: 'max-transactions',
    group: 'Limits',
    description: 'Transactions waiting for a message; one more ends the oldest.',
  }),
  maxDecompressedBytes: withDefault(integer(1024, 1_073_741_824, 'bytes'), '1048576', {
    env: 'APPSEC_EDGE_MAX_DECOMPRESSED_SIZE',
    aliases: ['DD_HAPROXY_SPOA_MAX_DECOMPRESSED_SIZE'],
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
    env: 'APPSEC_EDGE_POLICY_FOLDER',
    aliases: ['DD_HAPROXY_SPOA_POLICY_FOLDER'],
    flag: 'policy-folder',
    group: 'Detection',
    description:
      "Folder of JSON files in Remote Config's formats (lists, overrides, exclusions, rules); watched.",
  }),
  blockPagesFolder: optional(path, {
    env: 'APPSEC_EDGE_BLOCK_PAGES_FOLDER',
    aliases: ['DD_HAPROXY_SPOA_BLOCK_PAGES_FOLDER'],
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
  service: optional(text, {
    env: 'DD_SERVICE',
    flag: 'service',
    group: 'Datadog',
    description: "Service name in Datadog's console. Unset: that of the door, `spoa` for HAProxy.",
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
    env: 'APPSEC_EDGE_LOG_LEVEL',
    aliases: ['DD_HAPROXY_SPOA_LOG_LEVEL'],
    flag: 'log-level',
    group: 'Log',
    description: 'Least severity that is logged.',
  }),
  logFormat: withDefault(oneOf('auto', 'json', 'pretty'), 'auto', {
    env: 'APPSEC_EDGE_LOG_FORMAT',
    aliases: ['DD_HAPROXY_SPOA_LOG_FORMAT'],
    flag: 'log-format',
    group: 'Log',
    description: 'auto: pretty on a terminal, else JSON.',
  }),
} as const;

export type ProcessConfig = ConfigOf<typeof processSettings>;
