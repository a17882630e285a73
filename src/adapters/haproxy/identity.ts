/*
 * The identity of a transaction as HAProxy keeps it, in the variable `span_id`, and hands it back with every later
 * message. It names the owner, so that a message that reaches another agent or another thread finds its way:
 *
 *   <span id>.<trace id>.<instance>.<thread>        and, when there is one, .<mark>
 *
 * The span id is an unsigned 64-bit integer in decimal, the trace id 32 hexadecimal digits: with them an agent that
 * has to do without the owner still reports in the same trace. The instance is drawn at random when an agent starts,
 * 16 hexadecimal digits; it is no address, so nothing that is written there can send an agent anywhere. A span id
 * alone, as Datadog's own agent sets it, is an identity without an owner.
 *
 * The mark says what became of the transaction so far, if that is no `pass`: see standing.ts. A mark alone is what a
 * transaction gets of which nothing was looked at: there is no span to name.
 */
import { randomBytes } from 'node:crypto';
import { type Mark, markOf, marks, type Standing, worseStanding } from './standing.ts';

/** Where a transaction lives. */
export interface Owner {
  readonly instance: string;
  readonly thread: number;
}

export interface Identity {
  /** Undefined of a mark alone. */
  readonly spanId: string | undefined;
  readonly traceId: string | undefined;
  readonly owner: Owner | undefined;
  readonly mark: Mark | undefined;
}

const maxUint64 = 2n ** 64n - 1n;
const spanIdPattern = /^[1-9]\d{0,19}$/;
const ownedPattern = /^([1-9]\d{0,19})\.([0-9a-f]{32})\.([0-9a-f]{16})\.(\d{1,4})$/;
/** A span id, a trace id, an instance, a thread, the longest mark, and the points between. */
const longestIdentity = 20 + 32 + 16 + 4 + 7 + 4;
const markedPattern = new RegExp(`^(?:(.+)\\.)?(${marks.join('|')})$`);

export function generateInstance(): string {
  return randomBytes(8).toString('hex');
}

export function formatIdentity(spanId: string, traceId: string, { instance, thread }: Owner): string {
  return `${spanId}.${traceId.padStart(32, '0')}.${instance}.${thread}`;
}

/** The identity as text, with a mark that says what became of the transaction; of an earlier mark, the worse stands. */
export function markedIdentity(identity: Identity | undefined, standing: Standing): string | undefined {
  const mark = markOf(worseStanding(identity?.mark ?? 'pass', standing));
  const parts = [unmarkedText(identity), mark].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join('.');
}

function unmarkedText(identity: Identity | undefined): string | undefined {
  if (identity?.spanId === undefined) return undefined;
  const { spanId, traceId, owner } = identity;
  return traceId === undefined || owner === undefined ? spanId : formatIdentity(spanId, traceId, owner);
}

/** Undefined for anything that is none of ours. */
export function parseIdentity(text: string): Identity | undefined {
  if (text.length > longestIdentity) return undefined;
  const [, unmarked, markText] = markedPattern.exec(text) ?? [];
  if (markText === undefined) return parseUnmarked(text, undefined);
  const mark = marks.find((one) => one === markText);
  return unmarked === undefined
    ? { spanId: undefined, traceId: undefined, owner: undefined, mark }
    : parseUnmarked(unmarked, mark);
}

function parseUnmarked(text: string, mark: Mark | undefined): Identity | undefined {
  const owned = ownedPattern.exec(text);
  if (owned !== null) {
    const [, spanId = '', traceId, instance = '', thread] = owned;
    const owner = { instance, thread: Number(thread) };
    return fits(spanId) ? { spanId, traceId, owner, mark } : undefined;
  }
  return spanIdPattern.test(text) && fits(text)
    ? { spanId: text, traceId: undefined, owner: undefined, mark }
    : undefined;
}

function fits(spanId: string): boolean {
  return spanId.length < 20 || BigInt(spanId) <= maxUint64;
}
