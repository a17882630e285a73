/**
 * What agents of ours say to each other when one hands a NOTIFY on to another. This is ours and no part of SPOP:
 * HAProxy sends none of it and would ignore it (SPOE.txt 3.2.4: unknown items may be), as does an agent that does not
 * know it. Two things:
 *
 * - In both HELLOs, items of their own: who speaks, and what the other side needs to be sure of it
 *   (src/adapters/haproxy/peers/proof.ts). A HAPROXY-HELLO with a greeting makes the connection one of a peer.
 * - On such a connection, the frame-id of a NOTIFY is the room for its answer: the bytes of actions that the HAProxy
 *   for which it is relayed can use, whose frames may be smaller than those that the agents agreed on. Nobody needs the
 *   frame-id for anything else there, since each NOTIFY has a stream-id of its own.
 */
import { MIN_FRAME_SIZE } from './frame.ts';
import { type KvItem, stringItem, stringOf } from './kv-list.ts';
import { SpopError } from './spop-error.ts';
import type { TypedData } from './typed-data.ts';
import { type Uint64, VARINT_MAX_BYTES } from './varint.ts';

/** What the agent that connects says of itself. */
export interface PeerGreeting {
  /** The process that connects: 16 hexadecimal digits, new at each of its starts. */
  readonly instance: string;
  /** 32 hexadecimal digits, drawn for this connection. */
  readonly nonce: string;
}

/** What the other answers. */
export interface PeerAnswer {
  readonly instance: string;
  /** 64 hexadecimal digits, from an agent that has a secret. */
  readonly proof: string | undefined;
}

/** The items of a greeting, in HAPROXY-HELLO. */
export const GREETING_ITEMS = ['appsec-edge-peer', 'appsec-edge-nonce'] as const;

/** The items of an answer, in AGENT-HELLO. */
export const ANSWER_ITEMS = ['appsec-edge-instance', 'appsec-edge-proof'] as const;

const INSTANCE_DIGITS = 16;
const NONCE_DIGITS = 32;
const PROOF_DIGITS = 64;

/**
 * What the smallest frame leaves for actions, whatever its ids: no peer can ask for less, for what must be in every
 * ACK has to fit.
 */
const LEAST_ACTIONS_BYTES = MIN_FRAME_SIZE - 5 - 2 * VARINT_MAX_BYTES;

/**
 * Undefined when HAProxy is on the other side.
 * @throws SpopError SPOP_BAD_ITEM when instance or nonce are not made of their number of digits
 */
export function readGreeting(items: ReadonlyMap<string, TypedData>): PeerGreeting | undefined {
  const instance = items.get('appsec-edge-peer');
  if (instance === undefined) return undefined;
  return {
    instance: digitsOf(instance, 'appsec-edge-peer', INSTANCE_DIGITS),
    nonce: digitsOf(items.get('appsec-edge-nonce'), 'appsec-edge-nonce', NONCE_DIGITS),
  };
}

/** The items for HAPROXY-HELLO. */
export function greetingItems({ instance, nonce }: PeerGreeting): KvItem[] {
  return [stringItem('appsec-edge-peer', instance), stringItem('appsec-edge-nonce', nonce)];
}

/**
 * Undefined of an agent without peers, or one that is not ours.
 * @throws SpopError SPOP_BAD_ITEM when instance or proof are not made of their number of digits
 */
export function readAnswer(items: ReadonlyMap<string, TypedData>): PeerAnswer | undefined {
  const instance = items.get('appsec-edge-instance');
  if (instance === undefined) return undefined;
  const proof = items.get('appsec-edge-proof');
  return {
    instance: digitsOf(instance, 'appsec-edge-instance', INSTANCE_DIGITS),
    proof: proof && digitsOf(proof, 'appsec-edge-proof', PROOF_DIGITS),
  };
}

/** The items for AGENT-HELLO. */
export function answerItems({ instance, proof }: PeerAnswer): KvItem[] {
  const named = stringItem('appsec-edge-instance', instance);
  return proof === undefined ? [named] : [named, stringItem('appsec-edge-proof', proof)];
}

/** The frame-id of a relayed NOTIFY whose answer may take so many bytes. */
export function frameIdOfRoom(maxActionsBytes: number): number {
  return Math.max(1, maxActionsBytes);
}

/** The room that the frame-id of a relayed NOTIFY names, of the `fittingBytes` that a frame between the agents has. */
export function roomOfFrameId(frameId: Uint64, fittingBytes: number): number {
  return Math.min(fittingBytes, Math.max(Number(frameId), LEAST_ACTIONS_BYTES));
}

/** Hexadecimal digits, in lower case, and exactly so many: they are compared, logged, and go into a proof. */
function digitsOf(data: TypedData | undefined, name: string, count: number): string {
  const digits = data === undefined ? '' : stringOf(data, name);
  if (digits.length !== count || !/^[0-9a-f]+$/.test(digits)) {
    throw new SpopError('SPOP_BAD_ITEM', `item ${name} is not ${count} hexadecimal digits`);
  }
  return digits;
}
