import type { Analysis } from './analysis.ts';
import type { BodyChunk, RequestHead, ResponseHead } from './http.ts';

/** How a door ends a transaction of which nothing more will come. */
export type DoorEndReason = 'aborted' | 'no-response' | 'complete';

/**
 * The engine as one door sees it: plain HTTP values in, verdicts out. The verdict is returned, whatever happens; with
 * inspection off the answer is `uninspected`. A message whose transaction is not (or no longer) here is analysed against
 * what it carries itself.
 *
 * `id` is the transaction's, as an earlier answer gave it; `timeToLiveMs` says how long to wait for its next message;
 * `traceId` is what the door still knows of a transaction that may live elsewhere.
 */
export interface Inspector {
  /** Transactions of the door that wait for a message. */
  readonly liveTransactions: number;
  /** Whether a transaction of this identity waits for a message. */
  knows(id: string): boolean;
  requestHeaders(request: RequestHead, timeToLiveMs: number): Analysis;
  requestBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis | Promise<Analysis>;
  responseHeaders(
    id: string | undefined,
    response: ResponseHead,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis;
  responseBody(
    id: string | undefined,
    chunk: BodyChunk,
    timeToLiveMs: number,
    traceId?: string,
  ): Analysis | Promise<Analysis>;
  /**
   * A message of this transaction was let through uninspected.
   * @param last no further message can follow: the transaction ends.
   */
  skipped(id: string, last: boolean): void;
  /** A message of this transaction was let through uninspected because of an internal error. */
  failed(id: string): void;
  /** Nothing more will come for this transaction, if it is here. */
  end(id: string, reason: DoorEndReason): void;
  /** Analyses a message that was answered before. False if there is none. */
  workOnBacklog(): boolean;
  /** Makes everything that waits for its transaction's next message ready for `workOnBacklog`. */
  releaseAll(): void;
}
