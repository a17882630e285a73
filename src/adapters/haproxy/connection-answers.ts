import { type Action, type AgentConnection, type NotifyEvent, SpopError } from '../../spop/index.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import type { NotifyAnswer, NotifyAnswerer } from './notify.ts';
import type { ServerObserver } from './server-observer.ts';

/** What answers the NOTIFYs of all connections. */
export interface Answering {
  readonly answerer: NotifyAnswerer;
  /** Stands in when the answerer fails, or answers what cannot be sent. Must not throw. */
  readonly failedAnswer: (payload: Buffer) => Action[];
  readonly observer: ServerObserver;
}

/** Told what becomes of the NOTIFYs of one connection. Must not throw. */
export interface AnswersListener {
  /** An ACK is in the output. */
  acknowledged(): void;
  /** What was under analysis has its answer: there may be output, and room for the next NOTIFY. */
  answeredLater(): void;
}

/**
 * What one connection owes: an answer to each of its NOTIFYs, exactly one, whatever the answerer does. It may throw, answer
 * twice, or answer what cannot be sent; an internal error must not make HAProxy wait, or affect other connections.
 */
export class ConnectionAnswers {
  readonly #agent: AgentConnection;
  readonly #answering: Answering;
  readonly #listener: AnswersListener;
  #underAnalysis = 0;
  #lastAckAtMs = 0;

  constructor(agent: AgentConnection, answering: Answering, listener: AnswersListener) {
    this.#agent = agent;
    this.#answering = answering;
    this.#listener = listener;
  }

  /** NOTIFYs that were not answered at once and still are worked on, awaited by HAProxy or not. */
  get underAnalysis(): number {
    return this.#underAnalysis;
  }

  /** When the last ACK was written, on `sharedNowMs`'s clock; 0 before the first. */
  get lastAckAtMs(): number {
    return this.#lastAckAtMs;
  }

  /** @param receivedAtMs on `sharedNowMs`'s clock */
  ask(event: NotifyEvent, receivedAtMs: number): void {
    let answered = false;
    let later = false;
    const answer = (given: NotifyAnswer): void => {
      if (answered) return;
      answered = true;
      if (later) this.#underAnalysis -= 1;
      this.#settle(event, given);
      if (later) this.#listener.answeredLater();
    };
    const isFromPeer = this.#agent.hello?.peer !== undefined;
    const notify = {
      payload: event.payload,
      missingBytes: event.missingBytes,
      maxActionsBytes: event.maxActionsBytes,
      receivedAtMs,
      relayed: isFromPeer,
      // Without `pipelining`, and as a peer, the other side goes on only after an answer, however late.
      mayBeLate: !isFromPeer && this.#isPipelined,
    };
    try {
      this.#answering.answerer.answer(notify, answer);
    } catch (cause) {
      if (answered) this.#failed(cause);
      else if (cause instanceof SpopError) {
        answered = true;
        this.#violated(cause);
      } else {
        this.#failed(cause);
        answer(this.#answering.failedAnswer(event.payload));
      }
    }
    if (answered) return;
    later = true;
    this.#underAnalysis += 1;
  }

  get #isPipelined(): boolean {
    return this.#agent.negotiated?.capabilities.includes('pipelining') ?? false;
  }

  #settle(event: NotifyEvent, answer: NotifyAnswer): void {
    // HAProxy gave up on it, and may have asked something else by the same ids.
    if (answer === 'late') this.#agent.giveUp(event);
    if (answer === 'late' || !this.#agent.isAwaited(event)) return;
    const { failedAnswer } = this.#answering;
    if (!this.#acknowledge(event, answer)) this.#acknowledge(event, failedAnswer(event.payload));
    this.#lastAckAtMs = sharedNowMs();
    this.#listener.acknowledged();
  }

  /** False, with nothing written, when these actions cannot be sent. */
  #acknowledge({ streamId, frameId }: NotifyEvent, actions: readonly Action[] | Uint8Array): boolean {
    try {
      this.#agent.ack(streamId, frameId, actions);
      return true;
    } catch (cause) {
      this.#failed(cause);
      return false;
    }
  }

  /** The payload is no list of messages: the peer is out of step. */
  #violated(error: SpopError): void {
    // Closed already: the peer was told of an earlier one, and nobody waits for this answer.
    if (this.#agent.closed) return;
    this.#answering.observer.protocolError?.(error);
    this.#agent.fail(error);
  }

  #failed(cause: unknown): void {
    this.#answering.observer.frameFailed?.(cause);
  }
}
