import type { TransactionObserver, TransactionView } from './transaction-view.ts';
import type { WafContext } from './waf/waf-context.ts';

/** What a transaction needs from the engine that began it. */
export interface TransactionServices {
  readonly bodyLimitBytes: number;
  readonly maxDecompressedBytes: number;
  readonly clientIpHeader: string | undefined;
  readonly observers: readonly TransactionObserver[];
  /** Whether to extract the schema of one more transaction (API Security); asked once, before its first run. */
  sampleSchema(): boolean;
  /** @param forSchema what `sampleSchema` returned. */
  createContext(forSchema: boolean): WafContext;
  /** Whether one more event may be reported now. */
  allowReport(): boolean;
  /** Called once, when the transaction has ended. */
  released(transaction: TransactionView): void;
  /** An observer or the trace threw while a transaction ended. Contained here, because timers end transactions, too. */
  failed(cause: unknown): void;
}
