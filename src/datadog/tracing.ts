import type { Tracer as DatadogTracer, Span } from 'dd-trace';
import type { HeaderList, RequestHead } from '../engine/http.ts';
import { headerValue } from '../engine/http.ts';
import type { QueryObfuscator } from '../engine/query-obfuscator.ts';
import type { Tracer, TransactionTrace } from '../engine/trace.ts';
import type { Transaction } from '../engine/transaction.ts';
import { flushSpans, keepTraceForAppSec } from './dd-trace-package.ts';

export interface DatadogSettings {
  readonly service: string;
  readonly environment: string | undefined;
  readonly version: string;
  readonly agentHost: string;
  readonly agentPort: number;
  readonly agentUrl: string | undefined;
  readonly apmTracingEnabled: boolean;
}

/** What stays fixed on every span of this process. */
export interface SpanFacts {
  readonly rulesetVersion: string;
  readonly queryObfuscator: QueryObfuscator;
}

export interface DatadogTracing {
  readonly tracer: Tracer;
  /** Sends what is finished; for the end of the process. */
  flush(): Promise<void>;
}

/**
 * Starts dd-trace, once a process. It reads its own variables when it is first loaded, therefore the defaults that
 * this agent fixes are written to the environment before: unset or empty ones only, as the original does.
 */
export async function startDatadogTracing(
  settings: DatadogSettings,
  facts: SpanFacts,
): Promise<DatadogTracing> {
  process.env['DD_APM_TRACING_ENABLED'] = String(settings.apmTracingEnabled);
  process.env['DD_TRACE_PROPAGATION_STYLE'] ||= 'datadog';
  process.env['DD_TRACE_STARTUP_LOGS'] ||= 'false';
  // dd-trace must not analyse our own health server, nor load a second WAF.
  process.env['DD_APPSEC_ENABLED'] = 'false';
  process.env['DD_REMOTE_CONFIGURATION_ENABLED'] = 'false';
  const { default: tracer } = await import('dd-trace');
  tracer.init({
    service: settings.service,
    ...(settings.environment === undefined ? {} : { env: settings.environment }),
    version: settings.version,
    plugins: false,
    ...(settings.agentUrl === undefined
      ? { hostname: settings.agentHost, port: settings.agentPort }
      : { url: settings.agentUrl }),
  });
  return {
    tracer: { begin: (request, spanId) => new SpanTrace(tracer, request, spanId, facts) },
    flush: () => flushSpans(tracer),
  };
}

/** One service-entry span a transaction. */
class SpanTrace implements TransactionTrace {
  readonly spanId: string;
  readonly traceId: string;
  readonly #tracer: DatadogTracer;
  readonly #span: Span;
  #kept = false;

  constructor(
    tracer: DatadogTracer,
    request: RequestHead | undefined,
    spanId: string | undefined,
    facts: SpanFacts,
  ) {
    this.#tracer = tracer;
    const parent = request === undefined ? null : tracer.extract('http_headers', carrierOf(request.headers));
    this.#span = tracer.startSpan('http.request', {
      ...(parent === null ? {} : { childOf: parent }),
      tags: {
        'span.type': 'web',
        'span.kind': 'server',
        component: 'haproxy-spoa',
        '_dd.appsec.enabled': 1,
        '_dd.runtime_family': 'nodejs',
        '_dd.appsec.event_rules.version': facts.rulesetVersion,
        ...(request === undefined ? {} : requestTags(request, facts.queryObfuscator)),
      },
    });
    const context = this.#span.context();
    // A lost transaction keeps the identity that HAProxy knows it by.
    this.spanId = spanId ?? context.toSpanId();
    // The public way to all 128 bits: version-traceid-spanid-flags.
    this.traceId = context.toTraceparent().split('-')[1] ?? '';
  }

  propagation(transaction: Transaction): HeaderList {
    if (transaction.events.length > 0 || transaction.keep) this.#keep();
    const carrier: Record<string, unknown> = {};
    this.#tracer.inject(this.#span, 'http_headers', carrier);
    return Object.entries(carrier).map(([name, value]) => [name, String(value)] as const);
  }

  finish(transaction: Transaction): void {
    const span = this.#span;
    if (transaction.clientIp !== undefined) span.setTag('http.client_ip', transaction.clientIp);
    const status = statusOf(transaction);
    if (status !== undefined) {
      span.setTag('http.status_code', String(status));
      if (status >= 500) span.setTag('error', true);
    }
    if (transaction.endReason === 'expired' || transaction.endReason === 'evicted') {
      span.setTag('appsec_edge.incomplete', transaction.endReason);
    }
    span.setTag('_dd.appsec.waf.duration', transaction.wafDurationUs);
    span.setTag('_dd.appsec.waf.duration_ext', transaction.wafDurationExtUs);
    if (transaction.wafTimeouts > 0) span.setTag('_dd.appsec.waf.timeouts', transaction.wafTimeouts);
    if (transaction.wafErrorCode !== undefined) {
      span.setTag('_dd.appsec.waf.error', transaction.wafErrorCode);
      span.setTag('_dd.appsec.error.type', 'appsec::waf::exception');
      span.setTag('_dd.appsec.error.message', (transaction.wafErrorMessage ?? '').slice(0, 512));
    }
    for (const [name, value] of Object.entries(transaction.attributes)) {
      span.setTag(name, typeof value === 'object' ? JSON.stringify(value) : value);
    }
    if (transaction.rateLimited) span.setTag('_dd.appsec.rate_limited', 1);
    if (transaction.events.length > 0) {
      span.setTag('appsec.event', 'true');
      span.setTag('_dd.origin', 'appsec');
      span.setTag('_dd.appsec.json', JSON.stringify({ triggers: transaction.events }));
      this.#keep();
    }
    if (transaction.verdict.kind === 'block' || transaction.verdict.kind === 'redirect') {
      span.setTag('appsec.blocked', 'true');
    }
    span.finish();
  }

  #keep(): void {
    if (this.#kept) return;
    this.#kept = true;
    keepTraceForAppSec(this.#span);
  }
}

/** The status that the client saw: ours when we blocked; undefined when no response came by. */
function statusOf(transaction: Transaction): number | undefined {
  const verdict = transaction.verdict;
  if (verdict.kind === 'block' || verdict.kind === 'redirect') return verdict.status;
  return transaction.response?.status;
}

function requestTags(request: RequestHead, obfuscator: QueryObfuscator): Record<string, string> {
  const host = headerValue(request.headers, 'host') ?? '';
  const target = obfuscator.obfuscate(request.target);
  const queryStart = request.target.indexOf('?');
  const path = queryStart === -1 ? request.target : request.target.slice(0, queryStart);
  return {
    'resource.name': `${request.method} ${path}`,
    'http.method': request.method,
    'http.url': target.startsWith('/') ? `${request.https ? 'https' : 'http'}://${host}${target}` : target,
    ...(host === '' ? {} : { 'http.host': host }),
    'http.useragent': headerValue(request.headers, 'user-agent') ?? '',
    ...(request.peerAddress === undefined ? {} : { 'network.client.ip': request.peerAddress }),
  };
}

/** dd-trace reads one value a name; of repeated fields the first counts. */
function carrierOf(headers: HeaderList): Record<string, string> {
  const carrier: Record<string, string> = Object.create(null);
  for (const [name, value] of headers) carrier[name] ??= value;
  return carrier;
}
