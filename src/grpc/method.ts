/*
 * What a server knows of a method, and what a method knows of a call. All of it is synchronous: a message is handed over
 * where it was read, an answer leaves with the others of the same turn of the event loop.
 */
import type { GrpcStatus } from './status.ts';
import type { CallTrouble } from './trouble.ts';

/**
 * How a call ended, for counters: each of them is normal.
 *
 * - `ended`: by `end`, whatever the client did then.
 * - `reset`: the client reset the stream before. Envoy ends streams so.
 * - `lost`: the connection went before, and all of its streams with it.
 */
export type CallEnd = 'ended' | 'reset' | 'lost' | CallTrouble;

/** One stream of messages in each direction, as the method sees it. */
export interface GrpcCall {
  /**
   * The header list that the client opened the stream with, and nothing else: name, value, name, value, in the order
   * received, names in lower case, `:path` and its like first. See `metadataValue`.
   */
  readonly metadata: readonly string[];
  /** The address of the other side; undefined on a unix socket, and when it had gone already. */
  readonly peerAddress: string | undefined;
  /** `closed` was called, or is called at this moment. */
  readonly isClosed: boolean;
  /** What was sent and has not left. From 64 KiB on `drained` tells when it is 0. */
  readonly unsentBytes: number;
  /**
   * Sends a message. Nothing happens once the call was ended or is closed, so that an answer that comes too late needs no
   * care. Where the client does not take what is sent, no further message of this call is handed over until it does: who
   * answers messages need not bound what waits.
   * @param message without prefix; not changed, and not looked at after the return
   */
  send(message: Uint8Array): void;
  /**
   * Ends the call once all that was sent has left. What the client still sends is discarded. Nothing happens once the call
   * was ended or is closed.
   * @param message for people; percent-encoded on the wire
   */
  end(status: GrpcStatus, message?: string): void;
  /**
   * From the next message on nothing is handed over, though it may have been read already; the client's window closes.
   * The end of the call is told nevertheless.
   */
  pause(): void;
  /** Undoes `pause`. Messages may be handed over before it returns. */
  resume(): void;
}

/** What a method does with one call. In this order: messages, `halfClosed`, `closed`. */
export interface GrpcCallHandler {
  /**
   * @param message without prefix. It may be a view of a read buffer of up to 64 KiB that is not used again: it can be
   * kept without a copy by who lets go of it soon.
   */
  message(message: Buffer): void;
  /** All that was sent has left, after there had been 64 KiB of it or more: for who has more to send than it should hold. */
  drained?(): void;
  /** The client will send no further message. It waits for the end of the call, which is the method's to say. */
  halfClosed?(): void;
  /**
   * The connection was said goodbye to, and ends with its last call. A call that would otherwise last for ever is to end
   * now; all others have time.
   */
  leaving?(): void;
  /** Exactly once, whatever the way. Nothing is called afterwards, and what is done to the call has no effect. */
  closed(how: CallEnd): void;
}

export interface GrpcMethod {
  /**
   * A client opened a stream. `call.end` in here refuses it; what is returned is told of the end all the same.
   */
  open(call: GrpcCall): GrpcCallHandler;
  /**
   * What a call ends with in trouble; undefined: what gRPC has for it (`defaultStatusOf`). For a method whose clients take
   * any other status than OK for a failure of theirs.
   */
  statusOf?(trouble: CallTrouble): GrpcStatus | undefined;
  /** Calls are opened however busy the server is. For those that ask whether it lives. */
  readonly isNeverBusy?: boolean;
}

/** The first value of a field, by its name in lower case. */
export function metadataValue(metadata: readonly string[], name: string): string | undefined {
  for (let index = 0; index < metadata.length; index += 2) {
    if (metadata[index] === name) return metadata[index + 1];
  }
  return undefined;
}
