/*
 * What libddwaf 1.30 and the engine know by name. test/policy/known-names.test.ts asks libddwaf itself, and compares
 * with Datadog's ruleset and library: a new version of either shows there.
 */

/** What `on_match` of a rule can name without a definition. */
export const builtInActions = ['block', 'extract_schema', 'monitor', 'stack_trace'] as const;

/** What `on_match` of an exclusion can say, beside actions. */
export const exclusionModes = ['bypass', 'monitor'] as const;

/** `type` of an action. Any other does nothing. */
export const actionTypes = [
  'block_request',
  'redirect_request',
  'generate_stack',
  'generate_schema',
  'monitor',
] as const;

export const pageTypes = ['auto', 'html', 'json'] as const;

/** Of libddwaf; any other becomes 303. */
export const redirectStatuses: readonly number[] = [301, 302, 303, 307];

/** Processors and the parameters of their mappings that name inputs. */
export const generators: Readonly<Record<string, readonly string[]>> = {
  extract_schema: ['inputs'],
  http_endpoint_fingerprint: ['method', 'uri_raw', 'query', 'body'],
  http_header_fingerprint: ['headers'],
  http_network_fingerprint: ['headers'],
  session_fingerprint: ['cookies', 'session_id', 'user_id'],
  jwt_decode: ['inputs'],
  uri_parse: ['inputs'],
};

/** Addresses that the engine provides, whatever the door. */
export const givenAddresses = [
  'http.client_ip',
  'server.request.body',
  'server.request.body.filenames',
  'server.request.cookies',
  'server.request.headers.no_cookies',
  'server.request.method',
  'server.request.path_params',
  'server.request.query',
  'server.request.uri.raw',
  'server.response.body',
  'server.response.body.filenames',
  'server.response.headers.no_cookies',
  'server.response.status',
  'waf.context.processor',
] as const;

/** Those among them that never hold a number or a boolean. */
export const textAddresses: ReadonlySet<string> = new Set(
  givenAddresses.filter((address) => !/\.body$|^waf\./.test(address)),
);

/** Addresses that only an application can provide. Rules written for both name them; a proxy ignores them. */
export const applicationAddresses = [
  'graphql.server.all_resolvers',
  'graphql.server.resolver',
  'grpc.server.method',
  'grpc.server.request.message',
  'grpc.server.request.metadata',
  'grpc.server.response.message',
  'grpc.server.response.metadata.headers',
  'grpc.server.response.metadata.trailers',
  'grpc.server.response.status',
  'server.business_logic.llm.event',
  'server.business_logic.payment.cancellation',
  'server.business_logic.payment.creation',
  'server.business_logic.payment.failure',
  'server.business_logic.payment.success',
  'server.business_logic.users.login.failure',
  'server.business_logic.users.login.success',
  'server.business_logic.users.signup',
  'server.db.statement',
  'server.db.system',
  'server.io.fs.file',
  'server.io.fs.file_write',
  'server.io.net.request.body',
  'server.io.net.request.headers',
  'server.io.net.request.method',
  'server.io.net.response.body',
  'server.io.net.response.headers',
  'server.io.net.response.status',
  'server.io.net.url',
  'server.request.body.combined_file_size',
  'server.request.body.files_content',
  'server.request.body.raw',
  'server.request.jwt',
  'server.request.trailers',
  'server.response.trailers',
  'server.sys.exec.cmd',
  'server.sys.shell.cmd',
  'usr.id',
  'usr.login',
  'usr.session_id',
] as const;

/** Operators with their parameters; `!` and `@v2` are taken off before. */
export const operators: Readonly<Record<string, readonly string[]>> = {
  match_regex: ['inputs', 'regex', 'options'],
  match_regex_with_checksum: ['inputs', 'regex', 'options', 'checksum'],
  phrase_match: ['inputs', 'list', 'options'],
  exact_match: ['inputs', 'list', 'data'],
  ip_match: ['inputs', 'list', 'data'],
  equals: ['inputs', 'type', 'value', 'delta'],
  greater_than: ['inputs', 'type', 'value'],
  lower_than: ['inputs', 'type', 'value'],
  exists: ['inputs'],
  is_sqli: ['inputs'],
  is_xss: ['inputs'],
  hidden_ascii_match: ['inputs'],
  lfi_detector: ['resource', 'params', 'options'],
  shi_detector: ['resource', 'params', 'options'],
  cmdi_detector: ['resource', 'params', 'options'],
  ssrf_detector: ['resource', 'params', 'options', 'policy'],
  sqli_detector: ['resource', 'params', 'db_type', 'options'],
};

export const negatableOperators: ReadonlySet<string> = new Set([
  ...['match_regex', 'match_regex_with_checksum', 'phrase_match', 'exact_match', 'ip_match'],
  ...['equals', 'exists'],
]);

/** `options` by operator. */
export const operatorOptions: Readonly<Record<string, readonly string[]>> = {
  match_regex: ['case_sensitive', 'min_length'],
  match_regex_with_checksum: ['case_sensitive', 'min_length'],
  phrase_match: ['enforce_word_boundary'],
  ssrf_detector: [
    ...['authority-inspection', 'path-inspection', 'query-inspection', 'forbid-full-url-injection'],
    'enforce-policy-without-injection',
  ],
};

export const transformers = [
  ...[
    'lowercase',
    'remove_nulls',
    'compress_whitespace',
    'normalize_path',
    'normalize_path_win',
    'url_decode',
  ],
  ...['url_decode_iis', 'css_decode', 'js_decode', 'html_entity_decode', 'base64_decode', 'base64url_decode'],
  ...['base64_encode', 'shell_unescape', 'url_basename', 'url_path', 'url_querystring', 'remove_comments'],
  ...['unicode_normalize', 'removeNulls', 'compressWhiteSpace', 'normalizePath', 'normalizePathWin'],
  ...[
    'urlDecode',
    'urlDecodeUni',
    'cssDecode',
    'jsDecode',
    'htmlEntityDecode',
    'base64Decode',
    'base64Encode',
  ],
  ...['cmdLine', '_sqr_basename', '_sqr_filename', '_sqr_querystring', 'removeComments'],
  ...['keys_only', 'values_only'],
] as const;

/** Lists that Remote Config delivers to Datadog's own rules and exclusions: no file has to define them. */
export const deliveredLists: ReadonlySet<string> = new Set([
  ...['blocked_ips', 'blocked_users', 'suspicious_ips', 'suspicious_ips_data_id'],
]);

/** Common mistakes for these names, as lower-case words joined by `_`. */
export const actionSynonyms: Readonly<Record<string, string>> = {
  ...{ deny: 'block', drop: 'block', reject: 'block', forbid: 'block', blocking: 'block', ban: 'block' },
  ...{ block_request: 'block', http_403: 'block', log: 'monitor', report: 'monitor', detect: 'monitor' },
  ...{ generate_stack: 'stack_trace', generate_schema: 'extract_schema' },
};

export const exclusionSynonyms: Readonly<Record<string, string>> = {
  ...{
    ...actionSynonyms,
    allow: 'bypass',
    pass: 'bypass',
    skip: 'bypass',
    ignore: 'bypass',
    exclude: 'bypass',
  },
};

export const actionTypeSynonyms: Readonly<Record<string, string>> = {
  ...{ block: 'block_request', deny: 'block_request', redirect: 'redirect_request' },
  ...{ stack_trace: 'generate_stack', extract_schema: 'generate_schema' },
};

export const operatorSynonyms: Readonly<Record<string, string>> = {
  ...{ regex: 'match_regex', regexp: 'match_regex', rx: 'match_regex', regex_match: 'match_regex' },
  ...{ begins_with: 'match_regex', starts_with: 'match_regex', ends_with: 'match_regex' },
  ...{ contains: 'phrase_match', match_phrase: 'phrase_match', pm: 'phrase_match' },
  ...{ match_exact: 'exact_match', in: 'exact_match', match_ip: 'ip_match', ip: 'ip_match' },
  ...{ equal: 'equals', eq: 'equals', gt: 'greater_than', lt: 'lower_than', less_than: 'lower_than' },
  ...{ sqli: 'is_sqli', xss: 'is_xss', exist: 'exists' },
};

export const addressSynonyms: Readonly<Record<string, string>> = {
  ...{ 'server.request.path': 'server.request.uri.raw', 'server.request.url': 'server.request.uri.raw' },
  ...{ 'http.url': 'server.request.uri.raw', 'server.request.args': 'server.request.query' },
  ...{ 'server.request.form': 'server.request.body', 'server.request.client_ip': 'http.client_ip' },
  ...{ client_ip: 'http.client_ip', 'http.status_code': 'server.response.status' },
  ...{ 'server.request.ip': 'http.client_ip', 'server.client_ip': 'http.client_ip' },
};
