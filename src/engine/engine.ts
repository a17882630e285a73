import { EventRateLimiter } from './event-rate-limiter.ts';
import type { BodyChunk, RequestHead, ResponseHead } from './http.ts';
import { localTracer, type Tracer } from './trace.ts';
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
  /** Detections reported per second. */
  readonly reportsPerSecond: number;
  readonly tracer?: Tracer;
  readonly observers?: readonly TransactionObserver[];
  /** Told of a mistake of ours at the ending of a transaction, which goes on ending. */
  readonly failed?: (cause: unknown) => void;
}

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
    const limiter = new EventRateLimiter(options.reportsPerSecond);
    this.#surroundings = {
      bodyLimitBytes: options.bodyLimitBytes,
      maxDecompressedBytes: options.maxDecompressedBytes,
      clientIpHeader: options.clientIpHeader,
      observers: options.observers ?? [],
      createContext: () => this.#options.waf.createContext(this.#options.wafTimeoutUs),
      allowReport: () => limiter.take(),
      released: (transaction) => this.#store.remove(transaction),
      failed: (_transaction, cause) => options.failed?.(cause),
    };
  }

  get liveTransactions(): number {
    return this.#store.size;
  }

  /** @param timeToLiveMs how long to wait for the last message of this transaction. */
  requestHeaders(request: RequestHead, timeToLiveMs: number): Analysis {
    const transaction = this.#begin(request, undefined, timeToLiveMs);
    return transaction.analyseRequestHeaders();
  }

  requestBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number): Analysis | Promise<Analysis> {
    return this.#findOrAdopt(id, timeToLiveMs).analyseRequestBody(chunk);
  }

  responseHeaders(id: string | undefined, response: ResponseHead, timeToLiveMs: number): Analysis {
    return this.#findOrAdopt(id, timeToLiveMs).analyseResponseHeaders(response);
  }

  responseBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number): Analysis | Promise<Analysis> {
    return this.#findOrAdopt(id, timeToLiveMs).analyseResponseBody(chunk);
  }

  /** Ends everything that still waits for a message. */
  drain(): void {
    for (const transaction of this.#store.all()) transaction.end('drained');
  }

  /** A message whose transaction is not (or no longer) here is analysed against what it carries itself. */
  #findOrAdopt(id: string | undefined, timeToLiveMs: number): Transaction {
    const known = id === undefined ? undefined : this.#store.find(id);
    return known ?? this.#begin(undefined, id, timeToLiveMs);
  }

  #begin(request: RequestHead | undefined, id: string | undefined, timeToLiveMs: number): Transaction {
    const transaction = new Transaction(request, this.#tracer.begin(request, id), this.#surroundings);
    this.#store.add(transaction, timeToLiveMs);
    return transaction;
  }
}
