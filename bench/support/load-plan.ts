// What the generator is told and what it answers: plain data, for it lives in a process of its own.
import type { HistogramData } from './histogram.ts';
import type { MixName } from './http-transactions.ts';

export interface LoadPlan {
  readonly name: string;
  readonly mix: MixName;
  readonly connections: number;
  /**
   * `closed`: so many transactions are always under way, a new one begins when one has ended. `open`: so many begin in
   * every second, on a fixed schedule, whatever becomes of the earlier ones.
   */
  readonly arrival:
    | { readonly kind: 'closed'; readonly streams: number }
    | { readonly kind: 'open'; readonly perSecond: number };
  /** HAProxy's `timeout processing`, in milliseconds; as haproxyconf/spoe.cfg has it unless told. */
  readonly processingTimeoutMs?: number;
  /** Every second transaction ends after its first message, as when a client goes away. */
  readonly halfUnfinished?: boolean;
}

export type Command =
  | { readonly kind: 'start'; readonly port: number; readonly loads: readonly LoadPlan[] }
  /** Answered with a report about the time since the last one. */
  | { readonly kind: 'report' }
  | { readonly kind: 'rate'; readonly load: string; readonly perSecond: number }
  /** Whether the load begins new transactions. */
  | { readonly kind: 'go'; readonly load: string; readonly on: boolean }
  /** No new transactions; answered with a last report when none is under way, at the latest after two seconds. */
  | { readonly kind: 'stop' };

export interface LoadReport {
  readonly name: string;
  /** Transactions begun, and those that had all their answers. */
  readonly begun: number;
  readonly completed: number;
  readonly acks: number;
  /** ACKs with verdict `skipped`, and with verdict `error`. */
  readonly skipped: number;
  readonly failed: number;
  /** ACKs that came after HAProxy's time-out: its traffic went on without them, the transaction is given up. */
  readonly late: number;
  /** Messages that waited for room in the connection until HAProxy's time-out and were never sent. */
  readonly unsent: number;
  /** Microseconds from NOTIFY to ACK; the first message of an open loop counts from when it was due. */
  readonly ackUs: HistogramData;
  /** The same for messages with headers only. */
  readonly headerAckUs: HistogramData;
  /** Microseconds that the generator itself was behind its schedule. */
  readonly behindUs: HistogramData;
  /** After the last change of the rate, until the last message that was skipped, late or unsent; 0 if none was. */
  readonly degradedMs: number;
}

export type Answer =
  | { readonly kind: 'started' }
  | { readonly kind: 'report'; readonly loads: readonly LoadReport[] }
  | { readonly kind: 'failed'; readonly reason: string };
