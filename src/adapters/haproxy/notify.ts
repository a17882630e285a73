import type { Action } from '../../spop/index.ts';

/** A NOTIFY that wants its answer. */
export interface Notify {
  /** A view of what was read: to be used or copied before `answer` returns. */
  readonly payload: Buffer;
  /** Undefined unless bytes of it are missing at its end: see AgentEvent. */
  readonly missingBytes?: number | undefined;
  /** Room for the encoded actions in the ACK. */
  readonly maxActionsBytes: number;
  /** An upper bound of when its last byte arrived; on `sharedNowMs`'s clock, in milliseconds. */
  readonly receivedAtMs: number;
  /** It came from another agent, which must not get it back. */
  readonly relayed: boolean;
  /** Once HAProxy's processing time-out went by, nobody waits for the answer: `late` is one then. */
  readonly mayBeLate: boolean;
}

/** Actions, encoded or not. `late`: nobody waits for it any longer, and nothing is sent. */
export type NotifyAnswer = readonly Action[] | Uint8Array | 'late';

/** What answers a NOTIFY; see NotifyRouter. Whatever it does, ConnectionAnswers makes one answer of it. */
export interface NotifyAnswerer {
  /**
   * @throws SpopError in place of an answer when the payload is no list of messages: the connection ends.
   * @param done to be called exactly once, now or later. Bytes are copied before it returns.
   */
  answer(notify: Notify, done: (answer: NotifyAnswer) => void): void;
}
