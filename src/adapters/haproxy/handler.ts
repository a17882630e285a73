import type { HandlerServices } from '../../daemon/door.ts';
import type { Analysis, Deferred, Inspected } from '../../engine/analysis.ts';
import type { BlockPages } from '../../engine/block-page.ts';
import type { HeaderList } from '../../engine/http.ts';
import type { Inspector } from '../../engine/inspector.ts';
import { decodeMessages, encodeActions, type SpoeMessage } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import type { HandedJob, JobHandler } from '../../workers/jobs.ts';
import { argumentNames, configurationVersion, messageNames } from './contract.ts';
import { type Identity, type Owner, parseIdentity } from './identity.ts';
import { MessageArguments } from './message-arguments.ts';
import type { NotifyObserver } from './notify-observer.ts';
import { NotifyOutcome } from './notify-outcome.ts';
import { routeOf } from './notify-route.ts';
import { observeHandler, observeSkips } from './observers.ts';
import { planActions } from './set-var.ts';
import type { HaproxyConfig } from './settings.ts';
import { failedActions, neutralActions, skippedActions, unseenActions } from './unseen.ts';

/** What a NotifyHandler works with. */
export interface NotifyHandlerServices {
  readonly inspector: Inspector;
  readonly pages: BlockPages;
  readonly observer: NotifyObserver;
  /** Of a transaction whose messages do not say it, in milliseconds. */
  readonly timeToLiveMs: number;
  /** Goes into identities; without one they are span ids alone. */
  readonly owner?: Owner | undefined;
}

/** Versions of the configuration that were complained about; the peer makes them up. */
const maxMismatches = 16;

/** The engine side of the door. */
export function createHandler(_config: HaproxyConfig, services: HandlerServices): JobHandler {
  const { inspector, pages, logger, metrics, transactionTimeoutMs, owner } = services;
  return new NotifyHandler({
    inspector,
    pages,
    observer: { ...observeHandler(logger, metrics), ...observeSkips(logger, metrics) },
    timeToLiveMs: transactionTimeoutMs,
    owner,
  });
}

/**
 * NOTIFY payload in, encoded actions out: one answer for all messages of the frame. Synchronous unless a body needs
 * decompression. The router has walked over each payload, so it is a list of messages; whatever goes wrong with one of
 * them is contained there, and whatever else goes wrong is answered as an internal error.
 */
export class NotifyHandler implements JobHandler {
  readonly #inspector: Inspector;
  readonly #pages: BlockPages;
  readonly #observer: NotifyObserver;
  readonly #timeToLiveMs: number;
  readonly #owner: Owner | undefined;
  readonly #mismatches = new Set<string>();

  constructor({ inspector, pages, observer, timeToLiveMs, owner }: NotifyHandlerServices) {
    this.#inspector = inspector;
    this.#pages = pages;
    this.#observer = observer;
    this.#timeToLiveMs = timeToLiveMs;
    this.#owner = owner;
  }

  /** Never throws; `answer` gets actions for one ACK, at most `maxAnswerBytes`. */
  handle({ payload, maxAnswerBytes, deadlineMs }: HandedJob, answer: (bytes: Uint8Array) => void): void {
    if (sharedNowMs() > deadlineMs) {
      answer(this.#late(payload));
      return;
    }
    const outcome = new NotifyOutcome();
    let pending: Promise<void> | undefined;
    try {
      pending = this.#workOff(decodeMessages(payload), 0, outcome);
    } catch (cause) {
      answer(this.#failed(cause, outcome));
      return;
    }
    if (pending === undefined) answer(this.#answer(outcome, maxAnswerBytes));
    else
      pending.then(
        () => answer(this.#answer(outcome, maxAnswerBytes)),
        (cause: unknown) => answer(this.#failed(cause, outcome)),
      );
  }

  /** @param payload see `encodeSkipped` */
  skipped(payload: Buffer): void {
    const [messageName = '', identity = ''] = payload.toString().split('\n');
    this.#noteSkipped(messageName, identity);
  }

  get liveTransactions(): number {
    return this.#inspector.liveTransactions;
  }

  /** Analyses a message that was answered before. False when there is none. */
  workOnBacklog(): boolean {
    return this.#inspector.workOnBacklog();
  }

  /** HAProxy's patience will be over before the analysis is. */
  #late(payload: Buffer): Uint8Array {
    const { messageName, identity } = routeOf(payload);
    if (identity !== undefined) this.#noteSkipped(messageName, identity);
    this.#observer.skipped('overload');
    return encodeActions(skippedActions('overload', parseIdentity(identity ?? '')));
  }

  #noteSkipped(messageName: string, identityText: string): void {
    const identity = parseIdentity(identityText);
    if (identity?.spanId === undefined) return;
    const last = messageName === messageNames.responseHeaders || messageName === messageNames.responseBody;
    this.#inspector.skipped(identity.spanId, last);
  }

  /** Returns a promise as soon as one message needs time, undefined when none did. */
  #workOff(
    messages: readonly SpoeMessage[],
    start: number,
    outcome: NotifyOutcome,
  ): Promise<void> | undefined {
    for (let index = start; index < messages.length; index += 1) {
      const message = messages[index];
      if (message === undefined || outcome.isBlocked) break;
      try {
        const analysis = this.#analyse(message, outcome);
        if (analysis instanceof Promise) {
          return analysis
            .then(
              (done) => outcome.concluded(done),
              (cause: unknown) => this.#messageFailed(outcome, message.name, cause),
            )
            .then(() => this.#workOff(messages, index + 1, outcome));
        }
        if (analysis !== undefined) outcome.concluded(analysis);
      } catch (cause) {
        this.#messageFailed(outcome, message.name, cause);
      }
    }
    return undefined;
  }

  #messageFailed(outcome: NotifyOutcome, message: string, cause: unknown): void {
    outcome.failed();
    const id = outcome.known?.spanId ?? outcome.transactionId;
    if (id !== undefined) this.#inspector.failed(id);
    this.#observer.failed(message, cause);
  }

  #analyse(message: SpoeMessage, outcome: NotifyOutcome): Analysis | Promise<Analysis> | undefined {
    this.#observer.message(message.name);
    const args = new MessageArguments(message);
    const timeToLiveMs = args.timeToLiveMs() ?? this.#timeToLiveMs;
    const analysis = this.#dispatch(message.name, args, timeToLiveMs, outcome);
    for (const problem of args.problems) this.#observer.malformed(message.name, problem);
    return analysis;
  }

  #dispatch(
    name: string,
    args: MessageArguments,
    timeToLiveMs: number,
    outcome: NotifyOutcome,
  ): Analysis | Promise<Analysis> | undefined {
    const identity = args.identity();
    outcome.identified(identity);
    const id = identity?.spanId ?? outcome.transactionId;
    const traceId = identity?.traceId;
    const mustAnnounce = this.#mustAnnounce(identity, id);
    switch (name) {
      case messageNames.requestHeaders:
        this.#checkConfiguration(args);
        outcome.bodyOf = 'request';
        outcome.announcesIdentity = true;
        outcome.propagates = true;
        return this.#inspector.requestHeaders(args.requestHead(), timeToLiveMs);
      case messageNames.requestBody:
        outcome.bodyOf = undefined;
        outcome.announcesIdentity ||= mustAnnounce;
        return this.#inspector.requestBody(id, args.bodyChunk(), timeToLiveMs, traceId);
      case messageNames.responseHeaders:
        outcome.bodyOf = 'response';
        outcome.announcesIdentity ||= mustAnnounce;
        return this.#inspector.responseHeaders(id, args.responseHead(), timeToLiveMs, traceId);
      case messageNames.responseBody:
        outcome.bodyOf = undefined;
        outcome.announcesIdentity ||= mustAnnounce;
        return this.#inspector.responseBody(id, args.bodyChunk(), timeToLiveMs, traceId);
      default:
        this.#observer.unknownMessage(name);
        return undefined;
    }
  }

  /** A transaction that is adopted lives here from now on: what follows must not go to its former owner. */
  #mustAnnounce(identity: Identity | undefined, id: string | undefined): boolean {
    if (identity?.spanId === undefined) return true;
    return this.#owner !== undefined && (id === undefined || !this.#inspector.knows(id));
  }

  #checkConfiguration(args: MessageArguments): void {
    const theirs = args.text(argumentNames.configurationVersion);
    if (theirs === undefined || theirs === configurationVersion) return;
    if (this.#mismatches.has(theirs) || this.#mismatches.size >= maxMismatches) return;
    this.#mismatches.add(theirs);
    this.#observer.configurationMismatch(theirs, configurationVersion);
  }

  /** The messages were valid: an internal error in the answer must not make HAProxy wait. */
  #answer(outcome: NotifyOutcome, maxActionsBytes: number): Uint8Array {
    try {
      return this.#plan(outcome, maxActionsBytes);
    } catch (cause) {
      this.#observer.failed('the answer', cause);
      return encodeActions(failedActions(outcome.known));
    }
  }

  #failed(cause: unknown, { known }: NotifyOutcome): Uint8Array {
    this.#observer.frameFailed(cause);
    return encodeActions(failedActions(known));
  }

  #plan(outcome: NotifyOutcome, maxActionsBytes: number): Uint8Array {
    const { analysis, bodyOf, standing, propagates, known } = outcome;
    // No message of the NOTIFY led to anything.
    if (analysis === undefined) {
      return encodeActions(standing === 'pass' ? neutralActions() : unseenActions(known, standing));
    }
    const identity = outcome.identityOf(analysis, this.#owner);
    const propagation = propagates ? this.#propagation(analysis) : [];
    const input = { analysis, bodyOf, standing, identity, propagation };
    const plan = planActions(input, this.#pages, maxActionsBytes);
    if (plan.pageSubstituted) this.#observer.pageSubstituted(maxActionsBytes);
    if (plan.dropped.length > 0) this.#observer.variablesDropped(plan.dropped);
    return plan.actions;
  }

  /** A verdict must not be lost over headers for the origin. */
  #propagation({ transaction }: Inspected | Deferred): HeaderList {
    try {
      return transaction.propagation();
    } catch (cause) {
      this.#observer.failed('trace headers', cause);
      return [];
    }
  }
}
