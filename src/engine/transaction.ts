import {
  bodyAddresses,
  bodyInput,
  clientIpOf,
  requestInput,
  responseInput,
  withListIndices,
} from './addresses.ts';
import { type Inspected, isBlocking } from './analysis.ts';
import { declaresBody, wantsRequestBody, wantsResponseBody } from './body/body-policy.ts';
import { type BodyPhase, BodyStreams } from './body/body-streams.ts';
import { type InspectedBody, inspectBody } from './body/inspect-body.ts';
import { type Coverage, worseCoverage } from './coverage.ts';
import type { Application, BodyChunk, HeaderList, RequestHead, ResponseHead } from './http.ts';
import type { TransactionTrace } from './trace.ts';
import type { TransactionServices } from './transaction-services.ts';
import type { DoorTraits, EndReason, Phase, TransactionView } from './transaction-view.ts';
import { TransactionWaf } from './transaction-waf.ts';
import { type Verdict, verdictOf } from './verdict.ts';
import type { WafInput } from './waf/waf-context.ts';
import type { WafEvent, WafResult } from './waf/waf-result.ts';
import type { WafSummary } from './waf-summary.ts';

/*
 *   begin ──► request headers ──► request body ──► response headers ──► response body ──► ended
 *                 │                   │                  │                   │
 *                 └───── block or redirect: ended ───────┴───────────────────┘
 *
 * Every step but one may be missing: through a door that sees no responses, a transaction is complete with its request,
 * and a response whose request went elsewhere begins a transaction of its own. It ends exactly once (see EndReason).
 * Ending inspects what came of a body that never ended, disposes of the WAF context and finishes the trace.
 */

/** Events kept for the report of one transaction; further ones still count for the verdict. */
const maxReportedEvents = 10;

/** One request and its response, from the first message that is seen of them to the end. */
export class Transaction implements TransactionView {
  readonly door: DoorTraits;
  readonly trace: TransactionTrace;
  readonly request: RequestHead | undefined;
  readonly clientIp: string | undefined;
  readonly startedAtMs = Date.now();
  response: ResponseHead | undefined;
  verdict: Verdict = { kind: 'pass' };
  readonly events: WafEvent[] = [];
  readonly ruleIds: string[] = [];
  readonly application: Application | undefined;
  readonly waf: WafSummary;
  coverage: Coverage = 'whole';
  wouldBlock = false;
  rateLimited = false;
  endReason: EndReason | undefined;

  readonly #services: TransactionServices;
  readonly #waf: TransactionWaf;
  readonly #bodies: BodyStreams;
  #pendingBodies = 0;
  #requestBodyWanted: boolean | undefined;
  #requestBodySeen = false;
  /** Why it ends once no body is being decompressed any more. */
  #endAfterBodies: EndReason | undefined;
  #mayBlock = true;
  #ending = false;

  constructor(
    door: DoorTraits,
    request: RequestHead | undefined,
    application: Application | undefined,
    trace: TransactionTrace,
    services: TransactionServices,
  ) {
    this.door = door;
    this.request = request;
    this.application = application;
    this.trace = trace;
    this.#services = services;
    this.#waf = new TransactionWaf(services);
    this.waf = this.#waf.summary;
    this.#bodies = new BodyStreams(services.bodyLimitBytes);
    this.clientIp = request && (request.clientIp ?? clientIpOf(request, services.clientIpHeader));
  }

  get id(): string {
    return this.trace.spanId;
  }

  get traceId(): string {
    return this.trace.traceId;
  }

  get partial(): boolean {
    return this.coverage !== 'whole';
  }

  /** Part of the transaction was not inspected. The worst coverage counts. */
  miss(coverage: Coverage): void {
    this.coverage = worseCoverage(this.coverage, coverage);
  }

  propagation(): HeaderList {
    return this.trace.propagation(this);
  }

  /** Whether the engine will look at the body of the request, if it is not blocked before. */
  get wantsRequestBody(): boolean {
    if (this.request === undefined || this.request.endOfStream === true) return false;
    const { headers, declaredBodySize: size, method, endOfStream } = this.request;
    this.#requestBodyWanted ??=
      wantsRequestBody(headers, size, this.#services.bodyLimitBytes, method, endOfStream === false) &&
      this.#isRead(bodyAddresses['request-body']);
    return this.#requestBodyWanted;
  }

  /** As `wantsRequestBody`, for a response that has not been analysed yet. */
  wantsResponseBody(response: ResponseHead): boolean {
    const { headers, status } = response;
    return (
      wantsResponseBody(headers, status, this.#services.bodyLimitBytes, this.request?.method) &&
      this.#isRead(bodyAddresses['response-body'])
    );
  }

  #isRead(addresses: readonly string[]): boolean {
    return this.endReason === undefined && this.#waf.readsAny(addresses);
  }

  /** Ends the transaction when nothing can follow: no body is wanted, and the door sees no responses. */
  analyseRequestHeaders(): Inspected {
    const request = this.request;
    if (request === undefined) return this.#nothingMore();
    if (request.bodyIsStream && this.wantsRequestBody) this.miss('partial');
    const input = requestInput(request, this.clientIp, this.#waf.wantsSchema);
    const verdict = this.#run('request-headers', input, !this.wantsRequestBody && !this.door.seesResponses);
    const analysis = this.#conclude(verdict, this.wantsRequestBody);
    if (!analysis.wantsBody && !this.door.seesResponses) this.finish('complete');
    return analysis;
  }

  /** Through a door that sees no responses, the end of the body ends the transaction. */
  analyseRequestBody(chunk: BodyChunk): Inspected | Promise<Inspected> {
    this.#requestBodySeen = true;
    const analysis = this.#analyseBody('request-body', chunk, this.request?.headers ?? []);
    return this.door.seesResponses ? analysis : this.#completeAfter(analysis);
  }

  /** Ends the transaction unless the response body is wanted. */
  analyseResponseHeaders(response: ResponseHead): Inspected {
    if (this.endReason !== undefined) return this.#nothingMore();
    this.response = response;
    if (this.#lacksRequestBody) this.miss('partial');
    const wantsBody = this.wantsResponseBody(response);
    const input = responseInput(response, this.#waf.wantsSchema);
    const verdict = this.#run('response-headers', input, !wantsBody);
    const analysis = this.#conclude(verdict, wantsBody);
    if (!analysis.wantsBody) this.finish('complete');
    return analysis;
  }

  /** The request body was requested and declared, but never arrived. */
  get #lacksRequestBody(): boolean {
    if (this.#requestBodyWanted !== true || this.#requestBodySeen || this.request === undefined) return false;
    return declaresBody(this.request.headers, this.request.declaredBodySize);
  }

  /** The end of the body ends the transaction. */
  analyseResponseBody(chunk: BodyChunk): Inspected | Promise<Inspected> {
    if (this.response === undefined) this.miss('partial');
    return this.#completeAfter(this.#analyseBody('response-body', chunk, this.response?.headers ?? []));
  }

  /** Idempotent: the first reason counts. */
  end(reason: EndReason): void {
    if (this.endReason !== undefined || this.#ending) return;
    this.#ending = true;
    if (reason !== 'blocked' && reason !== 'complete') this.#inspectUnfinished();
    this.endReason = reason;
    if (reason === 'expired') this.#account(this.#waf.describeUnfinished());
    this.#waf.dispose();
    this.#services.released(this);
    this.#contained(() => this.trace.finish(this));
    for (const observer of this.#services.observers) this.#contained(() => observer.ended?.(this, reason));
  }

  #contained(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#services.failed(cause);
    }
  }

  /** Nothing more will come. Bodies still being decompressed are inspected first; if the client is gone, they only report. */
  finish(reason: EndReason): void {
    this.#endAfterBodies ??= reason;
    if (reason === 'aborted') this.#mayBlock = false;
    if (this.#pendingBodies === 0) this.end(this.#endAfterBodies);
  }

  /** As soon as no more of the body is wanted. */
  #completeAfter(analysis: Inspected | Promise<Inspected>): Inspected | Promise<Inspected> {
    const complete = (done: Inspected): Inspected => {
      if (!done.wantsBody) this.finish('complete');
      return done;
    };
    return analysis instanceof Promise ? analysis.then(complete) : complete(analysis);
  }

  #analyseBody(phase: BodyPhase, chunk: BodyChunk, headers: HeaderList): Inspected | Promise<Inspected> {
    if (this.endReason !== undefined || this.#services.bodyLimitBytes <= 0) return this.#nothingMore();
    const body = this.#bodies.push(phase, chunk);
    if (body !== undefined) return this.#inspect(phase, body, headers);
    return { ...this.#nothingMore(), wantsBody: this.#bodies.wantsMore(phase) };
  }

  #inspect(phase: BodyPhase, body: BodyChunk, headers: HeaderList): Inspected | Promise<Inspected> {
    const { bodyLimitBytes: maxBytes, maxDecompressedBytes } = this.#services;
    const inspected = inspectBody(body, headers, { maxBytes, maxDecompressedBytes });
    return inspected instanceof Promise
      ? this.#concludeLater(phase, inspected)
      : this.#concludeBody(phase, inspected);
  }

  /** A body that never ended is reported as far as it came; it is too late to block. */
  #inspectUnfinished(): void {
    for (const [phase, body] of this.#bodies.takeUnfinished()) {
      const headers = (phase === 'request-body' ? this.request : this.response)?.headers ?? [];
      this.miss('partial');
      this.#mayBlock = false;
      this.#contained(() => void this.#inspect(phase, body, headers));
    }
  }

  async #concludeLater(phase: BodyPhase, inspected: Promise<InspectedBody>): Promise<Inspected> {
    this.#pendingBodies += 1;
    try {
      return this.#concludeBody(phase, await inspected);
    } finally {
      this.#pendingBodies -= 1;
      if (this.#endAfterBodies !== undefined) this.finish(this.#endAfterBodies);
    }
  }

  #concludeBody(phase: BodyPhase, body: InspectedBody): Inspected {
    // Decompression takes time: the transaction may have expired meanwhile.
    if (this.endReason !== undefined) return this.#nothingMore();
    if (body.partial) this.miss('partial');
    for (const observer of this.#services.observers) observer.bodyRead?.(this, phase, body);
    const isLast = phase === 'response-body' || !this.door.seesResponses;
    return this.#conclude(this.#run(phase, bodyInput(phase, body), isLast), false);
  }

  /** @param last no values of this transaction follow. */
  #run(phase: Phase, input: WafInput, last = false): Verdict {
    const result = last ? this.#waf.runLast(input) : this.#waf.run(input);
    if (result === undefined) return { kind: 'pass' };
    this.#account(result);
    const verdict = this.#permitted(
      verdictOf(result.actions, result.events.length > 0, this.request?.headers ?? []),
    );
    for (const observer of this.#services.observers) observer.wafRan?.(this, phase, result);
    if (result.events.length > 0) this.#remember(phase, withListIndices(result.events), verdict);
    return verdict;
  }

  #account(result: WafResult | undefined): void {
    if (result?.truncated || result?.timeout) this.miss('partial');
  }

  #remember(phase: Phase, events: readonly WafEvent[], verdict: Verdict): void {
    const reported = this.#services.allowReport();
    if (!reported) this.rateLimited = true;
    for (const event of events) {
      if (!this.ruleIds.includes(event.rule.id)) this.ruleIds.push(event.rule.id);
      if (reported && this.events.length < maxReportedEvents) this.events.push(event);
    }
    for (const observer of this.#services.observers) {
      observer.detected?.(this, phase, events, verdict, reported);
    }
  }

  #conclude(verdict: Verdict, wantsBody: boolean): Inspected {
    const blocks = isBlocking(verdict);
    if (blocks || this.verdict.kind === 'pass') this.verdict = verdict;
    if (blocks) this.end('blocked');
    return { kind: 'inspected', transaction: this, verdict: this.verdict, wantsBody: wantsBody && !blocks };
  }

  /** What the application allows of a verdict. */
  #permitted(verdict: Verdict): Verdict {
    const reportOnly = this.application?.reportOnly === true || this.door.reportOnly || !this.#mayBlock;
    if (!reportOnly || !isBlocking(verdict)) return verdict;
    this.wouldBlock = true;
    return { kind: 'report' };
  }

  #nothingMore(): Inspected {
    return { kind: 'inspected', transaction: this, verdict: this.verdict, wantsBody: false };
  }
}
