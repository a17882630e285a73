/** What bytes from HAProxy mean to the agent, as `AgentConnection` tells it. */
import type { Buffer } from 'node:buffer';
import type { AgentHello, HaproxyHello } from './hello.ts';
import type { SpopError } from './spop-error.ts';
import type { Uint64 } from './varint.ts';

/** One frame of HAProxy, or what is wrong with it. */
export type AgentEvent =
  /** The handshake succeeded; `negotiated` is what we answered. */
  | { readonly kind: 'hello'; readonly hello: HaproxyHello; readonly negotiated: AgentHello }
  /**
   * A NOTIFY that must be answered with one `ack`, as long as `isAwaited` says so. The payload is for `decodeMessages`,
   * unless bytes are missing at its end: the frame was too large to be kept, or there was no memory for it.
   */
  | {
      readonly kind: 'notify';
      readonly streamId: Uint64;
      readonly frameId: Uint64;
      readonly payload: Buffer;
      /** The bytes of actions that its ACK has room for: see `encodedActionSize`. */
      readonly maxActionsBytes: number;
      readonly missingBytes?: number;
    }
  /** A health check was answered, by AGENT-HELLO or by a refusal; closed. */
  | { readonly kind: 'healthcheck'; readonly refused: boolean }
  /** HAProxy says goodbye, and was answered; closed. Status 0 is normal, 2 is its idle time-out. */
  | { readonly kind: 'disconnect'; readonly status: number; readonly message: string }
  /** The peer broke the protocol, and was told; closed. */
  | { readonly kind: 'error'; readonly error: SpopError };

/** A NOTIFY, from when it came to when it is answered. */
export type NotifyEvent = Extract<AgentEvent, { kind: 'notify' }>;

/** How a byte stream ended: between two frames, or in the middle of one. */
export interface EndOfStream {
  readonly truncated: boolean;
  /** Bytes of the frame that was cut off. */
  readonly pendingBytes: number;
  /** NOTIFYs that will get no answer any more. */
  readonly inFlight: number;
}
