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
    description: 'Port for /, /ready and /metrics (HTTP).',
  }),
  healthcheckHost: optional(text, {
    env: 'APPSEC_EDGE_HEALTHCHECK_HOST',
    aliases: ['DD_HAPROXY_SPOA_HEALTHCHECK_HOST'],
    flag: 'healthcheck-host',
    group: 'Process',
    description:
      'Address that the health port listens on. Default: that of the first door; for HAProxy, `DD_HAPROXY_SPOA_HOST`.',
  }),
  engineThreads: withDefault(threadCount, 'auto', {
    env: 'APPSEC_EDGE_ENGINE_THREADS',
    aliases: ['DD_HAPROXY_SPOA_ENGINE_THREADS'],
    flag: 'engine-threads',
    group: 'Process',
    description:
      'Number of threads that inspect traffic. auto: one per available processor, at most 8, fewer if memory is limited, none on a single processor. 0: the I/O thread inspects.',
  }),
  transactionTimeoutMs: withDefault(haproxyTime, '1m', {
    env: 'APPSEC_EDGE_TRANSACTION_TIMEOUT',
    aliases: ['DD_HAPROXY_SPOA_TRANSACTION_TIMEOUT'],
    flag: 'transaction-timeout',
    group: 'Process',
    description:
      'How long to wait for the next message of a transaction if the door does not say; HAProxy says it in the argument `timeout`.',
  }),
  shutdownGraceMs: withDefault(haproxyTime, '5s', {
    env: 'APPSEC_EDGE_SHUTDOWN_GRACE',
    aliases: ['DD_HAPROXY_SPOA_SHUTDOWN_GRACE'],
    flag: 'shutdown-grace',
    group: 'Process',
    description:
      'After SIGTERM: how long to keep idle connections open, so that the proxy can notice failing health checks.',
  }),
  shutdownTimeoutMs: withDefault(haproxyTime, '25s', {
    env: 'APPSEC_EDGE_SHUTDOWN_TIMEOUT',
    aliases: ['DD_HAPROXY_SPOA_SHUTDOWN_TIMEOUT'],
    flag: 'shutdown-timeout',
    group: 'Process',
    description: 'After SIGTERM: the process exits after this time at the latest.',
  }),
  maxLiveTransactions: withDefault(integer(1, 10_000_000), '10000', {
    env: 'APPSEC_EDGE_MAX_TRANSACTIONS',
    aliases: ['DD_HAPROXY_SPOA_MAX_TRANSACTIONS'],
    flag: 'max-transactions',
    group: 'Limits',
    description: 'Transactions that may wait for a message. Beyond it, the oldest is evicted.',
  }),
  maxDecompressedBytes: withDefault(integer(1024, 1_073_741_824, 'bytes'), '1048576', {
    env: 'APPSEC_EDGE_MAX_DECOMPRESSED_SIZE',
    aliases: ['DD_HAPROXY_SPOA_MAX_DECOMPRESSED_SIZE'],
    flag: 'max-decompressed-size',
    group: 'Limits',
    description: 'Bytes of a compressed body to inspect, after decompression.',
  }),
  bodyLimitBytes: withDefault(integer(-1, 1_073_741_824, 'bytes'), '0', {
    env: 'DD_APPSEC_BODY_PARSING_SIZE_LIMIT',
    flag: 'body-limit',
    group: 'Detection',
    description:
      'Bytes of a body to inspect, in each direction. 0: bodies are not inspected. Recommended: 10000000.',
  }),
  rulesPath: optional(path, {
    env: 'DD_APPSEC_RULES',
    flag: 'rules',
    group: 'Detection',
    description: "Ruleset file in Datadog's format. Default: the built-in recommended ruleset.",
  }),
  appSecEnabled: optional(boolean, {
    env: 'DD_APPSEC_ENABLED',
    flag: 'appsec-enabled',
    group: 'Detection',
    description:
      'Whether traffic is inspected. Unset: yes, unless a policy file or Remote Config switches it off.',
  }),
  protect: withDefault(oneOf('off', 'confident', 'all'), 'off', {
    env: 'DD_APPSEC_PROTECT',
    flag: 'protect',
    group: 'Detection',
    description:
      'What to block in addition to rules that block by themselves. off: nothing. confident: matches of rules with high confidence. all: every match.',
  }),
  policyFolder: optional(path, {
    env: 'APPSEC_EDGE_POLICY_FOLDER',
    aliases: ['DD_HAPROXY_SPOA_POLICY_FOLDER'],
    flag: 'policy-folder',
    group: 'Detection',
    description:
      "Folder of policy files in Remote Config's formats (lists, overrides, exclusions, rules). Watched for changes.",
  }),
  blockPagesFolder: optional(path, {
    env: 'APPSEC_EDGE_BLOCK_PAGES_FOLDER',
    aliases: ['DD_HAPROXY_SPOA_BLOCK_PAGES_FOLDER'],
    flag: 'block-pages-folder',
    group: 'Detection',
    description: 'Folder with block pages for single applications: <service>.html and <service>.json.',
  }),
  apiSecurityEnabled: withDefault(boolean, 'true', {
    env: 'DD_API_SECURITY_ENABLED',
    flag: 'api-security-enabled',
    group: 'Detection',
    description:
      'Extract the schemas of sampled requests and responses for the Datadog console (API Security).',
  }),
  schemasPerMinute: withDefault(integer(-1, 1_000_000), '300', {
    env: 'DD_API_SECURITY_PROXY_SAMPLE_RATE',
    flag: 'api-security-sample-rate',
    group: 'Detection',
    description: 'Transactions per minute whose schema is extracted. 0: none.',
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
    description: 'Detections reported per second. Blocking and metrics are not limited.',
  }),
  clientIpHeader: optional(headerName, {
    env: 'DD_TRACE_CLIENT_IP_HEADER',
    flag: 'client-ip-header',
    group: 'Detection',
    description: "The only header to read the client's address from. Default: Datadog's list of headers.",
  }),
  blockedTemplateHtmlPath: optional(path, {
    env: 'DD_APPSEC_HTTP_BLOCKED_TEMPLATE_HTML',
    flag: 'blocked-template-html',
    group: 'Detection',
    description: 'File with the HTML block page. `[security_response_id]` in it is replaced.',
  }),
  blockedTemplateJsonPath: optional(path, {
    env: 'DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON',
    flag: 'blocked-template-json',
    group: 'Detection',
    description: 'File with the JSON block page. `[security_response_id]` in it is replaced.',
  }),
  obfuscatorKeyRegex: optional(regularExpression, {
    env: 'DD_APPSEC_OBFUSCATION_PARAMETER_KEY_REGEXP',
    flag: 'obfuscation-key-regexp',
    group: 'Detection',
    description: "Keys whose values are redacted in events. Default: Datadog's pattern.",
  }),
  obfuscatorValueRegex: optional(regularExpression, {
    env: 'DD_APPSEC_OBFUSCATION_PARAMETER_VALUE_REGEXP',
    flag: 'obfuscation-value-regexp',
    group: 'Detection',
    description: "Values that are redacted in events. Default: Datadog's pattern.",
  }),
  queryStringRegex: optional(regularExpression, {
    env: 'DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP',
    flag: 'obfuscation-query-string-regexp',
    group: 'Detection',
    description:
      "Parts of a query string that become <redacted> in logs and spans. Default: Datadog's pattern.",
  }),
  service: optional(text, {
    env: 'DD_SERVICE',
    flag: 'service',
    group: 'Datadog',
    description: "Service name in Datadog's console. Default: that of the door; `spoa` for HAProxy.",
  }),
  environment: optional(text, {
    env: 'DD_ENV',
    flag: 'env',
    group: 'Datadog',
    description: 'Environment name, for example `prod`.',
  }),
  version: optional(text, {
    env: 'DD_VERSION',
    flag: 'service-version',
    group: 'Datadog',
    description: 'Version shown on spans and on the health port. Default: that of appsec-edge.',
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
    description: 'URL of the Datadog Agent (http, https or unix). Overrides host and port.',
  }),
  remoteConfigEnabled: withDefault(boolean, 'true', {
    env: 'DD_REMOTE_CONFIGURATION_ENABLED',
    flag: 'remote-config-enabled',
    group: 'Datadog',
    description: 'Get rules, lists and switches from the Datadog console, through the Datadog Agent.',
  }),
  remoteConfigPollIntervalMs: withDefault(seconds, '5', {
    env: 'DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS',
    flag: 'remote-config-poll-interval',
    group: 'Datadog',
    description: 'Seconds between two polls of Remote Config. 0: no pause.',
  }),
  queryStringDisabled: withDefault(boolean, 'false', {
    env: 'DD_TRACE_HTTP_URL_QUERY_STRING_DISABLED',
    flag: 'query-string-disabled',
    group: 'Datadog',
    description: 'Omit the query string from the URL of spans.',
  }),
  queryStringAllowlist: optional(nameList, {
    env: 'DD_TRACE_HTTP_URL_QUERY_STRING_ALLOWLIST',
    flag: 'query-string-allowlist',
    group: 'Datadog',
    description: 'Query parameters to keep in the URL of spans, separated by commas. Overrides obfuscation.',
  }),
  errorStatuses: withDefault(statusRanges, '500-599', {
    env: 'DD_TRACE_HTTP_SERVER_ERROR_STATUSES',
    flag: 'server-error-statuses',
    group: 'Datadog',
    description: 'Status codes that mark a span as an error: numbers and ranges, separated by commas.',
  }),
  tracingEnabled: withDefault(boolean, 'true', {
    env: 'DD_TRACE_ENABLED',
    flag: 'trace-enabled',
    group: 'Datadog',
    description: 'false: send nothing to a Datadog Agent, and no trace headers to the origin.',
  }),
  apmTracingEnabled: withDefault(boolean, 'false', {
    env: 'DD_APM_TRACING_ENABLED',
    flag: 'apm-tracing-enabled',
    group: 'Datadog',
    description: 'true: trace every request. false: only requests with a detection.',
  }),
  logLevel: withDefault(oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'), 'info', {
    env: 'APPSEC_EDGE_LOG_LEVEL',
    aliases: ['DD_HAPROXY_SPOA_LOG_LEVEL'],
    flag: 'log-level',
    group: 'Log',
    description: 'Minimum severity to log.',
  }),
  logFormat: withDefault(oneOf('auto', 'json', 'pretty'), 'auto', {
    env: 'APPSEC_EDGE_LOG_FORMAT',
    aliases: ['DD_HAPROXY_SPOA_LOG_FORMAT'],
    flag: 'log-format',
    group: 'Log',
    description: 'auto: readable text on a terminal, else JSON.',
  }),
} as const;

export type ProcessConfig = ConfigOf<typeof processSettings>;
