import type { Tracer as DatadogTracer, Span } from 'dd-trace';
import { isBlocking } from '../engine/analysis.ts';
import type { Application, HeaderList, RequestHead } from '../engine/http.ts';
import { type Limiter, RateLimiter } from '../engine/rate-limiter.ts';
import type { RemoteParent, Tracer, TransactionTrace } from '../engine/trace.ts';
import type { DoorTraits, TransactionView } from '../engine/transaction-view.ts';
import { continuesAppSecTrace, keepAsHeartbeat, keepTraceForAppSec, traceIdOf } from './dd-trace-package.ts';
import { type HttpTagSettings, requestTags, responseTags, type Tags } from './http-tags.ts';

/** What spans tell about the WAF that made them. */
export interface WafFacts {
  readonly libraryVersion: string;
  readonly rulesetVersion: string;
  /** Counts changes of the rules; the first span after each one says more than the others. */
  readonly generation: number;
}

export interface SpanSettings extends HttpTagSettings {
  /** APM is on: every transaction becomes a trace. Off: those with a detection, and one a minute as a sign of life. */
  readonly apmTracingEnabled: boolean;
  waf(): WafFacts;
  /** Service of a span whose application names none; undefined: that of the process. */
  serviceOf?(door: DoorTraits): string | undefined;
  /** Of the Remote Config client, when there is one. */
  remoteConfigClientId(): string | undefined;
  /** For the sign of life; absent: one of its own. Threads share one. */
  readonly heartbeat?: Limiter;
  /** One word with the newest generation that a span has announced, plus one; absent: one of its own. */
  readonly announced?: Int32Array<ArrayBufferLike>;
}

export const heartbeatIntervalMs = 60_000;

/** Attributes of the response that are not the client's once it was blocked. */
const responseSchemaPrefix = '_dd.appsec.s.res.';
const schemaPrefix = '_dd.appsec.s.';

/** Makes one service-entry span a transaction. */
export class SpanTracer implements Tracer {
  readonly #tracer: DatadogTracer;
  readonly settings: SpanSettings;
  readonly #heartbeat: Limiter;
  readonly #announced: Int32Array<ArrayBufferLike>;

  constructor(tracer: DatadogTracer, settings: SpanSettings) {
    this.#tracer = tracer;
    this.settings = settings;
    this.#heartbeat = settings.heartbeat ?? new RateLimiter(1, heartbeatIntervalMs);
    this.#announced = settings.announced ?? new Int32Array(1);
  }

  begin(request: RequestHead | undefined, remote?: RemoteParent): TransactionTrace {
    return new SpanTrace(this.#tracer, this, request, remote);
  }

  /** True for the first span after a change of the rules. */
  takeAnnouncement(): boolean {
    const mark = this.settings.waf().generation + 1;
    const announced = Atomics.load(this.#announced, 0);
    return announced < mark && Atomics.compareExchange(this.#announced, 0, announced, mark) === announced;
  }

  /** True once a minute. */
  takeHeartbeat(): boolean {
    return this.#heartbeat.take();
  }
}

/**
 * One span. It is started with the transaction, for its identity; its tags are written at the end, and only when it is
 * going to be sent: with APM off most are not, and an unfinished span costs nothing more.
 */
class SpanTrace implements TransactionTrace {
  readonly spanId: string;
  readonly traceId: string;
  readonly #tracer: DatadogTracer;
  readonly #factory: SpanTracer;
  readonly #span: Span;
  #kept: boolean;

  constructor(
    tracer: DatadogTracer,
    factory: SpanTracer,
    request: RequestHead | undefined,
    remote: RemoteParent | undefined,
  ) {
    this.#tracer = tracer;
    this.#factory = factory;
    const carrier = request === undefined ? carrierOfRemote(remote) : traceFieldsOf(request.headers);
    const parent = carrier === undefined ? null : tracer.extract('http_headers', carrier);
    this.#span = tracer.startSpan('http.request', parent === null ? {} : { childOf: parent });
    // A transaction that began elsewhere keeps the identity that HAProxy knows it by.
    this.spanId = remote?.spanId ?? this.#span.context().toSpanId();
    this.traceId = traceIdOf(this.#span);
    this.#kept = parent !== null && continuesAppSecTrace(this.#span);
    if (factory.settings.apmTracingEnabled) this.#describeForSampling(request);
  }

  /** Sampling is decided when trace headers are written: its rules look at service, resource and tags. */
  #describeForSampling(request: RequestHead | undefined): void {
    const tags: Tags = {
      'span.type': 'web',
      'span.kind': 'server',
      ...applicationTags(request?.application),
    };
    if (request !== undefined) Object.assign(tags, requestTags(request, this.#factory.settings));
    this.#span.addTags(tags);
  }

  propagation(transaction: TransactionView): HeaderList {
    if (transaction.events.length > 0 || transaction.waf.keep) this.#keep();
    // With APM off the client's own headers pass untouched. dd-trace says so too, but for baggage, which it would write anew.
    if (!this.#kept && !this.#factory.settings.apmTracingEnabled) return [];
    const carrier: Record<string, unknown> = {};
    this.#tracer.inject(this.#span, 'http_headers', carrier);
    return Object.entries(carrier).map(([name, value]) => [name, String(value)] as const);
  }

  finish(transaction: TransactionView): void {
    const settings = this.#factory.settings;
    const tags: Tags = {};
    if (transaction.events.length > 0 || transaction.waf.keep) this.#keep();
    if (this.#factory.takeAnnouncement()) {
      this.#keep();
      tags['_dd.appsec.waf.version'] = settings.waf().libraryVersion;
      const clientId = settings.remoteConfigClientId();
      if (clientId !== undefined) tags['_dd.rc.client_id'] = clientId;
    }
    const schemas = Object.keys(transaction.waf.attributes).some((name) => name.startsWith(schemaPrefix));
    if (schemas && !settings.apmTracingEnabled) this.#keep();
    if (!this.#kept && !settings.apmTracingEnabled) {
      if (!this.#factory.takeHeartbeat()) return;
      keepAsHeartbeat(this.#span);
    }
    Object.assign(
      tags,
      spanTags(transaction, settings),
      this.#httpTags(transaction),
      appSecTags(transaction, settings),
    );
    // An origin that came with the request stays.
    if (transaction.events.length > 0 && !this.#hasOrigin(transaction)) tags['_dd.origin'] = 'appsec';
    this.#span.addTags(tags);
    this.#span.finish();
  }

  #httpTags(transaction: TransactionView): Tags {
    const settings = this.#factory.settings;
    const { request, response, verdict, clientIp } = transaction;
    const blocked = isBlocking(verdict);
    // With APM on they are there since the beginning.
    const tags = request === undefined || settings.apmTracingEnabled ? {} : requestTags(request, settings);
    if (clientIp !== undefined) tags['http.client_ip'] = clientIp;
    // What the client saw: ours when we blocked; nothing is known when no response came by.
    const status = blocked ? verdict.status : response?.status;
    return Object.assign(tags, responseTags(status, blocked ? [] : (response?.headers ?? []), settings));
  }

  #hasOrigin(transaction: TransactionView): boolean {
    return transaction.request?.headers.some(([name]) => name === 'x-datadog-origin') ?? false;
  }

  #keep(): void {
    if (this.#kept) return;
    this.#kept = true;
    keepTraceForAppSec(this.#span);
  }
}

function spanTags(transaction: TransactionView, settings: SpanSettings): Tags {
  const service = settings.serviceOf?.(transaction.door);
  const tags: Tags = {
    ...(service === undefined ? {} : { 'service.name': service }),
    'span.type': 'web',
    'span.kind': 'server',
    component: transaction.door.component,
    '_dd.measured': 1,
    '_dd.runtime_family': 'nodejs',
    ...applicationTags(transaction.application),
  };
  if (transaction.partial) tags['appsec_edge.partial'] = 'true';
  if (transaction.endReason === 'expired' || transaction.endReason === 'evicted') {
    tags['appsec_edge.incomplete'] = transaction.endReason;
  }
  return tags;
}

function applicationTags(application: Application | undefined): Tags {
  const tags: Tags = {};
  if (application?.service !== undefined) tags['service.name'] = application.service;
  if (application?.environment !== undefined) tags['env'] = application.environment;
  if (application?.version !== undefined) tags['version'] = application.version;
  return tags;
}

function appSecTags(transaction: TransactionView, settings: SpanSettings): Tags {
  const { waf } = transaction;
  const blocked = isBlocking(transaction.verdict);
  const tags: Tags = {
    '_dd.appsec.enabled': 1,
    '_dd.appsec.event_rules.version': settings.waf().rulesetVersion,
    '_dd.appsec.waf.duration_ext': waf.durationExtUs,
    '_dd.appsec.rasp.duration_ext': 0,
  };
  if (waf.durationUs > 0) tags['_dd.appsec.waf.duration'] = waf.durationUs;
  if (waf.timeouts > 0) tags['_dd.appsec.waf.timeouts'] = waf.timeouts;
  if (waf.errorCode !== undefined) {
    tags['_dd.appsec.waf.error'] = waf.errorCode;
    tags['_dd.appsec.error.type'] = 'appsec::waf::exception';
    tags['_dd.appsec.error.message'] = (waf.errorMessage ?? '').slice(0, 512);
  }
  for (const [name, size] of Object.entries(waf.truncations)) tags[`_dd.appsec.truncated.${name}`] = size;
  for (const [name, value] of Object.entries(waf.attributes)) {
    if (blocked && name.startsWith(responseSchemaPrefix)) continue;
    tags[name] = typeof value === 'number' || typeof value === 'string' ? value : JSON.stringify(value);
  }
  if (transaction.rateLimited) tags['_dd.appsec.rate_limited'] = 1;
  if (transaction.events.length > 0) {
    tags['appsec.event'] = 'true';
    tags['_dd.appsec.json'] = JSON.stringify({ triggers: transaction.events });
  }
  if (blocked) tags['appsec.blocked'] = 'true';
  return tags;
}

/** Fields of all the propagation styles that dd-trace knows. */
const traceField = /^(?:x-datadog-.+|traceparent|tracestate|baggage|ot-baggage-.+|b3|x-b3-.+)$/;

/**
 * What a trace can come with, of repeated fields the first: dd-trace reads one. Nothing has to be extracted, too: that is
 * how dd-trace forgets the baggage of the request before.
 */
function traceFieldsOf(headers: HeaderList): Record<string, string> {
  const carrier: Record<string, string> = Object.create(null);
  for (const [name, value] of headers) if (traceField.test(name)) carrier[name] ??= value;
  return carrier;
}

/** The trace of a transaction that is not here, in both styles: which of them dd-trace reads is a setting of its own. */
function carrierOfRemote(remote: RemoteParent | undefined): Record<string, string> | undefined {
  if (remote?.traceId === undefined) return undefined;
  const [high, low] = [remote.traceId.slice(0, 16), remote.traceId.slice(16)];
  return {
    'x-datadog-trace-id': BigInt(`0x${low}`).toString(),
    'x-datadog-parent-id': remote.spanId,
    'x-datadog-tags': `_dd.p.tid=${high}`,
    traceparent: `00-${remote.traceId}-${BigInt(remote.spanId).toString(16).padStart(16, '0')}-01`,
  };
}
