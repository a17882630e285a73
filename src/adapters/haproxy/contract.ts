/*
 * Names shared with haproxyconf/ and lua/, and with Datadog's published configuration. A change here is a change
 * there, and a new version of the configuration.
 */

/** The version that haproxyconf/ sends in the argument `conf_version`. */
export const configurationVersion = '1.4.0';

/** The SPOE messages, by what they carry. */
export const messageNames = {
  requestHeaders: 'http-request-headers-msg',
  requestBody: 'http-request-body-msg',
  responseHeaders: 'http-response-headers-msg',
  responseBody: 'http-response-body-msg',
} as const;

/** Arguments of the messages. Those after `timeout` are known to our own configuration only. */
export const argumentNames = {
  ip: 'ip',
  ipPort: 'ip_port',
  method: 'method',
  path: 'path',
  headers: 'headers',
  https: 'https',
  /** Time to live of the transaction, as HAProxy writes durations. */
  timeout: 'timeout',
  /** How long HAProxy waits for an answer, as it writes durations. */
  processingTimeout: 'processing_timeout',
  body: 'body',
  spanId: 'span_id',
  status: 'status',
  /** HAProxy's `req.body_size` or `res.body_size`: the declared length, 0 when unknown. */
  bodySize: 'body_size',
  /** True: HAProxy does not wait for the body of the request, and sends what has arrived with its head. */
  stream: 'stream',
  configurationVersion: 'conf_version',
  /** The application of this frontend, host or path; absent: as the agent was started. */
  service: 'service',
  environment: 'env',
  version: 'version',
  /** `report`: detections are reported and nothing is blocked. Anything else: as the rules say. */
  mode: 'mode',
} as const;

/** Variables that the agent sets: scope `txn`, and HAProxy puts the prefix `dd.` before them. */
export const variableNames = {
  /** Identity of the transaction, to be handed back with every later message: see identity.ts. */
  spanId: 'span_id',
  /** Send the request body; in Datadog's configuration also: send the response body. */
  requestBody: 'request_body',
  /** Send the response body. */
  responseBody: 'response_body',
  /** The Lua action must answer with `status`, `headers` and `body`. */
  blocked: 'blocked',
  status: 'status',
  /** `Name: value` lines, each ended by LF. */
  headers: 'headers',
  body: 'body',
  /**
   * Of the transaction as a whole, see standing.ts. `pass`, `report`, `block` or `redirect`; `partial`: nothing found,
   * but not everything was looked at (a body beyond HAProxy's buffer, the WAF's time-out, a request that is not known);
   * `skipped`: a message was not inspected, for lack of time; `error`: the same, because of an internal error.
   */
  verdict: 'verdict',
  /** Why the verdict is `skipped`: see SkipReason. */
  skippedReason: 'skipped_reason',
  /** Ids of the rules that matched so far, separated by commas. */
  ruleIds: 'rule_ids',
  /** For a person or a log: the trace in Datadog's console. */
  traceId: 'trace_id',
  /** A prefix: `x-datadog-trace-id` travels as `tracing_x_datadog_trace_id`. */
  tracingPrefix: 'tracing_',
} as const;

/**
 * Why a message was acknowledged without analysis. `overload`: it would have waited too long, or did; `no-engine`: no
 * engine thread was there; `engine-lost`: the engine thread died with it; `too-large`: its frame was not kept, for it
 * exceeds our own limit, or too many large ones came at once.
 */
export const skipReasons = ['overload', 'no-engine', 'engine-lost', 'too-large'] as const;
export type SkipReason = (typeof skipReasons)[number];
