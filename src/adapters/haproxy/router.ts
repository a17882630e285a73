import { encodeActions } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import type { Dispatched, Dispatcher } from '../../workers/dispatcher.ts';
import type { SkipReason } from './contract.ts';
import { type Identity, type Owner, parseIdentity } from './identity.ts';
import type { Notify, NotifyAnswer, NotifyAnswerer } from './notify.ts';
import { encodeSkipped, type NotifyRoute, routeOf, routeOfBeginning } from './notify-route.ts';
import { skippedActions } from './unseen.ts';

/*
 * Which engine gets a NOTIFY, and whether one gets it at all. A new transaction goes where there is least to do; a later
 * message to the owner that its identity names: a thread of this agent, another agent, or, when the owner is gone,
 * whoever is free. What would wait longer than HAProxy can afford is answered at once, without analysis.
 */

/** The way to other agents; see PeerNetwork. */
export interface PeerRelay {
  /** Whether an agent of this instance can be reached. */
  knows(instance: string): boolean;
  /**
   * `done` is called exactly once, with the encoded actions of the ACK, at most `maxActionsBytes`, or with undefined
   * when the peer failed.
   */
  relay(
    instance: string,
    payload: Buffer,
    maxActionsBytes: number,
    timeoutMs: number,
    done: (actions: Buffer | undefined) => void,
  ): void;
  /** An instance that is not known was named. */
  heardOf(instance: string): void;
}

export interface NotifyRouterOptions {
  /** Of this agent. */
  readonly instance: string;
  /** HAProxy's processing time-out, for messages that do not say it. */
  readonly processingTimeoutMs: number;
  readonly peers?: PeerRelay | undefined;
}

/** Told what the router decides. Must not throw. */
export interface RouterObserver {
  skipped(reason: SkipReason): void;
  /** The owner was another agent. `answered` is false when the message had to be analysed here. */
  relayed(answered: boolean): void;
}

/**
 * Shares of HAProxy's processing time-out, of which a part goes to the way there and back and to the analysis itself: a
 * message that waited so long is not begun; an owner is given up on; and is analysed here after that.
 */
const waitShare = 0.4;
const relayShare = 0.6;
const lastShare = 0.8;

/** For a message without an identity: a flood of requests is answered a hundred thousand times a second. */
const answers = {
  overload: encodeActions(skippedActions('overload')),
  'no-engine': encodeActions(skippedActions('no-engine')),
  'engine-lost': encodeActions(skippedActions('engine-lost')),
  'too-large': encodeActions(skippedActions('too-large')),
} as const satisfies Record<SkipReason, Buffer>;

/** Gives each NOTIFY to who can answer it; see the head of this file. */
export class NotifyRouter implements NotifyAnswerer {
  readonly #engines: Dispatcher;
  readonly #options: NotifyRouterOptions;
  readonly #observer: RouterObserver;

  constructor(engines: Dispatcher, options: NotifyRouterOptions, observer: RouterObserver) {
    this.#engines = engines;
    this.#options = options;
    this.#observer = observer;
  }

  /** @throws SpopError when the payload is no list of messages: from here on, it is one. */
  answer(notify: Notify, answered: (answer: NotifyAnswer) => void): void {
    if (notify.missingBytes !== undefined) {
      this.#tooLarge(notify, answered);
      return;
    }
    const route = routeOf(notify.payload);
    const done = this.#unlessLate(notify, route, answered);
    const identity = route.identity === undefined ? undefined : parseIdentity(route.identity);
    const owner = identity?.owner;
    const { peers, instance } = this.#options;
    if (owner === undefined || owner.instance === instance || peers === undefined || notify.relayed) {
      this.#analyse(notify, route, identity, this.#deadlineOf(notify, route, waitShare), done);
    } else if (!peers.knows(owner.instance)) {
      peers.heardOf(owner.instance);
      this.#analyse(notify, route, identity, this.#deadlineOf(notify, route, waitShare), done);
    } else {
      this.#relay(peers, notify, route, owner, done);
    }
  }

  /** Its owner is told, when the beginning names it and it is one of ours. */
  #tooLarge({ payload }: Notify, done: (answer: NotifyAnswer) => void): void {
    const route = routeOfBeginning(payload);
    const { messageName, identity } = route;
    const owner = identity === undefined ? undefined : parseIdentity(identity)?.owner;
    if (identity !== undefined && owner?.instance === this.#options.instance)
      this.#engines.skipped(owner.thread, encodeSkipped(messageName, identity));
    this.#skip('too-large', route, done);
  }

  #relay(
    peers: PeerRelay,
    notify: Notify,
    route: NotifyRoute,
    owner: Owner,
    done: (answer: NotifyAnswer) => void,
  ): void {
    // A copy: the payload is a view of what was read, and may be needed again when the owner fails.
    const payload = Buffer.from(notify.payload);
    const timeoutMs = this.#deadlineOf(notify, route, relayShare) - sharedNowMs();
    peers.relay(owner.instance, payload, notify.maxActionsBytes, timeoutMs, (actions) => {
      this.#observer.relayed(actions !== undefined);
      if (actions !== undefined) {
        done(actions);
        return;
      }
      const deadlineMs = this.#deadlineOf(notify, route, lastShare);
      this.#analyse({ ...notify, payload }, route, undefined, deadlineMs, done);
    });
  }

  #analyse(
    notify: Notify,
    route: NotifyRoute,
    identity: Identity | undefined,
    deadlineMs: number,
    done: (answer: NotifyAnswer) => void,
  ): void {
    const owner = identity?.owner;
    const ownThread = owner?.instance === this.#options.instance ? owner?.thread : undefined;
    const thread = this.#engines.engineFor(ownThread);
    const job = {
      payload: notify.payload,
      maxAnswerBytes: notify.maxActionsBytes,
      deadlineMs,
      work: route.work,
    };
    this.#engines.dispatch(thread, job, (result) => this.#conclude(result, thread, route, done));
  }

  /**
   * HAProxy up to 3.0 takes an answer that comes after its time-out for the answer to the next message of the same
   * stream. Only of a message that says how long HAProxy waits is it known that nobody does any more.
   */
  #unlessLate(
    notify: Notify,
    { processingTimeoutMs }: NotifyRoute,
    done: (answer: NotifyAnswer) => void,
  ): (answer: NotifyAnswer) => void {
    if (!notify.mayBeLate || processingTimeoutMs === undefined) return done;
    const givenUpAtMs = notify.receivedAtMs + processingTimeoutMs;
    return (answer) => done(sharedNowMs() >= givenUpAtMs ? 'late' : answer);
  }

  #conclude(
    result: Dispatched,
    thread: number | undefined,
    route: NotifyRoute,
    done: (answer: NotifyAnswer) => void,
  ): void {
    if (result.kind === 'done') done(result.bytes);
    else {
      if (result.reason === 'overload' && thread !== undefined && route.identity !== undefined)
        this.#engines.skipped(thread, encodeSkipped(route.messageName, route.identity));
      this.#skip(result.reason, route, done);
    }
  }

  #skip(
    reason: SkipReason,
    { identity }: Pick<NotifyRoute, 'identity'>,
    done: (answer: NotifyAnswer) => void,
  ): void {
    this.#observer.skipped(reason);
    const known = identity === undefined ? undefined : parseIdentity(identity);
    done(known === undefined ? answers[reason] : encodeActions(skippedActions(reason, known)));
  }

  #deadlineOf(notify: Notify, route: NotifyRoute, share: number): number {
    const timeoutMs = route.processingTimeoutMs ?? this.#options.processingTimeoutMs;
    return notify.receivedAtMs + timeoutMs * share;
  }
}
