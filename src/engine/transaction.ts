import { clientIpOf, requestInput, responseInput, withListIndices } from './addresses.ts';
import { declaresBody, wantsRequestBody, wantsResponseBody } from './body/body-policy.ts';
import { type InspectedBody, inspectBody } from './body/inspect-body.ts';
import { type Coverage, worseCoverage } from './coverage.ts';
import type { Application, BodyChunk, HeaderList, RequestHead, ResponseHead } from './http.ts';
import type { TransactionTrace } from './trace.ts';
import { type Verdict, verdictOf } from './verdict.ts';
import type { WafContext, WafInput } from './waf/waf-context.ts';
import type { WafEvent, WafResult } from './waf/waf-result.ts';
import { WafSummary } from './waf-summary.ts';

/*
 *   begin ──► request headers ──► request body ──► response headers ──► response body ──► ended
 *                 │                   │                  │                   │
 *                 └───── block or redirect: ended ───────┴───────────────────┘
 *
 * Every step but one may be missing: a door that sends only request headers is complete, and a response whose
 * request went elsewhere begins a transaction of its own. It ends exactly once: blocked, complete (the last message
 * that was asked for has been analysed), expired (its time to live), evicted (too many live ones), skipped (its last
 * message was let through unseen, for want of time) or drained (the process stops). Ending disposes of the WAF context and finishes the trace.
 */

export type Phase = 'request-headers' | 'request-body' | 'response-headers' | 'response-body';
export type EndReason = 'blocked' | 'complete' | 'expired' | 'evicted' | 'skipped' | 'drained';

/** What one message led to. */
export interface Analysis {
  readonly transaction: Transaction;
  readonly verdict: Verdict;
  /** The engine will look at the body of this direction if it is sent. */
  readonly wantsBody: boolean;
  /** The analysis is still to come: the verdict says nothing yet. */
  readonly deferred?: boolean;
  /** Of a deferred one: there was no room, it will never come. */
  readonly skipped?: boolean;
}

/** Told what happens to transactions. Must not throw. */
export interface TransactionObserver {
  wafRan?(transaction: Transaction, phase: Phase, result: WafResult): void;
  /** Rules matched. `reported` is false when the rate limit on reports was used up. */
  detected?(
    transaction: Transaction,
    phase: Phase,
    events: readonly WafEvent[],
    verdict: Verdict,
    reported: boolean,
  ): void;
  bodyRead?(transaction: Transaction, phase: Phase, body: InspectedBody): void;
  ended?(transaction: Transaction, reason: EndReason): void;
}

/** What a transaction needs from the engine that began it. */
export interface TransactionSurroundings {
  readonly bodyLimitBytes: number;
  /** Whether the schema of one more transaction is wanted (API Security); asked once, before its first run. */
  sampleSchema(): boolean;
  readonly maxDecompressedBytes: number;
  readonly clientIpHeader: string | undefined;
  /** Nothing is blocked, whatever the application says. */
  readonly reportOnly: boolean;
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

export class Transaction {
  readonly trace: TransactionTrace;
  readonly request: RequestHead | undefined;
  readonly clientIp: string | undefined;
  readonly startedAtMs = Date.now();

  response: ResponseHead | undefined;
  verdict: Verdict = { kind: 'pass' };
  /** The events to report, at most ten. */
  readonly events: WafEvent[] = [];
  readonly ruleIds: string[] = [];
  readonly waf = new WafSummary();
  readonly application: Application | undefined;
  /** The rules would have blocked, the application only reports. */
  wouldBlock = false;
  /** Events were found while the rate limit on reports was used up: they are counted, not reported. */
  rateLimited = false;
  endReason: EndReason | undefined;

  readonly #around: TransactionSurroundings;
  #context: WafContext | undefined;
  #pendingBodies = 0;
  #schemaWanted: boolean | undefined;
  #requestBodyWanted: boolean | undefined;
  #requestBodySeen = false;
  #coverage: Coverage = 'whole';
  #lastMessageSeen = false;

  constructor(
    request: RequestHead | undefined,
    application: Application | undefined,
    trace: TransactionTrace,
    around: TransactionSurroundings,
  ) {
    this.request = request;
    this.application = application;
    this.trace = trace;
    this.#around = around;
    this.clientIp = request === undefined ? undefined : clientIpOf(request, around.clientIpHeader);
  }

  /** The identity that doors hand back with every later message: an unsigned 64-bit integer in decimal. */
  get id(): string {
    return this.trace.spanId;
  }

  get coverage(): Coverage {
    return this.#coverage;
  }

  /**
   * Not everything was looked at: a body was seen in part or not at all, a message was let through, the WAF ran out of
   * time, or the request is not known here.
   */
  get partial(): boolean {
    return this.#coverage !== 'whole';
  }

  /** Something was not looked at. What is worse stands. */
  miss(coverage: Coverage): void {
    this.#coverage = worseCoverage(this.#coverage, coverage);
  }

  /** Whether the engine will look at the body of the request, if it is not blocked before. */
  get wantsRequestBody(): boolean {
    if (this.request === undefined) return false;
    const { headers, declaredBodySize, method } = this.request;
    this.#requestBodyWanted ??=
      wantsRequestBody(headers, declaredBodySize, this.#around.bodyLimitBytes, method) &&
      this.#isRead(...bodyAddresses['request-body']);
    return this.#requestBodyWanted;
  }

  /** As `wantsRequestBody`, for a response that has not been analysed yet. */
  wantsResponseBody(response: ResponseHead): boolean {
    const { headers, status } = response;
    return (
      wantsResponseBody(headers, status, this.#around.bodyLimitBytes, this.request?.method) &&
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
    this.#context ??= this.#around.createContext(this.#wantsSchema());
    return this.#context;
  }

  analyseRequestHeaders(): Analysis {
    const request = this.request;
    if (request === undefined) return this.#nothingMore();
    if (request.bodyIsStream && this.wantsRequestBody) this.miss('partial');
    const verdict = this.#run('request-headers', requestInput(request, this.clientIp, this.#wantsSchema()));
    return this.#conclude(verdict, this.wantsRequestBody);
  }

  analyseRequestBody(chunk: BodyChunk): Analysis | Promise<Analysis> {
    this.#requestBodySeen = true;
    return this.#analyseBody('request-body', chunk, this.request?.headers ?? []);
  }

  /** Ends the transaction unless the response body is wanted. */
  analyseResponseHeaders(response: ResponseHead): Analysis {
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

  /** Ends the transaction. */
  analyseResponseBody(chunk: BodyChunk): Analysis | Promise<Analysis> {
    if (this.response === undefined) this.miss('partial');
    const analysis = this.#analyseBody('response-body', chunk, this.response?.headers ?? []);
    const complete = (done: Analysis): Analysis => {
      this.#complete();
      return done;
    };
    return analysis instanceof Promise ? analysis.then(complete) : complete(analysis);
  }

  /** Idempotent: the first reason stands. */
  end(reason: EndReason): void {
    if (this.endReason !== undefined) return;
    this.endReason = reason;
    if (reason === 'expired') this.#describeUnfinished();
    this.#context?.dispose();
    this.#context = undefined;
    this.#around.released(this);
    this.#contained(() => this.trace.finish(this));
    for (const observer of this.#around.observers) this.#contained(() => observer.ended?.(this, reason));
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
      this.#around.failed(this, cause);
    }
  }

  /** A body that is still being decompressed is waited for: it is part of the transaction. */
  #complete(): void {
    this.#lastMessageSeen = true;
    if (this.#pendingBodies === 0) this.end('complete');
  }

  #analyseBody(
    phase: 'request-body' | 'response-body',
    chunk: BodyChunk,
    headers: HeaderList,
  ): Analysis | Promise<Analysis> {
    const { bodyLimitBytes, maxDecompressedBytes } = this.#around;
    if (this.endReason !== undefined || bodyLimitBytes <= 0) return this.#nothingMore();
    const inspected = inspectBody(chunk, headers, { maxBytes: bodyLimitBytes, maxDecompressedBytes });
    return inspected instanceof Promise
      ? this.#concludeLater(phase, inspected)
      : this.#concludeBody(phase, inspected);
  }

  async #concludeLater(
    phase: 'request-body' | 'response-body',
    inspected: Promise<InspectedBody>,
  ): Promise<Analysis> {
    this.#pendingBodies += 1;
    try {
      return this.#concludeBody(phase, await inspected);
    } finally {
      this.#pendingBodies -= 1;
      if (this.#lastMessageSeen) this.#complete();
    }
  }

  #concludeBody(phase: 'request-body' | 'response-body', body: InspectedBody): Analysis {
    // Decompression takes time: the transaction may have expired meanwhile.
    if (this.endReason !== undefined) return this.#nothingMore();
    if (body.partial) this.miss('partial');
    for (const observer of this.#around.observers) observer.bodyRead?.(this, phase, body);
    const [bodyAddress, filenamesAddress] = bodyAddresses[phase];
    const input: WafInput = {
      [bodyAddress]: body.body,
      [filenamesAddress]: body.filenames.length > 0 ? body.filenames : undefined,
    };
    return this.#conclude(
      this.#run(phase, phase === 'response-body' ? this.#lastInput(input) : input),
      false,
    );
  }

  /** With the last values of a transaction, libddwaf can be asked for the schema of all of them. */
  #lastInput(input: WafInput): WafInput {
    return this.#wantsSchema() ? { ...input, ...schemaRequest } : input;
  }

  #wantsSchema(): boolean {
    this.#schemaWanted ??= this.#around.sampleSchema();
    return this.#schemaWanted;
  }

  #run(phase: Phase, input: WafInput): Verdict {
    const result = this.#openContext().run(input);
    if (result === undefined) return { kind: 'pass' };
    this.#account(result);
    const verdict = this.#permitted(
      verdictOf(result.actions, result.events.length > 0, this.request?.headers ?? []),
    );
    for (const observer of this.#around.observers) observer.wafRan?.(this, phase, result);
    if (result.events.length > 0) this.#remember(phase, withListIndices(result.events), verdict);
    return verdict;
  }

  #account(result: WafResult): void {
    this.waf.add(result);
    if (result.truncated || result.timeout) this.miss('partial');
  }

  #remember(phase: Phase, events: readonly WafEvent[], verdict: Verdict): void {
    const reported = this.#around.allowReport();
    if (!reported) this.rateLimited = true;
    for (const event of events) {
      if (!this.ruleIds.includes(event.rule.id)) this.ruleIds.push(event.rule.id);
      if (reported && this.events.length < maxReportedEvents) this.events.push(event);
    }
    for (const observer of this.#around.observers) {
      observer.detected?.(this, phase, events, verdict, reported);
    }
  }

  #conclude(verdict: Verdict, wantsBody: boolean): Analysis {
    const blocks = verdict.kind === 'block' || verdict.kind === 'redirect';
    if (blocks || this.verdict.kind === 'pass') this.verdict = verdict;
    if (blocks) this.end('blocked');
    return { transaction: this, verdict: this.verdict, wantsBody: wantsBody && !blocks };
  }

  /** What the application allows of a verdict. */
  #permitted(verdict: Verdict): Verdict {
    if (this.application?.reportOnly !== true && !this.#around.reportOnly) return verdict;
    if (verdict.kind !== 'block' && verdict.kind !== 'redirect') return verdict;
    this.wouldBlock = true;
    return { kind: 'report' };
  }

  #nothingMore(): Analysis {
    return { transaction: this, verdict: this.verdict, wantsBody: false };
  }
}
