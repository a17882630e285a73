import { clientIpOf, requestInput, responseInput, withListIndices } from './addresses.ts';
import { type Inspected, isBlocking } from './analysis.ts';
import { BodyCollector } from './body/body-collector.ts';
import { declaresBody, wantsRequestBody, wantsResponseBody } from './body/body-policy.ts';
import { type InspectedBody, inspectBody } from './body/inspect-body.ts';
import { type Coverage, worseCoverage } from './coverage.ts';
import type { Application, BodyChunk, HeaderList, RequestHead, ResponseHead } from './http.ts';
import type { TransactionTrace } from './trace.ts';
import type {
  DoorTraits,
  EndReason,
  Phase,
  TransactionObserver,
  TransactionView,
} from './transaction-view.ts';
import { type Verdict, verdictOf } from './verdict.ts';
import type { WafContext, WafInput } from './waf/waf-context.ts';
import type { WafEvent, WafResult } from './waf/waf-result.ts';
import { WafSummary } from './waf-summary.ts';

/*
 *   begin ──► request headers ──► request body ──► response headers ──► response body ──► ended
 *                 │                   │                  │                   │
 *                 └───── block or redirect: ended ───────┴───────────────────┘
 *
 * Every step but one may be missing: through a door that sees no responses, a transaction is complete with its request,
 * and a response whose request went elsewhere begins a transaction of its own. It ends exactly once (see EndReason).
 * Ending inspects what came of a body that never ended, disposes of the WAF context and finishes the trace.
 */

/** What a transaction needs from the engine that began it. */
export interface TransactionServices {
  readonly bodyLimitBytes: number;
  /** Whether the schema of one more transaction is wanted (API Security); asked once, before its first run. */
  sampleSchema(): boolean;
  readonly maxDecompressedBytes: number;
  readonly clientIpHeader: string | undefined;
  readonly observers: readonly TransactionObserver[];
  /** @param forSchema whether `sampleSchema` said so. */
  createContext(forSchema: boolean): WafContext;
  /** Whether one more event may be reported now. */
  allowReport(): boolean;
  /** Called when the transaction has ended, once. */
  released(transaction: Transaction): void;
  /** An observer or the trace threw at the ending: contained, for endings also come from timers. */
  failed(transaction: Transaction, cause: unknown): void;
}

/** Events kept for the report of one transaction; further ones still count for the verdict. */
const maxReportedEvents = 10;

/** Asks libddwaf for the schema of everything that it was given. */
const schemaRequest: WafInput = { 'waf.context.processor': { 'extract-schema': true } };

/** Of a body, and of the names of the files in it. */
const bodyAddresses = {
  'request-body': ['server.request.body', 'server.request.body.filenames'],
  'response-body': ['server.response.body', 'server.response.body.filenames'],
} as const;

type BodyPhase = keyof typeof bodyAddresses;

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
  readonly waf = new WafSummary();
  readonly application: Application | undefined;
  wouldBlock = false;
  rateLimited = false;
  endReason: EndReason | undefined;

  readonly #services: TransactionServices;
  #context: WafContext | undefined;
  #pendingBodies = 0;
  #schemaWanted: boolean | undefined;
  #requestBodyWanted: boolean | undefined;
  #requestBodySeen = false;
  #coverage: Coverage = 'whole';
  #lastMessageSeen = false;
  #mayBlock = true;
  #ending = false;
  readonly #collectors: Partial<Record<BodyPhase, BodyCollector>> = {};

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
    this.clientIp = request && (request.clientIp ?? clientIpOf(request, services.clientIpHeader));
  }

  get id(): string {
    return this.trace.spanId;
  }

  get traceId(): string {
    return this.trace.traceId;
  }

  get coverage(): Coverage {
    return this.#coverage;
  }

  get partial(): boolean {
    return this.#coverage !== 'whole';
  }

  /** Something was not looked at. What is worse stands. */
  miss(coverage: Coverage): void {
    this.#coverage = worseCoverage(this.#coverage, coverage);
  }

  propagation(): HeaderList {
    return this.trace.propagation(this);
  }

  /** Whether the engine will look at the body of the request, if it is not blocked before. */
  get wantsRequestBody(): boolean {
    if (this.request === undefined || this.request.endOfStream === true) return false;
    const { headers, declaredBodySize, method } = this.request;
    this.#requestBodyWanted ??=
      wantsRequestBody(headers, declaredBodySize, this.#services.bodyLimitBytes, method) &&
      this.#isRead(...bodyAddresses['request-body']);
    return this.#requestBodyWanted;
  }

  /** As `wantsRequestBody`, for a response that has not been analysed yet. */
  wantsResponseBody(response: ResponseHead): boolean {
    const { headers, status } = response;
    return (
      wantsResponseBody(headers, status, this.#services.bodyLimitBytes, this.request?.method) &&
      this.#isRead(...bodyAddresses['response-body'])
    );
  }

  /** Whether a rule looks at one of these, or the schema that is wanted: else a body would be held back for nothing. */
  #isRead(...addresses: readonly string[]): boolean {
    if (this.endReason !== undefined) return false;
    const context = this.#openContext();
    return addresses.some((address) => context.reads(address));
  }

  #openContext(): WafContext {
    this.#context ??= this.#services.createContext(this.#wantsSchema());
    return this.#context;
  }

  /** Ends the transaction when nothing can follow: no body is wanted, and the door sees no responses. */
  analyseRequestHeaders(): Inspected {
    const request = this.request;
    if (request === undefined) return this.#nothingMore();
    if (request.bodyIsStream && this.wantsRequestBody) this.miss('partial');
    const input = requestInput(request, this.clientIp, this.#wantsSchema());
    const isLast = !this.wantsRequestBody && !this.door.seesResponses;
    const verdict = this.#run('request-headers', isLast ? this.#lastInput(input) : input);
    const analysis = this.#conclude(verdict, this.wantsRequestBody);
    if (!analysis.wantsBody && !this.door.seesResponses) this.#complete();
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
    const input = responseInput(response, this.#wantsSchema());
    const verdict = this.#run('response-headers', wantsBody ? input : this.#lastInput(input));
    const analysis = this.#conclude(verdict, wantsBody);
    if (!analysis.wantsBody) this.#complete();
    return analysis;
  }

  /** It was asked for, there is one, and it never came. */
  get #lacksRequestBody(): boolean {
    if (this.#requestBodyWanted !== true || this.#requestBodySeen || this.request === undefined) return false;
    return declaresBody(this.request.headers, this.request.declaredBodySize);
  }

  /** The end of the body ends the transaction. */
  analyseResponseBody(chunk: BodyChunk): Inspected | Promise<Inspected> {
    if (this.response === undefined) this.miss('partial');
    return this.#completeAfter(this.#analyseBody('response-body', chunk, this.response?.headers ?? []));
  }

  /** Idempotent: the first reason stands. */
  end(reason: EndReason): void {
    if (this.endReason !== undefined || this.#ending) return;
    this.#ending = true;
    if (reason !== 'blocked' && reason !== 'complete') this.#inspectUnfinished();
    this.endReason = reason;
    if (reason === 'expired') this.#describeUnfinished();
    this.#context?.dispose();
    this.#context = undefined;
    this.#services.released(this);
    this.#contained(() => this.trace.finish(this));
    for (const observer of this.#services.observers) this.#contained(() => observer.ended?.(this, reason));
  }

  /** No message was the last one: what came before still has its schema. */
  #describeUnfinished(): void {
    const result = this.#wantsSchema() ? this.#context?.run(schemaRequest) : undefined;
    if (result !== undefined) this.#account(result);
  }

  #contained(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#services.failed(this, cause);
    }
  }

  /** A body that is still being decompressed is waited for: it is part of the transaction. */
  #complete(): void {
    this.#lastMessageSeen = true;
    if (this.#pendingBodies === 0) this.end('complete');
  }

  /** As soon as no more of the body is wanted. */
  #completeAfter(analysis: Inspected | Promise<Inspected>): Inspected | Promise<Inspected> {
    const complete = (done: Inspected): Inspected => {
      if (!done.wantsBody) this.#complete();
      return done;
    };
    return analysis instanceof Promise ? analysis.then(complete) : complete(analysis);
  }

  #analyseBody(phase: BodyPhase, chunk: BodyChunk, headers: HeaderList): Inspected | Promise<Inspected> {
    const { bodyLimitBytes } = this.#services;
    if (this.endReason !== undefined || bodyLimitBytes <= 0) return this.#nothingMore();
    const collector = this.#collectorOf(phase);
    const body = collector.push(chunk);
    if (body !== undefined) return this.#inspect(phase, body, headers);
    return { ...this.#nothingMore(), wantsBody: !collector.done };
  }

  #inspect(phase: BodyPhase, body: BodyChunk, headers: HeaderList): Inspected | Promise<Inspected> {
    const { bodyLimitBytes: maxBytes, maxDecompressedBytes } = this.#services;
    const inspected = inspectBody(body, headers, { maxBytes, maxDecompressedBytes });
    return inspected instanceof Promise
      ? this.#concludeLater(phase, inspected)
      : this.#concludeBody(phase, inspected);
  }

  /** A message that brings a body after the first one had its end brings another body. */
  #collectorOf(phase: BodyPhase): BodyCollector {
    const found = this.#collectors[phase];
    if (found !== undefined && !found.ended) return found;
    const collector = new BodyCollector(this.#services.bodyLimitBytes);
    this.#collectors[phase] = collector;
    return collector;
  }

  /** What came of a body that never ended is reported; it is too late to block. */
  #inspectUnfinished(): void {
    for (const phase of ['request-body', 'response-body'] as const) {
      const collector = this.#collectors[phase];
      if (collector?.pending !== true) continue;
      const headers = (phase === 'request-body' ? this.request : this.response)?.headers ?? [];
      this.miss('partial');
      this.#mayBlock = false;
      this.#contained(() => void this.#inspect(phase, collector.take(false), headers));
    }
  }

  async #concludeLater(phase: BodyPhase, inspected: Promise<InspectedBody>): Promise<Inspected> {
    this.#pendingBodies += 1;
    try {
      return this.#concludeBody(phase, await inspected);
    } finally {
      this.#pendingBodies -= 1;
      if (this.#lastMessageSeen) this.#complete();
    }
  }

  #concludeBody(phase: BodyPhase, body: InspectedBody): Inspected {
    // Decompression takes time: the transaction may have expired meanwhile.
    if (this.endReason !== undefined) return this.#nothingMore();
    if (body.partial) this.miss('partial');
    for (const observer of this.#services.observers) observer.bodyRead?.(this, phase, body);
    const [bodyAddress, filenamesAddress] = bodyAddresses[phase];
    const input: WafInput = {
      [bodyAddress]: body.body,
      [filenamesAddress]: body.filenames.length > 0 ? body.filenames : undefined,
    };
    const isLast = phase === 'response-body' || !this.door.seesResponses;
    return this.#conclude(this.#run(phase, isLast ? this.#lastInput(input) : input), false);
  }

  /** With the last values of a transaction, libddwaf can be asked for the schema of all of them. */
  #lastInput(input: WafInput): WafInput {
    return this.#wantsSchema() ? { ...input, ...schemaRequest } : input;
  }

  #wantsSchema(): boolean {
    this.#schemaWanted ??= this.#services.sampleSchema();
    return this.#schemaWanted;
  }

  #run(phase: Phase, input: WafInput): Verdict {
    const result = this.#openContext().run(input);
    if (result === undefined) return { kind: 'pass' };
    this.#account(result);
    const verdict = this.#permitted(
      verdictOf(result.actions, result.events.length > 0, this.request?.headers ?? []),
    );
    for (const observer of this.#services.observers) observer.wafRan?.(this, phase, result);
    if (result.events.length > 0) this.#remember(phase, withListIndices(result.events), verdict);
    return verdict;
  }

  #account(result: WafResult): void {
    this.waf.add(result);
    if (result.truncated || result.timeout) this.miss('partial');
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
    if (!reportOnly) return verdict;
    if (!isBlocking(verdict)) return verdict;
    this.wouldBlock = true;
    return { kind: 'report' };
  }

  #nothingMore(): Inspected {
    return { kind: 'inspected', transaction: this, verdict: this.verdict, wantsBody: false };
  }
}
