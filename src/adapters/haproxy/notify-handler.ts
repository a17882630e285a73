import { type Analysis, type Deferred, type Inspected, isBlocking } from '../../engine/analysis.ts';
import type { BlockPages } from '../../engine/block-page.ts';
import type { HeaderList } from '../../engine/http.ts';
import type { Inspector } from '../../engine/inspector.ts';
import { type Action, decodeMessages, type SpoeMessage } from '../../spop/index.ts';
import { argumentNames, configurationVersion, messageNames } from './contract.ts';
import { type Identity, markedIdentity, type Owner, parseIdentity } from './identity.ts';
import { MessageArguments } from './message-arguments.ts';
import { planActions } from './set-var.ts';
import { markOf, type Standing, standingOf, worseStanding } from './standing.ts';
import { failedActions, neutralActions, unseenActions } from './unseen.ts';

/** What the handler tells about its work; for logs and metrics. Must not throw. */
export interface NotifyObserver {
  message(name: string): void;
  /** Contained: the message is answered all the same. */
  failed(message: string, cause: unknown): void;
  unknownMessage(name: string): void;
  /** An argument was malformed and used as far as it went. */
  malformed(message: string, cause: Error): void;
  /** Once per version. */
  configurationMismatch(theirs: string, ours: string): void;
  /** The operator's block page or a redirect did not fit into a frame; a smaller page, or none, was sent. */
  pageSubstituted(maxActionsBytes: number): void;
  /** Variables that did not fit into the frame. */
  variablesDropped(names: readonly string[]): void;
}

/** State while the messages of one NOTIFY are worked off. */
interface Progress {
  /** Of all messages so far, and of what HAProxy brought along. */
  standing: Standing;
  /** What HAProxy brought along. */
  known: Identity | undefined;
  analysis: Inspected | Deferred | undefined;
  bodyOf: 'request' | 'response' | undefined;
  /** HAProxy has no identity of this transaction yet, or one that names another owner. */
  announcesIdentity: boolean;
  /** The request is on its way to the origin and can take trace headers along. */
  propagates: boolean;
}

/** Versions of the configuration that were complained about; the peer makes them up. */
const maxMismatches = 16;

/**
 * NOTIFY payload in, actions out: one answer for all messages of the frame. Synchronous unless a body needs
 * decompression. Whatever goes wrong with one message is contained there; only a payload that is not a list of
 * messages throws (SpopError), for then the connection itself is out of step.
 */
export class NotifyHandler {
  readonly #engine: Inspector;
  readonly #pages: BlockPages;
  readonly #observer: NotifyObserver;
  readonly #defaultTimeToLiveMs: number;
  readonly #owner: Owner | undefined;
  readonly #mismatches = new Set<string>();

  /** @param owner goes into identities; without one they are span ids alone. */
  constructor(
    engine: Inspector,
    pages: BlockPages,
    observer: NotifyObserver,
    defaultTimeToLiveMs: number,
    owner?: Owner,
  ) {
    this.#engine = engine;
    this.#pages = pages;
    this.#observer = observer;
    this.#defaultTimeToLiveMs = defaultTimeToLiveMs;
    this.#owner = owner;
  }

  /**
   * @param maxActionsBytes room for the encoded actions in the ACK.
   * @throws SpopError when `payload` is not a list of messages.
   */
  handle(payload: Buffer, maxActionsBytes: number): Action[] | Promise<Action[]> {
    const messages = decodeMessages(payload);
    const progress: Progress = {
      standing: 'pass',
      known: undefined,
      analysis: undefined,
      bodyOf: undefined,
      announcesIdentity: false,
      propagates: false,
    };
    const pending = this.#workOff(messages, 0, progress);
    return pending === undefined
      ? this.#answer(progress, maxActionsBytes)
      : pending.then(() => this.#answer(progress, maxActionsBytes));
  }

  /**
   * A message was answered without analysis.
   * @param identityText as the message had it.
   */
  skipped(messageName: string, identityText: string): void {
    const identity = parseIdentity(identityText);
    if (identity?.spanId === undefined) return;
    const last = messageName === messageNames.responseHeaders || messageName === messageNames.responseBody;
    this.#engine.skipped(identity.spanId, last);
  }

  get liveTransactions(): number {
    return this.#engine.liveTransactions;
  }

  /** Analyses a message that was answered before. False when there is none. */
  workOnBacklog(): boolean {
    return this.#engine.workOnBacklog();
  }

  /** Returns a promise as soon as one message needs time, undefined when none did. */
  #workOff(messages: readonly SpoeMessage[], start: number, progress: Progress): Promise<void> | undefined {
    for (let index = start; index < messages.length; index += 1) {
      const message = messages[index];
      // A block has ended the transaction; what follows in this frame would begin another and hide the verdict.
      if (message === undefined || isBlocked(progress)) break;
      try {
        const analysis = this.#analyse(message, progress);
        if (analysis instanceof Promise) {
          return analysis
            .then(
              (done) => this.#conclude(progress, done),
              (cause: unknown) => this.#fail(progress, message.name, cause),
            )
            .then(() => this.#workOff(messages, index + 1, progress));
        }
        this.#conclude(progress, analysis);
      } catch (cause) {
        this.#fail(progress, message.name, cause);
      }
    }
    return undefined;
  }

  #fail(progress: Progress, message: string, cause: unknown): void {
    progress.standing = worseStanding(progress.standing, 'error');
    const id = progress.known?.spanId ?? progress.analysis?.transaction.id;
    if (id !== undefined) this.#engine.failed(id);
    this.#observer.failed(message, cause);
  }

  #conclude(progress: Progress, analysis: Analysis | undefined): void {
    if (analysis === undefined) return;
    if (analysis.kind === 'uninspected') {
      // Inspection was switched off in the middle of a transaction.
      if (progress.known !== undefined) progress.standing = worseStanding(progress.standing, 'partial');
      return;
    }
    progress.analysis = analysis;
    progress.standing = worseStanding(progress.standing, standingOf(analysis));
  }

  #analyse(message: SpoeMessage, progress: Progress): Analysis | Promise<Analysis> | undefined {
    this.#observer.message(message.name);
    const args = new MessageArguments(message);
    const timeToLiveMs = args.timeToLiveMs() ?? this.#defaultTimeToLiveMs;
    const analysis = this.#dispatch(message.name, args, timeToLiveMs, progress);
    for (const problem of args.problems) this.#observer.malformed(message.name, problem);
    return analysis;
  }

  #dispatch(
    name: string,
    args: MessageArguments,
    timeToLiveMs: number,
    progress: Progress,
  ): Analysis | Promise<Analysis> | undefined {
    const identity = args.identity();
    progress.known ??= identity;
    if (identity?.mark !== undefined) progress.standing = worseStanding(progress.standing, identity.mark);
    // Messages of one NOTIFY belong together, although the second cannot know the identity yet.
    const id = identity?.spanId ?? progress.analysis?.transaction.id;
    const known = id !== undefined && this.#engine.knows(id);
    switch (name) {
      case messageNames.requestHeaders:
        this.#checkConfiguration(args);
        progress.bodyOf = 'request';
        progress.announcesIdentity = true;
        progress.propagates = true;
        return this.#engine.requestHeaders(args.requestHead(), timeToLiveMs);
      case messageNames.requestBody:
        progress.bodyOf = undefined;
        progress.announcesIdentity ||= this.#mustAnnounce(identity, known);
        return this.#engine.requestBody(id, args.bodyChunk(), timeToLiveMs, identity?.traceId);
      case messageNames.responseHeaders:
        progress.bodyOf = 'response';
        progress.announcesIdentity ||= this.#mustAnnounce(identity, known);
        return this.#engine.responseHeaders(id, args.responseHead(), timeToLiveMs, identity?.traceId);
      case messageNames.responseBody:
        progress.bodyOf = undefined;
        progress.announcesIdentity ||= this.#mustAnnounce(identity, known);
        return this.#engine.responseBody(id, args.bodyChunk(), timeToLiveMs, identity?.traceId);
      default:
        this.#observer.unknownMessage(name);
        return undefined;
    }
  }

  /** A transaction that was adopted lives here from now on: what follows must not go to its former owner. */
  #mustAnnounce(identity: Identity | undefined, known: boolean): boolean {
    return identity?.spanId === undefined || (!known && this.#owner !== undefined);
  }

  #checkConfiguration(args: MessageArguments): void {
    const theirs = args.text(argumentNames.configurationVersion);
    if (theirs === undefined || theirs === configurationVersion) return;
    if (this.#mismatches.has(theirs) || this.#mismatches.size >= maxMismatches) return;
    this.#mismatches.add(theirs);
    this.#observer.configurationMismatch(theirs, configurationVersion);
  }

  /** Never throws: the messages were in order, so the connection must not pay for a mistake of ours. */
  #answer(progress: Progress, maxActionsBytes: number): Action[] {
    try {
      return this.#plan(progress, maxActionsBytes);
    } catch (cause) {
      this.#observer.failed('the answer', cause);
      return failedActions(progress.known);
    }
  }

  /** Undefined when HAProxy has it already. A deferred analysis has nothing to mark it with. */
  #identityOf({ transaction }: Inspected | Deferred, progress: Progress): string | undefined {
    const { known, standing, announcesIdentity } = progress;
    const owner = this.#owner;
    const traceId = owner === undefined ? undefined : transaction.traceId;
    const here = { spanId: transaction.id, traceId, owner, mark: known?.mark };
    if (announcesIdentity) return markedIdentity(here, standing);
    return markOf(standing) === known?.mark ? undefined : markedIdentity(here, standing);
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

  #plan(progress: Progress, maxActionsBytes: number): Action[] {
    const { analysis, bodyOf, standing, propagates } = progress;
    if (analysis === undefined) return unanalysedActions(progress);
    const propagation = propagates ? this.#propagation(analysis) : [];
    const plan = planActions(
      {
        analysis,
        bodyOf,
        standing,
        identity: this.#identityOf(analysis, progress),
        propagation,
      },
      this.#pages,
      maxActionsBytes,
    );
    if (plan.pageSubstituted) this.#observer.pageSubstituted(maxActionsBytes);
    if (plan.dropped.length > 0) this.#observer.variablesDropped(plan.dropped);
    return plan.actions;
  }
}

function isBlocked({ analysis }: Progress): boolean {
  return analysis?.kind === 'inspected' && isBlocking(analysis.verdict);
}

/** No message of the NOTIFY led to anything. */
function unanalysedActions({ known, standing }: Progress): Action[] {
  return standing === 'pass' ? neutralActions() : unseenActions(known, standing);
}
