import type { Application, BodyChunk, RequestHead, ResponseHead } from './http.ts';
import type { Limiter } from './rate-limiter.ts';
import { type LostTrace, localTracer, type Tracer, type TransactionTrace } from './trace.ts';
import {
  type Analysis,
  Transaction,
  type TransactionObserver,
  type TransactionSurroundings,
} from './transaction.ts';
import { TransactionStore } from './transaction-store.ts';
import type { Waf } from './waf/waf.ts';

export interface EngineOptions {
  readonly waf: Waf;
  /** Time that libddwaf may spend on one transaction, in microseconds. */
  readonly wafTimeoutUs: number;
  /** Bytes of a body to look at; 0: bodies are not asked for. */
  readonly bodyLimitBytes: number;
  /** Bytes that a compressed body may become. */
  readonly maxDecompressedBytes: number;
  /** The only header to take the client's address from; undefined: Datadog's list. */
  readonly clientIpHeader: string | undefined;
  /** Live transactions kept; beyond it the oldest is ended. */
  readonly maxLiveTransactions: number;
  /** Request bodies of live transactions together, in bytes, as for their number; 128 MiB unless told otherwise. */
  readonly maxBodyBytes?: number;
  /** Whose schema is extracted (API Security); absent: nobody's. */
  readonly schemaSampler?: Limiter;
  /** Which detections are reported; absent: all. */
  readonly reportLimiter?: Limiter;
  /** Detections are reported and nothing is blocked. */
  readonly reportOnly?: boolean;
  readonly tracer?: Tracer;
  readonly observers?: readonly TransactionObserver[];
  /** Told of a mistake of ours at the ending of a transaction, which goes on ending. */
  readonly failed?: (cause: unknown) => void;
}

/** What a door asks for verdicts: the engine, or ObservingEngine in its place. */
export type Analyst = Pick<
  Engine,
  'knows' | 'skipped' | 'failed' | 'requestHeaders' | 'requestBody' | 'responseHeaders' | 'responseBody'
> & { readonly enabled: boolean; workOnBacklog(): boolean };

/**
 * A body that was asked for may be uploaded slowly, and must not be inspected without its headers because they were
 * forgotten meanwhile. But nobody tells us when the client gives up, and what it left behind takes memory.
 */
const uploadPatienceMs = 600_000;

/** libddwaf keeps each body until the response was seen. */
const usualMaxBodyBytes = 128 * 1024 * 1024;

/** Plain HTTP values in, verdicts out. Knows no door. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #tracer: Tracer;
  readonly #store: TransactionStore;
  readonly #surroundings: TransactionSurroundings;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#tracer = options.tracer ?? localTracer;
    this.#store = new TransactionStore(
      options.maxLiveTransactions,
      options.maxBodyBytes ?? usualMaxBodyBytes,
    );
    const { reportLimiter, schemaSampler } = options;
    this.#surroundings = {
      bodyLimitBytes: options.bodyLimitBytes,
      reportOnly: options.reportOnly ?? false,
      sampleSchema: () => schemaSampler?.take() ?? false,
      maxDecompressedBytes: options.maxDecompressedBytes,
      clientIpHeader: options.clientIpHeader,
      observers: options.observers ?? [],
      createContext: (forSchema) => this.#options.waf.createContext(this.#options.wafTimeoutUs, forSchema),
      allowReport: () => reportLimiter?.take() ?? true,
      released: (transaction) => this.#store.remove(transaction),
      failed: (_transaction, cause) => options.failed?.(cause),
    };
  }

  /** Off: every message is let through unseen. Transactions under way go on. */
  enabled = true;

  get liveTransactions(): number {
    return this.#store.size;
  }

  /** Whether a transaction of this identity waits for a message. */
  knows(id: string): boolean {
    return this.#store.find(id) !== undefined;
  }

  /** @param timeToLiveMs how long to wait for the last message of this transaction. */
  requestHeaders(request: RequestHead, timeToLiveMs: number): Analysis {
    return this.beginRequest(request, timeToLiveMs).analyseRequestHeaders();
  }

  /** As `requestHeaders`, without the analysis: it is the caller's to ask the transaction for it. */
  beginRequest(request: RequestHead, timeToLiveMs: number): Transaction {
    const transaction = this.#begin(request, request.application, undefined, timeToLiveMs);
    if (transaction.wantsRequestBody) {
      this.#store.renew(transaction, Math.max(timeToLiveMs, uploadPatienceMs));
    }
    return transaction;
  }

  requestBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis | Promise<Analysis> {
    return this.findForRequestBody(id, timeToLiveMs, chunk, traceId).analyseRequestBody(chunk);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis {
    const transaction = this.findOrAdopt(id, timeToLiveMs, response.application, traceId);
    return transaction.analyseResponseHeaders(response);
  }

  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis | Promise<Analysis> {
    const transaction = this.findOrAdopt(id, timeToLiveMs, chunk.application, traceId);
    return transaction.analyseResponseBody(chunk);
  }

  /**
   * A message of this transaction was let through unseen.
   * @param last no further message can follow: the transaction ends.
   */
  skipped(id: string, last: boolean): void {
    const transaction = this.#store.find(id);
    if (transaction === undefined) return;
    transaction.miss('skipped');
    if (last) transaction.end('skipped');
  }

  /** A message of this transaction was let through unseen by a mistake of ours. */
  failed(id: string): void {
    this.#store.find(id)?.miss('error');
  }

  /** Ends everything that still waits for a message. */
  drain(): void {
    for (const transaction of this.#store.all()) transaction.end('drained');
  }

  /** Nothing is put off here: see ObservingEngine. */
  workOnBacklog(): boolean {
    return false;
  }

  /**
   * A message whose transaction is not (or no longer) here is analysed against what it carries itself. What came before
   * it was perhaps never looked at, and is not looked at together with it.
   */
  findOrAdopt(
    id: string | undefined,
    timeToLiveMs: number,
    application?: Application,
    traceId?: string,
  ): Transaction {
    const found = id === undefined ? undefined : this.#store.find(id);
    if (found !== undefined) return found;
    const lost = id === undefined ? undefined : { spanId: id, traceId };
    const transaction = this.#begin(undefined, application, lost, timeToLiveMs);
    transaction.miss('partial');
    return transaction;
  }

  /** As `findOrAdopt`, when the upload is over: from now on the response is waited for. */
  findForRequestBody(
    id: string | undefined,
    timeToLiveMs: number,
    { application, bytes }: BodyChunk,
    traceId?: string,
  ): Transaction {
    const transaction = this.findOrAdopt(id, timeToLiveMs, application, traceId);
    this.#store.renew(transaction, timeToLiveMs);
    this.#store.keepBody(transaction, Math.min(bytes.length, this.#options.bodyLimitBytes));
    return transaction;
  }

  /** Whatever headers a client sends, tracing must not keep the WAF from seeing them. */
  #beginTrace(request: RequestHead | undefined, lost: LostTrace | undefined): TransactionTrace {
    try {
      return this.#tracer.begin(request, lost);
    } catch (cause) {
      this.#options.failed?.(cause);
      return localTracer.begin(request, lost);
    }
  }

  #begin(
    request: RequestHead | undefined,
    application: Application | undefined,
    lost: LostTrace | undefined,
    timeToLiveMs: number,
  ): Transaction {
    const trace = this.#beginTrace(request, lost);
    const transaction = new Transaction(request, application, trace, this.#surroundings);
    this.#store.add(transaction, timeToLiveMs);
    return transaction;
  }
}
