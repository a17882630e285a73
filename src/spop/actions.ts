/**
 * The payload of an ACK frame (SPOE.txt 3.4): actions that set or unset variables. HAProxy stops at the
 * first action it cannot read and drops all that follow, so the important ones go first.
 *
 * UNSET-VAR carries no value: after one, HAProxy would meet a stray byte where the next action begins.
 */
import type { Buffer } from 'node:buffer';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { FrameType, writeFrame } from './frame.ts';
import { SpopError } from './spop-error.ts';
import { readTypedData, type TypedDataInput, writeTypedData } from './typed-data.ts';
import type { Uint64 } from './varint.ts';

/** The lifetime of a variable: process, client session, transaction, request or response. */
export const VariableScope = { proc: 0, sess: 1, txn: 2, req: 3, res: 4 } as const;
export type VariableScope = keyof typeof VariableScope;

/** Names are without HAProxy's own prefix: `blocked`, not `txn.dd.blocked`. */
export type Action =
  | {
      readonly kind: 'set-var';
      readonly scope: VariableScope;
      readonly name: string;
      readonly value: TypedDataInput;
    }
  | { readonly kind: 'unset-var'; readonly scope: VariableScope; readonly name: string };

const ActionType = { SET_VAR: 1, UNSET_VAR: 2 } as const;
const MEASURING_KEPT_BYTES = 4096;
const SET_VAR_ARGUMENTS = 3;
const UNSET_VAR_ARGUMENTS = 2;
const SCOPES: readonly VariableScope[] = ['proc', 'sess', 'txn', 'req', 'res'];

/** Always empty between two calls. */
const measuring = new ByteWriter();

/** The bytes an action adds to an ACK. */
export function encodedActionSize(action: Action): number {
  try {
    writeAction(measuring, action);
    return measuring.length;
  } finally {
    // The room that a page took is not worth keeping.
    if (measuring.length > MEASURING_KEPT_BYTES) measuring.take();
    else measuring.truncate(0);
  }
}

/** The bytes of an ACK payload. */
export function encodeActions(actions: readonly Action[]): Buffer {
  const writer = new ByteWriter();
  for (const action of actions) writeAction(writer, action);
  return writer.take();
}

/**
 * A whole ACK frame, length included, of whatever size. A connection uses `AgentConnection.ack`, which
 * knows how large it may be.
 */
export function encodeAck(streamId: Uint64, frameId: Uint64, actions: readonly Action[]): Buffer {
  const writer = new ByteWriter();
  writeFrame(writer, { type: FrameType.ACK, streamId, frameId }, () => {
    for (const action of actions) writeAction(writer, action);
  });
  return writer.take();
}

/**
 * Appends one action.
 * @throws RangeError if its name or value cannot be encoded; what was written of it stays
 */
export function writeAction(writer: ByteWriter, action: Action): void {
  if (action.kind === 'set-var') {
    writer.uint8(ActionType.SET_VAR);
    writer.uint8(SET_VAR_ARGUMENTS);
    writer.uint8(VariableScope[action.scope]);
    writer.name(action.name);
    writeTypedData(writer, action.value);
  } else {
    writer.uint8(ActionType.UNSET_VAR);
    writer.uint8(UNSET_VAR_ARGUMENTS);
    writer.uint8(VariableScope[action.scope]);
    writer.name(action.name);
  }
}

/**
 * All actions of an ACK payload. String and binary values are views of it.
 * @throws SpopError if the payload is no list of actions, to its last byte
 */
export function decodeActions(payload: Buffer): Action[] {
  const reader = new ByteReader(payload);
  const actions: Action[] = [];
  while (reader.remaining > 0) actions.push(readAction(reader));
  return actions;
}

function readAction(reader: ByteReader): Action {
  const type = reader.uint8('action type');
  const count = reader.uint8('action argument count');
  const expected = type === ActionType.SET_VAR ? SET_VAR_ARGUMENTS : UNSET_VAR_ARGUMENTS;
  if ((type !== ActionType.SET_VAR && type !== ActionType.UNSET_VAR) || count !== expected) {
    throw new SpopError('SPOP_BAD_ACTION', `action of type ${type} with ${count} arguments`);
  }
  const scopeNumber = reader.uint8('variable scope');
  const scope = SCOPES[scopeNumber];
  if (scope === undefined) throw new SpopError('SPOP_BAD_ACTION', `variable scope ${scopeNumber}`);
  const name = reader.name('variable name');
  if (type === ActionType.UNSET_VAR) return { kind: 'unset-var', scope, name };
  return { kind: 'set-var', scope, name, value: readTypedData(reader) };
}
