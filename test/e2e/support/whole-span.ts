// A whole span as the Agent gets it, put together from layers, to be compared with `toEqual`: a tag that is missing,
// one too many and a wrong value all fail. What nobody can know beforehand is matched, and stands here alone.
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { ReceivedSpan } from '../../support/fake-agent.ts';

/** Part of a span; later layers win. */
export interface Layer {
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly metrics?: Readonly<Record<string, unknown>>;
}

const positive: unknown = expect.toSatisfy((value) => Number(value) > 0);
const uuid: unknown = expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);

/** Identities and times. */
const unknowable: Layer = {
  fields: { trace_id: positive, span_id: positive, parent_id: 0n, start: positive, duration: positive },
  meta: { '_dd.p.tid': expect.stringMatching(/^[\da-f]{8}0{8}$/) },
  metrics: { '_dd.appsec.waf.duration': positive, '_dd.appsec.waf.duration_ext': positive },
};

/** What dd-trace adds to every span by itself. */
const bookkeeping: Layer = {
  meta: {
    'runtime-id': uuid,
    '_dd.tags.process': expect.stringMatching(/(^|,)package\.json\.name:appsec-edge(,|$)/),
    ...{ service: 'edge', language: 'javascript' },
    ...{ '_dd.integration': 'opentracing', '_dd.sdk.otlp_export': 'false' },
  },
  metrics: { process_id: positive, '_dd.top_level': 1 },
};

const always: Layer = {
  fields: { name: 'http.request', type: 'web', service: 'edge', error: 0 },
  meta: {
    ...{ env: 'e2e', version: '7', 'span.kind': 'server', component: 'haproxy-spoa' },
    ...{ '_dd.runtime_family': 'nodejs', '_dd.appsec.event_rules.version': 'e2e-1' },
  },
  metrics: { '_dd.measured': 1, '_dd.appsec.enabled': 1, '_dd.appsec.rasp.duration_ext': 0 },
};

/** A span with these layers and nothing else. A value of undefined takes a tag away. */
export function wholeSpan(...layers: readonly Layer[]): Record<string, unknown> {
  const all = [unknowable, bookkeeping, always, ...layers];
  const merged = (part: keyof Layer): Record<string, unknown> =>
    Object.assign({}, ...all.map((layer) => layer[part] ?? {}));
  return { ...merged('fields'), meta: merged('meta'), metrics: merged('metrics') };
}

/** A received span with its JSON tags parsed: the order of keys says nothing. */
export function readable(span: ReceivedSpan): Record<string, unknown> {
  const isJson = (name: string): boolean => name === '_dd.appsec.json' || name.startsWith('_dd.appsec.s.');
  const meta = Object.entries(span.meta).map(([name, value]): [string, unknown] => [
    name,
    isJson(name) ? JSON.parse(value) : value,
  ]);
  return { ...span, meta: Object.fromEntries(meta) };
}

/** A client whose headers show what is collected of them, and what is not. */
export const browser = {
  ...{ 'user-agent': 'curl/8', accept: 'text/html', 'x-forwarded-for': '198.51.100.1' },
  ...{ cookie: 'session=2', authorization: 'Bearer secret', 'x-own': 'private' },
};

/** What a request of `browser` leaves, to a path that is its own endpoint. */
export function requestOf(method: string, path: string, query?: string): Layer {
  const target = query === undefined ? path : `${path}?${query}`;
  return {
    fields: { resource: `${method} ${path}` },
    meta: {
      ...{ 'http.method': method, 'http.url': `http://site.example${target}`, 'http.endpoint': path },
      ...{ 'http.host': 'site.example', 'http.useragent': 'curl/8' },
      ...{ 'network.client.ip': '127.0.0.1', 'http.client_ip': '198.51.100.1' },
      ...{ 'http.request.headers.host': 'site.example', 'http.request.headers.user-agent': 'curl/8' },
      'http.request.headers.accept': 'text/html',
      'http.request.headers.x-forwarded-for': '198.51.100.1',
      '_dd.appsec.fp.http.endpoint': endpointFingerprint(method, path, query),
      '_dd.appsec.fp.http.header': 'hdr-0000000010-d26c0650-3-260b4652',
      '_dd.appsec.fp.http.network': 'net-1-1000000000',
      '_dd.appsec.fp.session': `ssn--${shortHash('session')}-${shortHash('2')}-`,
    },
  };
}

/** What a JSON body of this many bytes adds to a request of `browser`. */
export function jsonBody(bytes: number): Layer {
  return {
    meta: {
      'http.request.headers.content-type': 'application/json',
      'http.request.headers.content-length': String(bytes),
      '_dd.appsec.fp.http.header': 'hdr-0000000110-d26c0650-4-5ba7b85e',
    },
  };
}

/** A response that reached the client as the origin sent it; without a length it came in chunks. */
export function responseOf(status: number, type: string, bytes?: number): Layer {
  const length = bytes === undefined ? {} : { 'http.response.headers.content-length': String(bytes) };
  return {
    meta: { 'http.status_code': String(status), 'http.response.headers.content-type': type, ...length },
  };
}

/** The origin's page. */
export const page = responseOf(200, 'text/html', 65);

/** Answered by us: nothing of the origin's headers was the client's. */
export function answeredByUs(status: number): Layer {
  return { meta: { 'appsec.blocked': 'true', 'http.status_code': String(status) } };
}

export const apmOff: Layer = { metrics: { '_dd.apm.enabled': 0 } };

/** Sent for no other reason than to say that the service lives. */
export const signOfLife: Layer = { metrics: { _sampling_priority_v1: 1 } };

/** Kept because nothing said otherwise, as dd-trace decides with APM on; `_dd.agent_psr` is its own rate. */
export const sampledByDefault: Layer = {
  meta: { '_dd.p.dm': '-0' },
  metrics: { _sampling_priority_v1: 1, '_dd.agent_psr': 1 },
};

export const keptByAppSec: Layer = {
  meta: { '_dd.p.dm': '-5', '_dd.p.ts': '02' },
  metrics: { _sampling_priority_v1: 2 },
};

/** One match of a rule of the tests, which is named as its id. */
export interface Match {
  readonly rule: string;
  readonly name: string;
  readonly address: string;
  readonly keyPath: readonly string[];
  readonly value: string;
  readonly action?: string;
  /** What a regular expression found, when that is the operator. */
  readonly regex?: string;
}

export function detected(match: Match): Layer {
  const { rule, name, address, keyPath, value, action, regex } = match;
  const tags = { type: name.replaceAll(' ', '_'), category: 'attack_attempt' };
  const operator = regex === undefined ? 'phrase_match' : 'match_regex';
  const parameters = [{ address, key_path: keyPath, value, highlight: [value] }];
  const trigger = {
    rule: { id: rule, name, tags, on_match: action === undefined ? [] : [action] },
    rule_matches: [{ operator, operator_value: regex ?? '', parameters }],
    ...(action === undefined ? {} : { security_response_id: uuid }),
  };
  const event = { 'appsec.event': 'true', '_dd.origin': 'appsec' };
  return {
    meta: { ...keptByAppSec.meta, ...event, '_dd.appsec.json': { triggers: [trigger] } },
    ...{ metrics: { ...keptByAppSec.metrics } },
  };
}

/** libddwaf's: method, and hashes of the path and of the names of parameters. The body comes too late for it. */
export function endpointFingerprint(method: string, path: string, query = ''): string {
  const names = [...new URLSearchParams(query).keys()].sort().join(',');
  return `http-${method.toLowerCase()}-${shortHash(path)}-${names === '' ? '' : shortHash(names)}-`;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
