/*
 * The identity of a transaction as HAProxy keeps it, in the variable `span_id`, and hands it back with every later
 * message. It names the owner, so that a message that reaches another agent or another thread finds its way:
 *
 *   <span id>.<trace id>.<instance>.<thread>
 *
 * The span id is an unsigned 64-bit integer in decimal, the trace id 32 hexadecimal digits: with them an agent that
 * has to do without the owner still reports in the same trace. The instance is drawn at random when an agent starts,
 * 16 hexadecimal digits; it is no address, so nothing that is written there can send an agent anywhere. A span id
 * alone, as Datadog's own agent sets it, is an identity without an owner.
 */
import { randomBytes } from 'node:crypto';

/** Where a transaction lives. */
export interface Owner {
  readonly instance: string;
  readonly thread: number;
}

export interface Identity {
  readonly spanId: string;
  readonly traceId: string | undefined;
  readonly owner: Owner | undefined;
}

const maxUint64 = 2n ** 64n - 1n;
const spanIdPattern = /^[1-9]\d{0,19}$/;
const ownedPattern = /^([1-9]\d{0,19})\.([0-9a-f]{32})\.([0-9a-f]{16})\.(\d{1,4})$/;

export function drawInstance(): string {
  return randomBytes(8).toString('hex');
}

export function formatIdentity(spanId: string, traceId: string, { instance, thread }: Owner): string {
  return `${spanId}.${traceId.padStart(32, '0')}.${instance}.${thread}`;
}

/** Undefined for anything that is none of ours. */
export function parseIdentity(text: string): Identity | undefined {
  const owned = ownedPattern.exec(text);
  if (owned !== null) {
    const [, spanId = '', traceId, instance = '', thread] = owned;
    return fits(spanId) ? { spanId, traceId, owner: { instance, thread: Number(thread) } } : undefined;
  }
  return spanIdPattern.test(text) && fits(text)
    ? { spanId: text, traceId: undefined, owner: undefined }
    : undefined;
}

function fits(spanId: string): boolean {
  return spanId.length < 20 || BigInt(spanId) <= maxUint64;
}
