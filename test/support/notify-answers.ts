/** NOTIFYs to a handler without a thread or a socket around it, and the actions that it answers. */
import type { NotifyHandler } from '../../src/adapters/haproxy/handler.ts';
import type { NotifyObserver } from '../../src/adapters/haproxy/notify-observer.ts';
import { type Action, decodeActions, encodeMessages, type SpoeMessageInput } from '../../src/spop/index.ts';
import { sharedNowMs } from '../../src/workers/channel.ts';
import type { Job } from '../../src/workers/jobs.ts';
import { variablesOf } from './spoe-messages.ts';

/** Room in the ACK. */
export const roomBytes = 16_000;

export const silentObserver: NotifyObserver = {
  message: () => undefined,
  failed: () => undefined,
  unknownMessage: () => undefined,
  malformed: () => undefined,
  configurationMismatch: () => undefined,
  pageSubstituted: () => undefined,
  variablesDropped: () => undefined,
  skipped: () => undefined,
  frameFailed: () => undefined,
};

/** A job that is not late for a minute. */
export function jobOf(payload: Buffer): Job {
  const work = { kind: 0, size: 1, guessUs: 1 };
  return { door: 0, payload, maxAnswerBytes: roomBytes, deadlineMs: sharedNowMs() + 60_000, work };
}

export function actionsOf(handler: NotifyHandler, payload: Buffer): Promise<Action[]> {
  return new Promise((resolve) => {
    handler.handle(jobOf(payload), (bytes) => resolve(decodeActions(Buffer.from(bytes))));
  });
}

/** The variables that the answer to these messages sets. */
export async function variablesFor(
  handler: NotifyHandler,
  messages: readonly SpoeMessageInput[],
): Promise<Record<string, unknown>> {
  return variablesOf(await actionsOf(handler, encodeMessages(messages)));
}
