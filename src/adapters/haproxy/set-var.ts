import { type Deferred, type Inspected, isBlocking } from '../../engine/analysis.ts';
import type { BlockPages, BlockResponse } from '../../engine/block-page.ts';
import type { HeaderList } from '../../engine/http.ts';
import { type BlockVerdict, plainBlock, type RedirectVerdict, type Verdict } from '../../engine/verdict.ts';
import { type Action, ByteWriter, encodedActionSize, writeAction } from '../../spop/index.ts';
import { variableNames } from './contract.ts';
import { rewritingRoomBytes } from './rewriting-room.ts';
import type { Standing } from './standing.ts';

/*
 * Verdict to set-var actions.
 *
 * An ACK must not exceed the negotiated frame size: HAProxy 3.1 to 3.4 wedge the connection on one that does. So what
 * does not fit gives way, last first, in this order of importance:
 *
 * 1. `blocked` with `status`, and `request_body` with `response_body`: they fit into the smallest frame there is
 *    (256 bytes, SPOE.txt 3.2.4) and are always there;
 * 2. of a block, `headers`, then `body`. The page gives way first: the operator's, the built-in one, none. A redirect
 *    whose Location does not fit becomes a plain 403: without a Location it would be no answer. Page and Location leave
 *    HAProxy room for the headers that it adds to them (rewriting-room.ts);
 * 3. `span_id`, without which later messages are analysed without the request;
 * 4. trace headers for the origin;
 * 5. what is there for people: `verdict`, `rule_ids` (a shorter list before none), `trace_id`.
 *
 * HAProxy also skips everything behind an action that it does not understand, a second reason for the order.
 */

/** What goes into one ACK, and what could not. */
export interface ActionPlan {
  /** Encoded, for one ACK. */
  readonly actions: Uint8Array;
  /** The operator's block page, or the Location of a redirect, did not fit into a frame of this connection. */
  readonly pageSubstituted: boolean;
  /** Names of variables that had to be left out. */
  readonly dropped: readonly string[];
}

/** The variable is for a log line. */
const maxRuleIdsBytes = 512;

/** What HAProxy is to be told. */
export interface PlanInput {
  readonly analysis: Inspected | Deferred;
  /** Which direction `analysis.wantsBody` is about; undefined when no body can follow. */
  readonly bodyOf: 'request' | 'response' | undefined;
  /** Of the transaction as a whole, and of all messages of the NOTIFY. */
  readonly standing: Standing;
  /** When HAProxy does not have it yet, or not with its mark: it goes along, and the trace. */
  readonly identity: string | undefined;
  readonly propagation: HeaderList;
}

/** @param maxActionsBytes what the actions may take, encoded. */
export function planActions(input: PlanInput, pages: BlockPages, maxActionsBytes: number): ActionPlan {
  const { analysis } = input;
  const plan = new FittingPlan(maxActionsBytes);
  if (analysis.kind === 'inspected' && isBlocking(analysis.verdict)) {
    return planBlock(input, analysis.verdict, pages, plan);
  }
  for (const action of bodyRequests(input)) plan.add(action);
  if (input.identity !== undefined) {
    plan.add(text(variableNames.spanId, input.identity));
    for (const [name, value] of input.propagation) plan.add(text(tracingVariable(name), value));
  }
  // A deferred analysis says nothing yet; what was said before, or was not looked at, stands.
  if (analysis.kind === 'deferred' && input.standing === 'pass') planTraceId(input, plan);
  else planNarrative(input, analysis.kind === 'deferred' ? 'pass' : analysis.verdict.kind, plan);
  return plan.done(false);
}

function planBlock(
  input: PlanInput,
  verdict: BlockVerdict | RedirectVerdict,
  pages: BlockPages,
  plan: FittingPlan,
): ActionPlan {
  const bodies = bodyRequests(input);
  const bodiesBytes = bodies.reduce((sum, action) => sum + encodedActionSize(action), 0);
  const addedHeadersBytes = rewritingRoomBytes(plan.remainingBytes);
  plan.add(boolean(variableNames.blocked, true));
  const room = plan.remainingBytes - bodiesBytes - addedHeadersBytes;
  const { sent, headers } = sendable(input, verdict, pages, room);
  plan.add(integer(variableNames.status, sent.status));
  plan.remainingBytes -= bodiesBytes;
  plan.add(headers);
  const service = input.analysis.transaction.application?.service;
  const pageRoom = Math.max(0, plan.remainingBytes - bodyOverheadBytes - addedHeadersBytes);
  const page = pages.render(sent, pageRoom, service);
  plan.add(binary(variableNames.body, page.body));
  plan.remainingBytes += bodiesBytes;
  for (const action of bodies) plan.add(action);
  if (input.identity !== undefined) plan.add(text(variableNames.spanId, input.identity));
  planNarrative(input, sent.kind, plan);
  return plan.done(page.substituted || sent !== verdict);
}

/** What of `verdict` can be sent in `room` bytes with an empty page: a redirect only with its Location. */
function sendable(
  input: PlanInput,
  verdict: BlockVerdict | RedirectVerdict,
  pages: BlockPages,
  room: number,
): { readonly sent: BlockVerdict | RedirectVerdict; readonly headers: Action } {
  const headers = text(variableNames.headers, headerLines(pages.render(verdict, 0)));
  const needed =
    encodedActionSize(integer(variableNames.status, verdict.status)) +
    encodedActionSize(headers) +
    bodyOverheadBytes;
  if (verdict.kind === 'block' || needed <= room) return { sent: verdict, headers };
  const block = plainBlock(verdict.securityResponseId, input.analysis.transaction.request?.headers ?? []);
  return { sent: block, headers: text(variableNames.headers, headerLines(pages.render(block, 0))) };
}

/** The action of a page besides its bytes. A varint for any length takes at most five bytes, an empty value has one. */
const bodyOverheadBytes = encodedActionSize(binary(variableNames.body, Buffer.alloc(0))) + 4;

/** Both are always written: a left-over of an earlier request must never count. */
function bodyRequests({ analysis: { wantsBody }, bodyOf }: PlanInput): readonly Action[] {
  return [
    // Datadog's configuration asks `request_body` in both directions.
    boolean(variableNames.requestBody, wantsBody),
    boolean(variableNames.responseBody, wantsBody && bodyOf === 'response'),
  ];
}

function planNarrative(input: PlanInput, sent: Verdict['kind'], plan: FittingPlan): void {
  const { transaction } = input.analysis;
  const blocks = sent === 'block' || sent === 'redirect';
  plan.add(text(variableNames.verdict, blocks ? sent : input.standing));
  if (transaction.ruleIds.length > 0) {
    const overhead = encodedActionSize(text(variableNames.ruleIds, '')) + 1;
    const room = Math.min(maxRuleIdsBytes, plan.remainingBytes - overhead);
    plan.add(text(variableNames.ruleIds, joinedWithin(transaction.ruleIds, room)));
  }
  planTraceId(input, plan);
}

function planTraceId({ identity, analysis }: PlanInput, plan: FittingPlan): void {
  if (identity !== undefined) plan.add(text(variableNames.traceId, analysis.transaction.traceId));
}

/** Collects actions as long as they fit, encoded: each is written once, and taken back if it does not. */
class FittingPlan {
  remainingBytes: number;
  readonly #encoded = new ByteWriter();
  readonly #dropped: string[] = [];

  constructor(maxBytes: number) {
    this.remainingBytes = maxBytes;
  }

  add(action: Action): void {
    const start = this.#encoded.length;
    writeAction(this.#encoded, action);
    const size = this.#encoded.length - start;
    if (size <= this.remainingBytes) {
      this.remainingBytes -= size;
      return;
    }
    this.#encoded.truncate(start);
    this.#dropped.push(action.name);
  }

  done(pageSubstituted: boolean): ActionPlan {
    return { actions: this.#encoded.take(), pageSubstituted, dropped: this.#dropped };
  }
}

/** Sets a variable of the transaction to a string. */
export function text(name: string, value: string): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'string', value } };
}

/** Sets a variable of the transaction to a boolean. */
export function boolean(name: string, value: boolean): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'boolean', value } };
}

function integer(name: string, value: number): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'int32', value } };
}

function binary(name: string, value: Buffer): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'binary', value } };
}

function headerLines(response: BlockResponse): string {
  return response.headers.map(([name, value]) => `${name}: ${value}\n`).join('');
}

/** By name of the header: there are some ten, and the tracer makes them up, not who sends requests. */
const tracingVariables = new Map<string, string>();

/** Names of variables know letters, digits, `.` and `_` only. */
function tracingVariable(headerName: string): string {
  const known = tracingVariables.get(headerName);
  if (known !== undefined) return known;
  const name = variableNames.tracingPrefix + headerName.toLowerCase().replace(/[^a-z0-9._]/g, '_');
  tracingVariables.set(headerName, name);
  return name;
}

const ellipsis = '...';

/** Whole ids, separated by commas; `...` stands for those that did not fit. */
function joinedWithin(ruleIds: readonly string[], maxBytes: number): string {
  const whole = ruleIds.join(',');
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  let joined = '';
  for (const id of ruleIds) {
    const longer = `${joined}${id},`;
    if (Buffer.byteLength(longer) + ellipsis.length > maxBytes) break;
    joined = longer;
  }
  return joined + ellipsis;
}
