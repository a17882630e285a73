import type { Application, BodyChunk, RequestHead, ResponseHead } from './http.ts';
import { RateLimiter } from './rate-limiter.ts';
import { localTracer, type Tracer, type TransactionTrace } from './trace.ts';
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
  /** API Security: transactions per minute whose schema is extracted; 0: none. */
  readonly schemasPerMinute?: number;
  /** Detections reported per second. */
  readonly reportsPerSecond: number;
  readonly tracer?: Tracer;
  readonly observers?: readonly TransactionObserver[];
  /** Told of a mistake of ours at the ending of a transaction, which goes on ending. */
  readonly failed?: (cause: unknown) => void;
}

/**
 * A body that was asked for may be uploaded slowly, and must not be inspected without its headers because they were
 * forgotten meanwhile. HAProxy waits for an hour at most (frontend-config.cfg).
 */
const uploadPatienceMs = 3_600_000;

/** Plain HTTP values in, verdicts out. Knows no door. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #tracer: Tracer;
  readonly #store: TransactionStore;
  readonly #surroundings: TransactionSurroundings;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#tracer = options.tracer ?? localTracer;
    this.#store = new TransactionStore(options.maxLiveTransactions);
    const limiter = new RateLimiter(options.reportsPerSecond, 1000);
    const schemaSampler = new RateLimiter(options.schemasPerMinute ?? 0, 60_000);
    this.#surroundings = {
      bodyLimitBytes: options.bodyLimitBytes,
      sampleSchema: () => schemaSampler.take(),
      maxDecompressedBytes: options.maxDecompressedBytes,
      clientIpHeader: options.clientIpHeader,
      observers: options.observers ?? [],
      createContext: () => this.#options.waf.createContext(this.#options.wafTimeoutUs),
      allowReport: () => limiter.take(),
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
    const transaction = this.#begin(request, request.application, undefined, timeToLiveMs);
    const analysis = transaction.analyseRequestHeaders();
    if (analysis.wantsBody) this.#store.renew(transaction, Math.max(timeToLiveMs, uploadPatienceMs));
    return analysis;
  }

  requestBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number): Analysis | Promise<Analysis> {
    const transaction = this.#findOrAdopt(id, timeToLiveMs, chunk.application);
    this.#store.renew(transaction, timeToLiveMs);
    return transaction.analyseRequestBody(chunk);
  }

  responseHeaders(id: string | undefined, response: ResponseHead, timeToLiveMs: number): Analysis {
    return this.#findOrAdopt(id, timeToLiveMs, response.application).analyseResponseHeaders(response);
  }

  responseBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number): Analysis | Promise<Analysis> {
    return this.#findOrAdopt(id, timeToLiveMs, chunk.application).analyseResponseBody(chunk);
  }

  /** Ends everything that still waits for a message. */
  drain(): void {
    for (const transaction of this.#store.all()) transaction.end('drained');
  }

  /** A message whose transaction is not (or no longer) here is analysed against what it carries itself. */
  #findOrAdopt(id: string | undefined, timeToLiveMs: number, application?: Application): Transaction {
    const known = id === undefined ? undefined : this.#store.find(id);
    return known ?? this.#begin(undefined, application, id, timeToLiveMs);
  }

  /** Whatever headers a client sends, tracing must not keep the WAF from seeing them. */
  #beginTrace(request: RequestHead | undefined, id: string | undefined): TransactionTrace {
    try {
      return this.#tracer.begin(request, id);
    } catch (cause) {
      this.#options.failed?.(cause);
      return localTracer.begin(request, id);
    }
  }

  #begin(
    request: RequestHead | undefined,
    application: Application | undefined,
    id: string | undefined,
    timeToLiveMs: number,
  ): Transaction {
    const trace = this.#beginTrace(request, id);
    const transaction = new Transaction(request, application, trace, this.#surroundings);
    this.#store.add(transaction, timeToLiveMs);
    return transaction;
  }
}
