import { randomBytes } from 'node:crypto';
import type { HeaderList, RequestHead } from './http.ts';
import type { Transaction } from './transaction.ts';

/** What tracing adds to one transaction, above all its identity. Must not throw. */
export interface TransactionTrace {
  /** Unsigned 64-bit integer in decimal; never 0. */
  readonly spanId: string;
  /** Hexadecimal, as Datadog's console and W3C's traceparent show it. */
  readonly traceId: string;
  /** Header fields that the origin should receive so that it continues the trace; often none. */
  propagation(transaction: Transaction): HeaderList;
  /** Called once, when the transaction has ended. */
  finish(transaction: Transaction): void;
}

export interface Tracer {
  /**
   * @param request absent when only a response reached us.
   * @param spanId the identity that the lost transaction had, when the message still names it.
   */
  begin(request: RequestHead | undefined, spanId?: string): TransactionTrace;
}

/** Random identities and nothing else: for use without a Datadog Agent. */
export const localTracer: Tracer = {
  begin(_request, spanId) {
    const random = randomBytes(24);
    return {
      // One bit less than 64: some tracers read identities as signed.
      spanId: spanId ?? ((random.readBigUInt64BE(0) >> 1n) | 1n).toString(),
      traceId: random.toString('hex', 8),
      propagation: () => [],
      finish: () => undefined,
    };
  },
};
