import type { BlockPages, BlockResponse } from '../../engine/block-page.ts';
import type { HeaderList } from '../../engine/http.ts';
import type { Analysis } from '../../engine/transaction.ts';
import type { BlockVerdict, RedirectVerdict } from '../../engine/verdict.ts';
import { type Action, encodedActionSize } from '../../spop/index.ts';
import { variableNames } from './contract.ts';

/*
 * Verdict to set-var actions.
 *
 * An ACK must not exceed the negotiated frame size: HAProxy 3.1 to 3.4 wedge the connection on one that does. So what
 * does not fit gives way, last first, in this order of importance: the block (flag, status, headers, page), the
 * identity and the requests for bodies, trace headers for the origin, and what is there for people. Of a block, the
 * page gives way before the flag: the operator's page, the built-in page, no page. HAProxy also skips everything
 * behind an action that it does not understand, a second reason for the order.
 */

export interface ActionPlan {
  readonly actions: Action[];
  /** The operator's block page did not fit into a frame of this connection. */
  readonly pageSubstituted: boolean;
  /** Names of variables that had to be left out. */
  readonly dropped: readonly string[];
}

/** HAProxy refuses longer rule lists nowhere, but a variable is for a log line. */
const maxRuleIdsBytes = 512;

export interface PlanInput {
  readonly analysis: Analysis;
  /** Which direction `analysis.wantsBody` is about; undefined when no body can follow. */
  readonly bodyOf: 'request' | 'response' | undefined;
  /** First answer of a transaction: its identity goes along. */
  readonly announcesIdentity: boolean;
  readonly propagation: HeaderList;
}

/** @param maxActionsBytes what the actions may take, encoded. */
export function planActions(input: PlanInput, pages: BlockPages, maxActionsBytes: number): ActionPlan {
  const { verdict } = input.analysis;
  const plan = new FittingPlan(maxActionsBytes);
  if (verdict.kind === 'block' || verdict.kind === 'redirect') return planBlock(input, verdict, pages, plan);
  planBodies(input, plan);
  if (input.announcesIdentity) {
    plan.add(text(variableNames.spanId, input.analysis.transaction.id));
    for (const [name, value] of input.propagation) plan.add(text(tracingVariable(name), value));
  }
  planNarrative(input, plan);
  return plan.done(false);
}

function planBlock(
  input: PlanInput,
  verdict: BlockVerdict | RedirectVerdict,
  pages: BlockPages,
  plan: FittingPlan,
): ActionPlan {
  plan.add(boolean(variableNames.blocked, true));
  plan.add(integer(variableNames.status, verdict.status));
  // Everything of the block but the page, with an empty page, tells how much is left for it.
  const frame = pages.render(verdict, 0);
  plan.add(text(variableNames.headers, headerLines(frame)));
  const overhead = encodedActionSize(binary(variableNames.body, Buffer.alloc(0))) + maxLengthBytes;
  const page = pages.render(verdict, Math.max(0, plan.remainingBytes - overhead));
  plan.add(binary(variableNames.body, page.body));
  planBodies(input, plan);
  if (input.announcesIdentity) plan.add(text(variableNames.spanId, input.analysis.transaction.id));
  planNarrative(input, plan);
  return plan.done(page.substituted);
}

/** A varint for any length of a frame takes at most five bytes, one of which an empty value has already. */
const maxLengthBytes = 4;

/** Both are always written: a left-over of an earlier request must never count. */
function planBodies(input: PlanInput, plan: FittingPlan): void {
  const { wantsBody } = input.analysis;
  // Datadog's configuration asks `request_body` in both directions.
  plan.add(boolean(variableNames.requestBody, wantsBody));
  plan.add(boolean(variableNames.responseBody, wantsBody && input.bodyOf === 'response'));
}

function planNarrative(input: PlanInput, plan: FittingPlan): void {
  const { transaction, verdict } = input.analysis;
  plan.add(text(variableNames.verdict, verdict.kind));
  if (transaction.ruleIds.length > 0)
    plan.add(text(variableNames.ruleIds, joinedWithin(transaction.ruleIds)));
  if (input.announcesIdentity) plan.add(text(variableNames.traceId, transaction.trace.traceId));
}

/** Collects actions as long as they fit. The first ones are small; frames are at least 256 bytes (SPOE.txt 3.2). */
class FittingPlan {
  remainingBytes: number;
  readonly #actions: Action[] = [];
  readonly #dropped: string[] = [];

  constructor(maxBytes: number) {
    this.remainingBytes = maxBytes;
  }

  add(action: Action): void {
    const size = encodedActionSize(action);
    if (size > this.remainingBytes) {
      this.#dropped.push(action.name);
      return;
    }
    this.remainingBytes -= size;
    this.#actions.push(action);
  }

  done(pageSubstituted: boolean): ActionPlan {
    return { actions: this.#actions, pageSubstituted, dropped: this.#dropped };
  }
}

export function text(name: string, value: string): Action {
  return { kind: 'set-var', scope: 'txn', name, value: { type: 'string', value } };
}

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

/** Names of variables know letters, digits, `.` and `_` only. */
function tracingVariable(headerName: string): string {
  return variableNames.tracingPrefix + headerName.toLowerCase().replaceAll('-', '_');
}

function joinedWithin(ruleIds: readonly string[]): string {
  let joined = '';
  for (const id of ruleIds) {
    if (joined.length + id.length + 1 > maxRuleIdsBytes) return `${joined},...`;
    joined = joined === '' ? id : `${joined},${id}`;
  }
  return joined;
}
