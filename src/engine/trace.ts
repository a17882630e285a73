import { randomBytes } from 'node:crypto';
import type { HeaderList, RequestHead } from './http.ts';
import type { TransactionView } from './transaction-view.ts';

/** What tracing adds to one transaction, above all its identity. Must not throw. */
export interface TransactionTrace {
  /** Unsigned 64-bit integer in decimal; never 0. */
  readonly spanId: string;
  /** Hexadecimal, as Datadog's console and W3C's traceparent show it. */
  readonly traceId: string;
  /** Header fields that the origin should receive so that it continues the trace; often none. */
  propagation(transaction: TransactionView): HeaderList;
  /** Called once, when the transaction has ended. */
  finish(transaction: TransactionView): void;
}

/** What a later message knows of a transaction that is gone, or was begun elsewhere. */
export interface RemoteParent {
  readonly spanId: string;
  /** 32 hexadecimal digits. */
  readonly traceId: string | undefined;
}

export interface Tracer {
  /**
   * @param request absent when only a response reached us.
   * @param remote the identity of the transaction that is not here, when the message still names it.
   */
  begin(request: RequestHead | undefined, remote?: RemoteParent): TransactionTrace;
}

/** Random identities and nothing else: for use without a Datadog Agent. */
export const localTracer: Tracer = {
  begin(_request, remote) {
    const random = randomBytes(24);
    return {
      // One bit less than 64: some tracers read identities as signed.
      spanId: remote?.spanId ?? ((random.readBigUInt64BE(0) >> 1n) | 1n).toString(),
      traceId: remote?.traceId ?? random.toString('hex', 8),
      propagation: () => [],
      finish: () => undefined,
    };
  },
};
