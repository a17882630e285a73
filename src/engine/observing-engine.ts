import type { Analyst, Engine } from './engine.ts';
import type { BodyChunk, RequestHead, ResponseHead } from './http.ts';
import type { Analysis, Transaction } from './transaction.ts';

/** What may wait for its analysis. */
export interface BacklogBounds {
  readonly messages: number;
  readonly bytes: number;
}

/** Must not throw. */
export interface BacklogObserver {
  /** A message was let through unseen. */
  skipped(): void;
  failed(cause: unknown): void;
}

interface Piece {
  readonly bytes: number;
  readonly analyse: () => Analysis | Promise<Analysis>;
}

/** Headers that wait take about so much memory. */
const headersBytes = 4096;

/**
 * Answers first and analyses afterwards: who waits for an answer never waits for the WAF, and nothing is blocked. What
 * is left to do is bounded; beyond it messages are let through unseen. The engine behind it must only report.
 */
export class ObservingEngine implements Analyst {
  readonly #engine: Engine;
  readonly #bounds: BacklogBounds;
  readonly #observer: BacklogObserver;
  readonly #backlog: (Piece | undefined)[] = [];
  #next = 0;
  #bytes = 0;

  constructor(engine: Engine, bounds: BacklogBounds, observer: BacklogObserver) {
    this.#engine = engine;
    this.#bounds = bounds;
    this.#observer = observer;
  }

  get enabled(): boolean {
    return this.#engine.enabled;
  }

  knows(id: string): boolean {
    return this.#engine.knows(id);
  }

  skipped(id: string, last: boolean): void {
    this.#engine.skipped(id, last);
  }

  requestHeaders(request: RequestHead, timeToLiveMs: number): Analysis {
    const transaction = this.#engine.beginRequest(request, timeToLiveMs);
    this.#later(transaction, headersBytes, false, () => transaction.analyseRequestHeaders());
    return deferred(transaction, transaction.wantsRequestBody);
  }

  requestBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number, traceId?: string): Analysis {
    const transaction = this.#engine.findOrAdopt(id, timeToLiveMs, chunk.application, traceId);
    this.#later(transaction, chunk.bytes.length, false, () => transaction.analyseRequestBody(chunk));
    return deferred(transaction, false);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis {
    const transaction = this.#engine.findOrAdopt(id, timeToLiveMs, response.application, traceId);
    this.#later(transaction, headersBytes, true, () => transaction.analyseResponseHeaders(response));
    return deferred(transaction, transaction.wantsResponseBody(response));
  }

  responseBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number, traceId?: string): Analysis {
    const transaction = this.#engine.findOrAdopt(id, timeToLiveMs, chunk.application, traceId);
    this.#later(transaction, chunk.bytes.length, true, () => transaction.analyseResponseBody(chunk));
    return deferred(transaction, false);
  }

  get backlogMessages(): number {
    return this.#backlog.length - this.#next;
  }

  /** Analyses one message that waits. False when there is none. */
  workOnBacklog(): boolean {
    const piece = this.#backlog[this.#next];
    if (piece === undefined) return false;
    this.#backlog[this.#next] = undefined;
    this.#next += 1;
    this.#bytes -= piece.bytes;
    if (this.#next === this.#backlog.length || this.#next >= 1024) {
      this.#backlog.splice(0, this.#next);
      this.#next = 0;
    }
    try {
      const analysis = piece.analyse();
      if (analysis instanceof Promise) analysis.catch((cause: unknown) => this.#observer.failed(cause));
    } catch (cause) {
      this.#observer.failed(cause);
    }
    return true;
  }

  #later(transaction: Transaction, bytes: number, last: boolean, analyse: Piece['analyse']): void {
    if (this.backlogMessages >= this.#bounds.messages || this.#bytes + bytes > this.#bounds.bytes) {
      this.#engine.skipped(transaction.id, last);
      this.#observer.skipped();
      return;
    }
    this.#bytes += bytes;
    this.#backlog.push({ bytes, analyse });
  }
}

function deferred(transaction: Transaction, wantsBody: boolean): Analysis {
  return { transaction, verdict: { kind: 'pass' }, wantsBody, deferred: true };
}
