import { type Inspected, type Uninspected, uninspected } from './analysis.ts';
import type { Application, BodyChunk, RequestHead, ResponseHead } from './http.ts';
import type { DoorEndReason, Inspector } from './inspector.ts';
import type { Limiter } from './rate-limiter.ts';
import { localTracer, type RemoteParent, type Tracer, type TransactionTrace } from './trace.ts';
import { Transaction } from './transaction.ts';
import type { TransactionServices } from './transaction-services.ts';
import { TransactionStore } from './transaction-store.ts';
import type { DoorTraits, TransactionObserver } from './transaction-view.ts';
import type { Waf } from './waf/waf.ts';

export interface EngineOptions {
  readonly waf: Waf;
  /** Time that libddwaf may spend on one transaction, in microseconds. */
  readonly wafTimeoutUs: number;
  /** Bytes of a body to inspect; 0: bodies are not requested. */
  readonly bodyLimitBytes: number;
  /** Bytes of a compressed body to inspect, after decompression. */
  readonly maxDecompressedBytes: number;
  /** The only header to take the client's address from; undefined: Datadog's list. */
  readonly clientIpHeader: string | undefined;
  /** Live transactions kept; beyond it the oldest is ended. */
  readonly maxLiveTransactions: number;
  /** Request bodies of live transactions together, in bytes, as for their number; 128 MiB unless told otherwise. */
  readonly maxBodyBytes?: number;
  /** Which transactions have their schema extracted (API Security); absent: none. */
  readonly schemaSampler?: Limiter;
  /** Which detections are reported; absent: all. */
  readonly reportLimiter?: Limiter;
  readonly tracer?: Tracer;
  readonly observers?: readonly TransactionObserver[];
  /** Notified of an internal error while a transaction ends; the transaction still ends. */
  readonly failed?: (cause: unknown) => void;
}

/**
 * A requested body may be uploaded slowly; its transaction must not expire meanwhile, or the body would be inspected without
 * its headers. But the engine may not learn that the client gave up, and abandoned transactions use memory.
 */
const uploadPatienceMs = 600_000;

/** libddwaf keeps each body until the response has been inspected. */
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
      failed: (cause) => options.failed?.(cause),
    };
  }

  /** Off: every message is let through uninspected. Transactions in progress continue. */
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

  /** The transaction of the door that has this identity, while it waits for a message. */
  find(door: DoorTraits, id: string): Transaction | undefined {
    return this.#store.find(door.name, id);
  }

  /** Whether messages of transaction `id` are inspected: inspection is on, or the transaction is in progress. */
  inspects(door: DoorTraits, id: string | undefined): boolean {
    return this.enabled || (id !== undefined && this.find(door, id) !== undefined);
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
   * The transaction that a message belongs to, or a new one that continues its trace. What preceded the message may not have
   * been inspected, and is not inspected together with it.
   */
  findOrAdopt(door: DoorTraits, { id, traceId, application, timeToLiveMs }: Belonging): Transaction {
    const found = id === undefined ? undefined : this.find(door, id);
    if (found !== undefined) return found;
    const remote = id === undefined ? undefined : { spanId: id, traceId };
    const transaction = this.#begin(door, undefined, application, remote, timeToLiveMs);
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
  #beginTrace(request: RequestHead | undefined, remote: RemoteParent | undefined): TransactionTrace {
    try {
      return this.#tracer.begin(request, remote);
    } catch (cause) {
      this.#options.failed?.(cause);
      return localTracer.begin(request, remote);
    }
  }

  #begin(
    door: DoorTraits,
    request: RequestHead | undefined,
    application: Application | undefined,
    remote: RemoteParent | undefined,
    timeToLiveMs: number,
  ): Transaction {
    const trace = this.#beginTrace(request, remote);
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
    return this.#engine.find(this.#door, id) !== undefined;
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
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    return this.#engine.findForRequestBody(this.#door, belonging, chunk).analyseRequestBody(chunk);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Uninspected {
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: response.application, timeToLiveMs };
    return this.#engine.findOrAdopt(this.#door, belonging).analyseResponseHeaders(response);
  }

  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Inspected | Uninspected | Promise<Inspected> {
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    return this.#engine.findOrAdopt(this.#door, belonging).analyseResponseBody(chunk);
  }

  skipped(id: string, last: boolean): void {
    const transaction = this.#engine.find(this.#door, id);
    if (transaction === undefined) return;
    transaction.miss('skipped');
    if (last) transaction.finish('skipped');
  }

  failed(id: string): void {
    this.#engine.find(this.#door, id)?.miss('error');
  }

  end(id: string, reason: DoorEndReason): void {
    this.#engine.find(this.#door, id)?.finish(reason);
  }

  /** Nothing is put off here: see DeferredInspector. */
  workOnBacklog(): boolean {
    return false;
  }

  releaseAll(): void {}
}
