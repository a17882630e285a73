import { type Action, SpopError } from '../../spop/index.ts';

/** A NOTIFY that wants its answer. */
export interface Notify {
  /** A view of what was read: to be used or copied before `answer` returns. */
  readonly payload: Buffer;
  /** Undefined unless bytes of it are missing at its end: see AgentEvent. */
  readonly missingBytes?: number | undefined;
  /** Room for the encoded actions in the ACK. */
  readonly maxActionsBytes: number;
  /** It was there by then, if not before; on `performance.now()`'s clock, in milliseconds. */
  readonly receivedAtMs: number;
  /** It came from another agent, which must not get it back. */
  readonly relayed: boolean;
  /** Once HAProxy's processing time-out went by, nobody waits for the answer: `late` is one then. */
  readonly mayBeLate: boolean;
}

/**
 * Actions, encoded or not. An error: the payload is no list of messages, and the connection ends. `late`: nobody waits
 * for it any longer, and nothing is sent.
 */
export type NotifyAnswer = readonly Action[] | Uint8Array | SpopError | 'late';

/** What answers a NOTIFY; see NotifyRouter. It may throw; see ContainedAnswerer. */
export interface NotifyAnswerer {
  /** @param done to be called exactly once, now or later. Bytes are copied before it returns. */
  answer(notify: Notify, done: (answer: NotifyAnswer) => void): void;
}

/**
 * In front of an answerer that may make mistakes: does not throw, and only the first answer counts. When the answerer
 * throws before it, `failedAnswer` stands in; SpopError is an answer.
 */
export class ContainedAnswerer implements NotifyAnswerer {
  readonly #answerer: NotifyAnswerer;
  readonly #failedAnswer: (payload: Buffer) => Action[];
  readonly #failed: (cause: unknown) => void;

  /** @param failed is told of what was thrown, but for SpopError */
  constructor(
    answerer: NotifyAnswerer,
    failedAnswer: (payload: Buffer) => Action[],
    failed: (cause: unknown) => void,
  ) {
    this.#answerer = answerer;
    this.#failedAnswer = failedAnswer;
    this.#failed = failed;
  }

  answer(notify: Notify, done: (answer: NotifyAnswer) => void): void {
    let answered = false;
    const first = (answer: NotifyAnswer): void => {
      if (answered) return;
      answered = true;
      done(answer);
    };
    try {
      this.#answerer.answer(notify, first);
    } catch (cause) {
      if (answered) this.#failed(cause);
      else first(this.#insteadOf(cause, notify.payload));
    }
  }

  #insteadOf(cause: unknown, payload: Buffer): NotifyAnswer {
    if (cause instanceof SpopError) return cause;
    this.#failed(cause);
    return this.#failedAnswer(payload);
  }
}
