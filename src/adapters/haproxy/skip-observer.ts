import type { SkipReason } from './contract.ts';

/** Told of what was let through unseen. Must not throw. */
export interface SkipObserver {
  skipped(reason: SkipReason): void;
  /** Our mistake, contained. */
  frameFailed(cause: unknown): void;
}
