import { type Action, SpopError } from '../../spop/index.ts';
import { type SkipReason, variableNames } from './contract.ts';
import { type Identity, markedIdentity, parseIdentity } from './identity.ts';
import { routeOf } from './notify-route.ts';
import { boolean, text } from './set-var.ts';
import { type Standing, worseStanding } from './standing.ts';

/*
 * Answers to a NOTIFY that was not analysed. The traffic goes on; a log, who wants to fail closed, and the next message
 * must be able to tell. So each says how the transaction stands, and marks the identity with it (see standing.ts).
 */

/** For a NOTIFY that led to nothing: HAProxy 3.1.0 waits for its time-out on an ACK without an action. */
export function neutralActions(): Action[] {
  return [boolean(variableNames.requestBody, false), boolean(variableNames.responseBody, false)];
}

/** @param known what HAProxy handed back with the message. */
export function unseenActions(known: Identity | undefined, standing: Standing): Action[] {
  const identity = markedIdentity(known, standing);
  return [
    ...neutralActions(),
    ...(identity === undefined ? [] : [text(variableNames.spanId, identity)]),
    text(variableNames.verdict, worseStanding(known?.mark ?? 'pass', standing)),
  ];
}

/** For lack of time. */
export function skippedActions(reason: SkipReason, known?: Identity): Action[] {
  return [...unseenActions(known, 'skipped'), text(variableNames.skippedReason, reason)];
}

/** An internal error. */
export function failedActions(known?: Identity): Action[] {
  return unseenActions(known, 'error');
}

/** As `failedActions`, when nothing but the payload is at hand. */
export function failedActionsFor(payload: Buffer): Action[] {
  return failedActions(identityIn(payload));
}

function identityIn(payload: Buffer): Identity | undefined {
  try {
    const { identity } = routeOf(payload);
    return identity === undefined ? undefined : parseIdentity(identity);
  } catch (cause) {
    if (cause instanceof SpopError) return undefined;
    throw cause;
  }
}
