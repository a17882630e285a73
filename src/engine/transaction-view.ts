import type { InspectedBody } from './body/inspected-body.ts';
import type { Coverage } from './coverage.ts';
import type { Application, HeaderList, RequestHead, ResponseHead } from './http.ts';
import type { Verdict } from './verdict.ts';
import type { WafEvent, WafResult } from './waf/waf-result.ts';
import type { WafSummary } from './waf-summary.ts';

/** What the engine has to know of the door that a transaction came through. */
export interface DoorTraits {
  /** In metrics and logs. */
  readonly name: string;
  /** Tag `component` of its spans: the integration, as Datadog names it. */
  readonly component: string;
  /** Service of its spans, where neither the application nor DD_SERVICE names one. */
  readonly defaultService: string;
  /** Detections are reported and nothing is blocked, whatever rules and applications say. */
  readonly reportOnly: boolean;
  /** False: no response will ever come, and a transaction is complete with its request. */
  readonly seesResponses: boolean;
}

export type Phase = 'request-headers' | 'request-body' | 'response-headers' | 'response-body';

/**
 * How a transaction ended. `blocked`. `complete`: its last message was analysed. `aborted`: the client disconnected.
 * `no-response`: its door knows that no response will come. `expired`: none came in time. `evicted`: the oldest of too
 * many. `skipped`: its last message was let through uninspected, for lack of time. `drained`: the process is stopping.
 */
export type EndReason =
  | 'blocked'
  | 'complete'
  | 'aborted'
  | 'no-response'
  | 'expired'
  | 'evicted'
  | 'skipped'
  | 'drained';

/** What a door, a trace or an observer may know of a transaction. Only the engine changes it. */
export interface TransactionView {
  /** The identity that doors hand back with every later message: an unsigned 64-bit integer in decimal. */
  readonly id: string;
  /** Hexadecimal, as Datadog's console and W3C's traceparent show it. */
  readonly traceId: string;
  readonly door: DoorTraits;
  readonly request: RequestHead | undefined;
  readonly response: ResponseHead | undefined;
  readonly application: Application | undefined;
  readonly clientIp: string | undefined;
  readonly startedAtMs: number;
  readonly verdict: Verdict;
  /** The events to report, at most ten. */
  readonly events: readonly WafEvent[];
  readonly ruleIds: readonly string[];
  readonly waf: WafSummary;
  /** The rules would have blocked; the application or the door only reports. */
  readonly wouldBlock: boolean;
  /** Events were found while the rate limit on reports was used up: they are counted, not reported. */
  readonly rateLimited: boolean;
  readonly coverage: Coverage;
  /**
   * Not everything was inspected: a body was inspected in part or not at all, a message was let through, the WAF timed out, or
   * the request is not known here.
   */
  readonly partial: boolean;
  /** Undefined while it lives. */
  readonly endReason: EndReason | undefined;
  /** Header fields that the origin should receive so that it continues the trace; often empty. */
  propagation(): HeaderList;
}

/** Is notified of what happens to transactions. Must not throw. */
export interface TransactionObserver {
  wafRan?(transaction: TransactionView, phase: Phase, result: WafResult): void;
  /** Rules matched. `reported` is false when the rate limit on reports was used up. */
  detected?(
    transaction: TransactionView,
    phase: Phase,
    events: readonly WafEvent[],
    verdict: Verdict,
    reported: boolean,
  ): void;
  bodyRead?(transaction: TransactionView, phase: Phase, body: InspectedBody): void;
  ended?(transaction: TransactionView, reason: EndReason): void;
}
