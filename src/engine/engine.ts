import { type Inspected, type Uninspected, uninspected } from './analysis.ts';
import type { Application, BodyChunk, RequestHead, ResponseHead } from './http.ts';
import type { DoorEndReason, Inspector } from './inspector.ts';
import type { Limiter } from './rate-limiter.ts';
import { type LostTrace, localTracer, type Tracer, type TransactionTrace } from './trace.ts';
import { Transaction, type TransactionServices } from './transaction.ts';
import { TransactionStore } from './transaction-store.ts';
import type { DoorTraits, TransactionObserver } from './transaction-view.ts';
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
  readonly tracer?: Tracer;
  readonly observers?: readonly TransactionObserver[];
  /** Told of an internal error at the ending of a transaction, which goes on ending. */
  readonly failed?: (cause: unknown) => void;
}

/**
 * A body that was asked for may be uploaded slowly, and must not be inspected without its headers because they were
 * forgotten meanwhile. But nobody tells us when the client gives up, and what it left behind takes memory.
 */
const uploadPatienceMs = 600_000;

/** libddwaf keeps each body until the response was seen. */
const usualMaxBodyBytes = 128 * 1024 * 1024;

/** What a message knows of the transaction that it belongs to. */
export interface Belonging {
  readonly id: string | undefined;
  readonly traceId: string | undefined;
  readonly application: Application | undefined;
  readonly timeToLiveMs: number;
}

/** Transactions, whatever doors they come through. A door asks by its own Inspector. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #tracer: Tracer;
  readonly #store: TransactionStore;
  readonly #services: TransactionServices;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#tracer = options.tracer ?? localTracer;
    this.#store = new TransactionStore(
      options.maxLiveTransactions,
      options.maxBodyBytes ?? usualMaxBodyBytes,
    );
    const { reportLimiter, schemaSampler } = options;
    this.#services = {
      bodyLimitBytes: options.bodyLimitBytes,
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

  /** Those of the door of this name. */
  liveTransactionsOf(door: string): number {
    return this.#store.countOf(door);
  }

  /** The engine as this door sees it: analysed at once. */
  through(door: DoorTraits): Inspector {
    return new DirectInspector(this, door);
  }

  /** The transaction of this identity, while it waits for a message. */
  find(id: string): Transaction | undefined {
    return this.#store.find(id);
  }

  /** Whether a message of the transaction `id` is looked at: inspection is on, or it is under way. */
  inspects(id: string | undefined): boolean {
    return this.enabled || (id !== undefined && this.find(id) !== undefined);
  }

  /** Ends everything that still waits for a message. */
  drain(): void {
    for (const transaction of this.#store.all()) transaction.end('drained');
  }

  /** Begins a transaction; its request headers are not analysed yet. */
  begin(door: DoorTraits, request: RequestHead, timeToLiveMs: number): Transaction {
    const transaction = this.#begin(door, request, request.application, undefined, timeToLiveMs);
    if (transaction.wantsRequestBody) {
      this.#store.renew(transaction, Math.max(timeToLiveMs, uploadPatienceMs));
    }
    return transaction;
  }

  /**
   * The transaction that a message belongs to, or a new one that goes on with its trace. What came before the message
   * was perhaps never looked at, and is not looked at together with it.
   */
  findOrAdopt(door: DoorTraits, { id, traceId, application, timeToLiveMs }: Belonging): Transaction {
    const found = id === undefined ? undefined : this.find(id);
    if (found !== undefined) return found;
    const lost = id === undefined ? undefined : { spanId: id, traceId };
    const transaction = this.#begin(door, undefined, application, lost, timeToLiveMs);
    transaction.miss('partial');
    return transaction;
  }

  /** As `findOrAdopt`, for a body of a request: once it ended, the response is waited for. */
  findForRequestBody(door: DoorTraits, belonging: Belonging, chunk: BodyChunk): Transaction {
    const transaction = this.findOrAdopt(door, belonging);
    const patienceMs = chunk.endOfStream === false ? uploadPatienceMs : 0;
    this.#store.renew(transaction, Math.max(belonging.timeToLiveMs, patienceMs));
    this.#store.keepBody(transaction, Math.min(chunk.bytes.length, this.#options.bodyLimitBytes));
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
    door: DoorTraits,
    request: RequestHead | undefined,
    application: Application | undefined,
    lost: LostTrace | undefined,
    timeToLiveMs: number,
  ): Transaction {
    const trace = this.#beginTrace(request, lost);
    const transaction = new Transaction(door, request, application, trace, this.#services);
    this.#store.add(transaction, timeToLiveMs);
    return transaction;
  }
}

class DirectInspector implements Inspector {
  readonly #engine: Engine;
  readonly #door: DoorTraits;

  constructor(engine: Engine, door: DoorTraits) {
    this.#engine = engine;
    this.#door = door;
  }

  get liveTransactions(): number {
    return this.#engine.liveTransactionsOf(this.#door.name);
  }

  knows(id: string): boolean {
    return this.#engine.find(id) !== undefined;
  }

  requestHeaders(request: RequestHead, timeToLiveMs: number): Inspected | Uninspected {
    if (!this.#engine.enabled) return uninspected;
    return this.#engine.begin(this.#door, request, timeToLiveMs).analyseRequestHeaders();
  }

  requestBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Uninspected | Promise<Inspected> {
    if (!this.#engine.inspects(id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    return this.#engine.findForRequestBody(this.#door, belonging, chunk).analyseRequestBody(chunk);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Uninspected {
    if (!this.#engine.inspects(id)) return uninspected;
    const belonging = { id, traceId, application: response.application, timeToLiveMs };
    return this.#engine.findOrAdopt(this.#door, belonging).analyseResponseHeaders(response);
  }

  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Uninspected | Promise<Inspected> {
    if (!this.#engine.inspects(id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    return this.#engine.findOrAdopt(this.#door, belonging).analyseResponseBody(chunk);
  }

  skipped(id: string, last: boolean): void {
    const transaction = this.#engine.find(id);
    if (transaction === undefined) return;
    transaction.miss('skipped');
    if (last) transaction.end('skipped');
  }

  failed(id: string): void {
    this.#engine.find(id)?.miss('error');
  }

  end(id: string, reason: DoorEndReason): void {
    this.#engine.find(id)?.end(reason);
  }

  /** Nothing is put off here: see DeferredInspector. */
  workOnBacklog(): boolean {
    return false;
  }

  releaseAll(): void {}
}
