import { type Action, encodeActions, SpopError } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import { type Job, type JobHandler, RefusedJob } from '../../workers/jobs.ts';
import type { SkipReason } from './contract.ts';
import { failedActions, type NotifyHandler, skippedActions } from './notify-handler.ts';
import { routeOf } from './notify-route.ts';

/** Told of what was let through unseen. Must not throw. */
export interface SkipObserver {
  skipped(reason: SkipReason): void;
  /** Our mistake, contained. */
  frameFailed(cause: unknown): void;
}

const failedAnswer = encodeActions(failedActions());
const lateAnswer = encodeActions(skippedActions('overload'));

/** What an engine does with NOTIFY payloads: the handler's work as jobs. */
export class NotifyJobs implements JobHandler {
  readonly #handler: NotifyHandler;
  readonly #observer: SkipObserver;

  constructor(handler: NotifyHandler, observer: SkipObserver) {
    this.#handler = handler;
    this.#observer = observer;
  }

  handle(
    { payload, maxAnswerBytes, deadlineMs }: Omit<Job, 'work'>,
    answer: (bytes: Uint8Array) => void,
  ): void {
    if (sharedNowMs() > deadlineMs) {
      this.#late(payload, answer);
      return;
    }
    let actions: Action[] | Promise<Action[]>;
    try {
      actions = this.#handler.handle(payload, maxAnswerBytes);
    } catch (cause) {
      if (cause instanceof SpopError) throw new RefusedJob(cause.code, cause.message, { cause });
      this.#fail(cause, answer);
      return;
    }
    if (actions instanceof Promise) {
      actions.then(
        (late) => answer(this.#encoded(late)),
        (cause: unknown) => this.#fail(cause, answer),
      );
    } else answer(this.#encoded(actions));
  }

  skipped(payload: Buffer): void {
    const [messageName = '', identity = ''] = payload.toString().split('\n');
    this.#handler.skipped(messageName, identity);
  }

  workOnBacklog(): boolean {
    return this.#handler.workOnBacklog();
  }

  #late(payload: Buffer, answer: (bytes: Uint8Array) => void): void {
    const { messageName, identity } = routeOf(payload);
    if (identity !== undefined) this.#handler.skipped(messageName, identity);
    this.#observer.skipped('overload');
    answer(lateAnswer);
  }

  #fail(cause: unknown, answer: (bytes: Uint8Array) => void): void {
    this.#observer.frameFailed(cause);
    answer(failedAnswer);
  }

  #encoded(actions: readonly Action[]): Uint8Array {
    try {
      return encodeActions(actions);
    } catch (cause) {
      this.#observer.frameFailed(cause);
      return failedAnswer;
    }
  }
}

/** For `NotifyJobs.skipped`. */
export function encodeSkipped(messageName: string, identity: string): Buffer {
  return Buffer.from(`${messageName}\n${identity}`);
}
