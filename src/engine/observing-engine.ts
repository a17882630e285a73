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
  readonly work: () => unknown;
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
  /** Of what waits, and of bodies that are being decompressed. */
  #bytes = 0;
  #decompressing = 0;

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

  /** What waits belongs to the transaction still, which ends after that; bounded, for peers that send nothing else. */
  skipped(id: string, last: boolean): void {
    const waits = this.backlogMessages > 0 && this.backlogMessages < 2 * this.#bounds.messages;
    if (last && waits) this.#backlog.push({ bytes: 0, work: () => this.#engine.skipped(id, last) });
    else this.#engine.skipped(id, last);
  }

  requestHeaders(request: RequestHead, timeToLiveMs: number): Analysis {
    const transaction = this.#engine.beginRequest(request, timeToLiveMs);
    this.#headersLater(transaction, false, () => transaction.analyseRequestHeaders());
    return deferred(transaction, transaction.wantsRequestBody);
  }

  requestBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number, traceId?: string): Analysis {
    const transaction = this.#engine.findForRequestBody(id, timeToLiveMs, chunk.application, traceId);
    this.#bodyLater(transaction, chunk, false, (kept) => transaction.analyseRequestBody(kept));
    return deferred(transaction, false);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis {
    const transaction = this.#engine.findOrAdopt(id, timeToLiveMs, response.application, traceId);
    const room = this.#headersLater(transaction, true, () => transaction.analyseResponseHeaders(response));
    return deferred(transaction, room && transaction.wantsResponseBody(response));
  }

  responseBody(id: string | undefined, chunk: BodyChunk, timeToLiveMs: number, traceId?: string): Analysis {
    const transaction = this.#engine.findOrAdopt(id, timeToLiveMs, chunk.application, traceId);
    this.#bodyLater(transaction, chunk, true, (kept) => transaction.analyseResponseBody(kept));
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
    if (this.#next === this.#backlog.length || this.#next >= 1024) {
      this.#backlog.splice(0, this.#next);
      this.#next = 0;
    }
    try {
      const result = piece.work();
      if (result instanceof Promise) this.#finishLater(piece, result);
      else this.#bytes -= piece.bytes;
    } catch (cause) {
      this.#bytes -= piece.bytes;
      this.#observer.failed(cause);
    }
    return true;
  }

  /** Decompression takes other threads: it counts as waiting until it is done. */
  #finishLater({ bytes }: Piece, result: Promise<unknown>): void {
    this.#decompressing += 1;
    result
      .catch((cause: unknown) => this.#observer.failed(cause))
      .finally(() => {
        this.#decompressing -= 1;
        this.#bytes -= bytes;
      });
  }

  #headersLater(transaction: Transaction, last: boolean, analyse: Piece['work']): boolean {
    if (!this.#hasRoom(transaction, headersBytes, last)) return false;
    this.#later(transaction, headersBytes, analyse);
    return true;
  }

  #later(transaction: Transaction, bytes: number, analyse: Piece['work']): void {
    this.#bytes += bytes;
    const work = (): unknown => {
      // It expired, or had to make room for others, meanwhile.
      if (transaction.endReason === undefined) return analyse();
      return this.#observer.skipped();
    };
    this.#backlog.push({ bytes, work });
  }

  #bodyLater(
    transaction: Transaction,
    chunk: BodyChunk,
    last: boolean,
    analyse: (kept: BodyChunk) => unknown,
  ): void {
    const { length } = chunk.bytes;
    if (!this.#hasRoom(transaction, length, last)) return;
    // The bytes are a view of what was read, which is larger, and the caller's.
    const kept = { ...chunk, bytes: Buffer.from(chunk.bytes) };
    this.#later(transaction, length, () => analyse(kept));
  }

  #hasRoom(transaction: Transaction, bytes: number, last: boolean): boolean {
    const waiting = this.backlogMessages + this.#decompressing;
    if (waiting < this.#bounds.messages && this.#bytes + bytes <= this.#bounds.bytes) return true;
    this.skipped(transaction.id, last);
    this.#observer.skipped();
    return false;
  }
}

function deferred(transaction: Transaction, wantsBody: boolean): Analysis {
  return { transaction, verdict: { kind: 'pass' }, wantsBody, deferred: true };
}
