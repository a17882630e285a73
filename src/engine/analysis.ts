import type { TransactionView } from './transaction-view.ts';
import type { BlockVerdict, RedirectVerdict, Verdict } from './verdict.ts';

/** A message was analysed. */
export interface Inspected {
  readonly kind: 'inspected';
  readonly transaction: TransactionView;
  /** On the whole transaction so far. */
  readonly verdict: Verdict;
  /** The engine will look at the body of this direction, or at more of it, if it is sent. */
  readonly wantsBody: boolean;
}

/** The analysis has not run yet: there is no verdict, and nothing will be blocked. */
export interface Deferred {
  readonly kind: 'deferred';
  readonly transaction: TransactionView;
  readonly wantsBody: boolean;
  /** The backlog was full: the analysis will not run. */
  readonly skipped: boolean;
}

/** Inspection is switched off: the message is let through uninspected. */
export interface Uninspected {
  readonly kind: 'uninspected';
}

/** What one message led to. */
export type Analysis = Inspected | Deferred | Uninspected;

export const uninspected: Uninspected = { kind: 'uninspected' };

export function isBlocking(verdict: Verdict): verdict is BlockVerdict | RedirectVerdict {
  return verdict.kind === 'block' || verdict.kind === 'redirect';
}
