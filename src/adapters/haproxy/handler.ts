import type { HandlerServices } from '../../daemon/door.ts';
import { type Action, encodeActions, SpopError } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import { type HandedJob, type JobHandler, RefusedJob } from '../../workers/jobs.ts';
import { parseIdentity } from './identity.ts';
import { NotifyHandler } from './notify-handler.ts';
import { routeOf } from './notify-route.ts';
import { observeHandler, observeSkips } from './observers.ts';
import type { HaproxyConfig } from './settings.ts';
import type { SkipObserver } from './skip-observer.ts';
import { failedActionsFor, skippedActions } from './unseen.ts';

/** What an engine does with NOTIFY payloads: the handler's work as jobs. */
export class NotifyJobs implements JobHandler {
  readonly #handler: NotifyHandler;
  readonly #observer: SkipObserver;

  constructor(handler: NotifyHandler, observer: SkipObserver) {
    this.#handler = handler;
    this.#observer = observer;
  }

  handle({ payload, maxAnswerBytes, deadlineMs }: HandedJob, answer: (bytes: Uint8Array) => void): void {
    if (sharedNowMs() > deadlineMs) {
      this.#late(payload, answer);
      return;
    }
    let actions: Action[] | Promise<Action[]>;
    try {
      actions = this.#handler.handle(payload, maxAnswerBytes);
    } catch (cause) {
      if (cause instanceof SpopError) throw new RefusedJob(cause.code, cause.message, { cause });
      answer(this.#failed(cause, payload));
      return;
    }
    if (actions instanceof Promise) {
      // The payload may change meanwhile.
      const kept = Buffer.from(payload);
      actions.then(
        (late) => answer(this.#encoded(late, kept)),
        (cause: unknown) => answer(this.#failed(cause, kept)),
      );
    } else answer(this.#encoded(actions, payload));
  }

  skipped(payload: Buffer): void {
    const [messageName = '', identity = ''] = payload.toString().split('\n');
    this.#handler.skipped(messageName, identity);
  }

  get liveTransactions(): number {
    return this.#handler.liveTransactions;
  }

  workOnBacklog(): boolean {
    return this.#handler.workOnBacklog();
  }

  #late(payload: Buffer, answer: (bytes: Uint8Array) => void): void {
    const { messageName, identity } = routeOf(payload);
    if (identity !== undefined) this.#handler.skipped(messageName, identity);
    this.#observer.skipped('overload');
    answer(encodeActions(skippedActions('overload', parseIdentity(identity ?? ''))));
  }

  #failed(cause: unknown, payload: Buffer): Uint8Array {
    this.#observer.frameFailed(cause);
    return encodeActions(failedActionsFor(payload));
  }

  #encoded(actions: readonly Action[], payload: Buffer): Uint8Array {
    try {
      return encodeActions(actions);
    } catch (cause) {
      return this.#failed(cause, payload);
    }
  }
}

/** The engine side of the door. */
export function createHandler(_config: HaproxyConfig, services: HandlerServices): JobHandler {
  const { inspector, pages, logger, metrics, transactionTimeoutMs, owner } = services;
  const handler = new NotifyHandler(
    inspector,
    pages,
    observeHandler(logger, metrics),
    transactionTimeoutMs,
    owner,
  );
  return new NotifyJobs(handler, observeSkips(logger, metrics));
}
