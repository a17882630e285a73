import { type Deferred, type Uninspected, uninspected } from './analysis.ts';
import type { Engine } from './engine.ts';
import type { BodyChunk, RequestHead, ResponseHead } from './http.ts';
import type { DoorEndReason, Inspector } from './inspector.ts';
import type { Transaction } from './transaction.ts';
import type { DoorTraits } from './transaction-view.ts';

/** What may wait for its analysis. */
export interface BacklogBounds {
  readonly messages: number;
  readonly bytes: number;
}

/** Must not throw. */
export interface BacklogObserver {
  /** A message was let through uninspected. */
  skipped(): void;
  failed(cause: unknown): void;
}

interface Piece {
  readonly bytes: number;
  readonly work: () => unknown;
}

/** A message to analyse later. */
interface Arrival {
  readonly transaction: Transaction;
  readonly timeToLiveMs: number;
  readonly bytes: number;
  /** No further message follows. */
  readonly last: boolean;
  /** No message follows if this one is let through, because the response body is not requested then. */
  readonly lastUnseen: boolean;
}

/** Pieces of one transaction that wait for its last message. */
interface Held {
  readonly pieces: Piece[];
  readonly timer: NodeJS.Timeout;
}

/** Headers that wait take about so much memory. */
const headersBytes = 4096;

/** A response that takes longer than this is not waited for. */
const longestHoldMs = 500;

/**
 * Answers first and analyses afterwards: a client never waits for the analysis of its own request, and nothing is blocked.
 * libddwaf cannot be interrupted, and the response usually follows soon, so a transaction is only analysed once its last
 * message has arrived, or after half a second. The backlog is bounded; beyond it, messages are let through uninspected. For
 * doors that only report.
 */
export class DeferredInspector implements Inspector {
  readonly #engine: Engine;
  readonly #door: DoorTraits;
  readonly #bounds: BacklogBounds;
  readonly #observer: BacklogObserver;
  /** By id of the transaction, oldest first. */
  readonly #held = new Map<string, Held>();
  readonly #ready: (Piece | undefined)[] = [];
  #next = 0;
  /** Messages and bytes that are held or ready, or being decompressed. */
  #messages = 0;
  #bytes = 0;
  #workScheduled = false;

  /** @throws RangeError for a door that may block: the answer has left before there is a verdict. */
  constructor(engine: Engine, door: DoorTraits, bounds: BacklogBounds, observer: BacklogObserver) {
    if (!door.reportOnly) throw new RangeError(`${door.name} may block: its verdicts cannot be deferred`);
    this.#engine = engine;
    this.#door = door;
    this.#bounds = bounds;
    this.#observer = observer;
  }

  get liveTransactions(): number {
    return this.#engine.liveTransactionsOf(this.#door.name);
  }

  knows(id: string): boolean {
    return this.#engine.find(this.#door, id) !== undefined;
  }

  /** What waits belongs to the transaction still, which ends after that; bounded, for peers that send nothing else. */
  skipped(id: string, last: boolean): void {
    const waits = this.#messages > 0 && this.#messages < 2 * this.#bounds.messages;
    if (!last || !waits) this.#noteSkipped(id, last);
    else this.#afterWhatWaits(id, () => this.#noteSkipped(id, last));
  }

  failed(id: string): void {
    this.#engine.find(this.#door, id)?.miss('error');
  }

  /** What waits is analysed first, as far as there is room for that. */
  end(id: string, reason: DoorEndReason): void {
    const finish = (): void => this.#engine.find(this.#door, id)?.finish(reason);
    if (this.#messages === 0 || this.#messages >= 2 * this.#bounds.messages) finish();
    else this.#afterWhatWaits(id, finish);
  }

  requestHeaders(request: RequestHead, timeToLiveMs: number): Deferred | Uninspected {
    if (!this.#engine.enabled) return uninspected;
    const transaction = this.#engine.begin(this.#door, request, timeToLiveMs);
    const wantsBody = transaction.wantsRequestBody;
    const last = !wantsBody && !this.#door.seesResponses;
    const arrival = { transaction, timeToLiveMs, bytes: headersBytes, last, lastUnseen: last };
    const room = this.#later(arrival, () => () => transaction.analyseRequestHeaders());
    return deferred(transaction, wantsBody, room);
  }

  requestBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Deferred | Uninspected {
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    const transaction = this.#engine.findForRequestBody(this.#door, belonging, chunk);
    const bytes = chunk.bytes.length;
    const more = chunk.endOfStream === false;
    const last = !more && !this.#door.seesResponses;
    const room = this.#later({ transaction, timeToLiveMs, bytes, last, lastUnseen: last }, () => {
      const kept = copyOf(chunk);
      return () => transaction.analyseRequestBody(kept);
    });
    return deferred(transaction, room && more, room);
  }

  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Deferred | Uninspected {
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: response.application, timeToLiveMs };
    const transaction = this.#engine.findOrAdopt(this.#door, belonging);
    const wantsBody = transaction.wantsResponseBody(response);
    const arrival = { transaction, timeToLiveMs, bytes: headersBytes, last: !wantsBody, lastUnseen: true };
    const room = this.#later(arrival, () => () => transaction.analyseResponseHeaders(response));
    return deferred(transaction, room && wantsBody, room);
  }

  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Deferred | Uninspected {
    if (!this.#engine.inspects(this.#door, id)) return uninspected;
    const belonging = { id, traceId, application: chunk.application, timeToLiveMs };
    const transaction = this.#engine.findOrAdopt(this.#door, belonging);
    const bytes = chunk.bytes.length;
    const more = chunk.endOfStream === false;
    const room = this.#later({ transaction, timeToLiveMs, bytes, last: !more, lastUnseen: true }, () => {
      const kept = copyOf(chunk);
      return () => transaction.analyseResponseBody(kept);
    });
    return deferred(transaction, room && more, room);
  }

  /** Messages that are still to be analysed. */
  get backlogMessages(): number {
    return this.#messages;
  }

  /** Analyses one message that is ready. False if there is none. */
  workOnBacklog(): boolean {
    const piece = this.#ready[this.#next];
    if (piece === undefined) return false;
    this.#ready[this.#next] = undefined;
    this.#next += 1;
    if (this.#next === this.#ready.length || this.#next >= 1024) {
      this.#ready.splice(0, this.#next);
      this.#next = 0;
    }
    try {
      const result = piece.work();
      if (result instanceof Promise) this.#finishLater(piece, result);
      else this.#finished(piece);
    } catch (cause) {
      this.#finished(piece);
      this.#observer.failed(cause);
    }
    return true;
  }

  /** Nothing waits for its response any longer: `workOnBacklog` then does all there is to do. */
  releaseAll(): void {
    for (const id of [...this.#held.keys()]) this.#release(id);
  }

  #noteSkipped(id: string, last: boolean): void {
    const transaction = this.#engine.find(this.#door, id);
    if (transaction === undefined) return;
    transaction.miss('skipped');
    if (last) transaction.finish('skipped');
  }

  #afterWhatWaits(id: string, work: () => void): void {
    this.#release(id);
    this.#messages += 1;
    this.#ready.push({ bytes: 0, work });
  }

  /** Decompression takes other threads: it counts as waiting until it is done. */
  #finishLater(piece: Piece, result: Promise<unknown>): void {
    result.catch((cause: unknown) => this.#observer.failed(cause)).finally(() => this.#finished(piece));
  }

  #finished({ bytes }: Piece): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
  }

  /**
   * @param prepare called when there is room; returns the analysis.
   * @returns false when there was none.
   */
  #later(arrival: Arrival, prepare: () => () => unknown): boolean {
    const { transaction, timeToLiveMs, bytes, last, lastUnseen } = arrival;
    const { id } = transaction;
    if (this.#messages >= this.#bounds.messages || this.#bytes + bytes > this.#bounds.bytes) {
      this.#observer.skipped();
      this.skipped(id, lastUnseen);
      return false;
    }
    const analyse = prepare();
    // It expired, or had to make room for others, meanwhile.
    const work = (): unknown => (transaction.endReason === undefined ? analyse() : this.#observer.skipped());
    this.#messages += 1;
    this.#bytes += bytes;
    this.#hold(id, timeToLiveMs).pieces.push({ bytes, work });
    if (last) this.#release(id);
    if (this.#messages > this.#bounds.messages / 2 || this.#bytes > this.#bounds.bytes / 2) {
      const [oldest] = this.#held.keys();
      if (oldest !== undefined) this.#release(oldest);
    }
    return true;
  }

  #hold(id: string, timeToLiveMs: number): Held {
    const found = this.#held.get(id);
    if (found !== undefined) return found;
    const timer = setTimeout(() => this.#overdue(id), Math.min(longestHoldMs, timeToLiveMs / 2));
    const held = { pieces: [], timer: timer.unref() };
    this.#held.set(id, held);
    return held;
  }

  #release(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    clearTimeout(held.timer);
    this.#ready.push(...held.pieces);
  }

  /** Analyses the messages itself, because no further message may arrive for a while. */
  #overdue(id: string): void {
    this.#release(id);
    this.#workSoon();
  }

  /** One piece a turn of the event loop, however many are overdue: what comes in meanwhile is answered first. */
  #workSoon(): void {
    if (this.#workScheduled) return;
    this.#workScheduled = true;
    setImmediate(() => {
      this.#workScheduled = false;
      if (this.workOnBacklog()) this.#workSoon();
    });
  }
}

/** The bytes are a view of what was read, which is larger, and the caller's. */
function copyOf(chunk: BodyChunk): BodyChunk {
  return { ...chunk, bytes: Buffer.from(chunk.bytes) };
}

function deferred(transaction: Transaction, wantsBody: boolean, room: boolean): Deferred {
  return { kind: 'deferred', transaction, wantsBody, skipped: !room };
}
