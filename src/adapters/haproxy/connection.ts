import type { Socket } from 'node:net';
import {
  type Action,
  AgentConnection,
  type AgentConnectionOptions,
  type AgentEvent,
  type FrameMemory,
  type NotifyEvent,
  SpopError,
  StatusCode,
} from '../../spop/index.ts';
import { endAfterLastFrame, Farewell } from './farewell.ts';
import { ContainedAnswerer, type NotifyAnswer, type NotifyAnswerer } from './notify.ts';
import type { ServerObserver } from './server.ts';
import { turnStartedAtMs } from './turn.ts';

export interface ConnectionOptions {
  readonly maxFrameSizeBytes: number;
  /** Of all connections. */
  readonly frameMemory?: FrameMemory | undefined;
  readonly maxFramesInFlight: number;
  readonly helloTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** What another agent is told of us; see peers/proof.ts. */
  readonly answerPeer?: AgentConnectionOptions['answerPeer'];
}

/** The ACKs of one read leave in one write, but for a read of more frames than HAProxy ever has under way. */
const framesPerWrite = 32;

/**
 * One socket and the SPOP state machine behind it. All ACKs of one read leave in one write. While the peer does not
 * take our answers, or too many of its frames are under analysis, the socket is not read from and the frames of the
 * last read wait: a small frame can have a large answer, and one read can hold thousands of them.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #agent: AgentConnection;
  readonly #options: ConnectionOptions;
  readonly #answerer: NotifyAnswerer;
  readonly #observer: ServerObserver;
  readonly #failedAnswer: (payload: Buffer) => Action[];
  readonly #helloTimer: NodeJS.Timeout;
  readonly #farewell: Farewell;
  /** Events of the last read that wait their turn. */
  readonly #queue: AgentEvent[] = [];
  /** When the events of the queue were read. */
  #receivedAtMs = 0;
  #analysing = 0;
  #workScheduled = false;
  #lastAckAtMs = 0;

  constructor(
    socket: Socket,
    options: ConnectionOptions,
    answerer: NotifyAnswerer,
    failedAnswer: (payload: Buffer) => Action[],
    observer: ServerObserver,
    refuseHealthchecks: boolean,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#answerer = new ContainedAnswerer(answerer, failedAnswer, (cause) => observer.frameFailed?.(cause));
    this.#failedAnswer = failedAnswer;
    this.#observer = observer;
    this.#agent = new AgentConnection({
      maxFrameSize: options.maxFrameSizeBytes,
      frameMemory: options.frameMemory,
      refuseHealthchecks,
      answerPeer: options.answerPeer,
    });
    this.#helloTimer = setTimeout(() => this.#helloMissing(), options.helloTimeoutMs);
    this.#farewell = new Farewell((goodbye) => this.#contained(() => this.#leave(goodbye)));
    socket.setNoDelay(true);
    socket.setTimeout(options.idleTimeoutMs, () => this.#idle());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#contained(() => this.#work()));
    socket.on('end', () => this.#ended());
    // A reset is how HAProxy 3.x ends a connection: 'close' follows, and that is all there is to it.
    socket.on('error', (cause: Error) => this.#observer.socketError?.(cause));
    socket.on('close', () => {
      clearTimeout(this.#helloTimer);
      this.#farewell.cancel();
      this.#agent.end();
    });
  }

  get inFlight(): number {
    return this.#agent.inFlight;
  }

  /** The instance of the agent on the other side; undefined for HAProxy. What comes from a peer was relayed before. */
  get peer(): string | undefined {
    return this.#agent.hello?.peer?.instance;
  }

  /** When the last ACK left, on `performance.now()`'s clock; 0 before the first. */
  get lastAckAtMs(): number {
    return this.#lastAckAtMs;
  }

  /** Asked to leave with an answer. */
  get leaving(): boolean {
    return this.#farewell.asked;
  }

  refuseHealthchecks(): void {
    this.#agent.refuseHealthchecks = true;
  }

  /** AGENT-DISCONNECT, then the end of the socket. */
  disconnect(status: number, message: string): void {
    this.#agent.disconnect(status, message);
    this.#flush();
  }

  /**
   * AGENT-DISCONNECT 0 in one write with the next ACK, held back a moment, as soon as no other is due; see Farewell.
   * A connection without an answer under way does not leave.
   */
  leaveWithAnswer(message: string): void {
    this.#farewell.ask(message);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#contained(() => {
      this.#receivedAtMs = turnStartedAtMs();
      for (const event of this.#agent.receive(chunk)) this.#queue.push(event);
      this.#work();
    });
  }

  #work(): void {
    let frames = 0;
    while (!this.#mustWait()) {
      const event = this.#queue.shift();
      if (event === undefined) break;
      this.#on(event);
      frames += 1;
      if (frames % framesPerWrite === 0) this.#flushUnlessHeld();
    }
    this.#farewell.hold();
    this.#flushUnlessHeld();
    this.#regulate();
  }

  #leave(goodbye: string): void {
    if (this.#agent.inFlight === 0) this.#agent.disconnect(StatusCode.NORMAL, goodbye);
    this.#flush();
  }

  #mustWait(): boolean {
    // Nothing is answered any more once closed: what is left is worked off.
    if (this.#agent.closed) return false;
    return this.#socket.writableNeedDrain || this.#analysing >= this.#options.maxFramesInFlight;
  }

  /** A mistake of ours outside any frame: this connection cannot go on, the others can. */
  #contained(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#observer.frameFailed?.(cause);
      this.#socket.destroy();
    }
  }

  #on(event: AgentEvent): void {
    switch (event.kind) {
      case 'hello':
        clearTimeout(this.#helloTimer);
        this.#observer.hello?.(
          event.negotiated.maxFrameSize,
          event.hello.engineId,
          event.hello.peer?.instance,
        );
        break;
      case 'notify':
        this.#notify(event);
        break;
      case 'healthcheck':
        clearTimeout(this.#helloTimer);
        break;
      case 'disconnect':
        this.#observer.disconnected?.(event.status, event.message);
        break;
      case 'error':
        this.#observer.protocolError?.(event.error);
        break;
    }
  }

  #notify(event: NotifyEvent): void {
    const maxActionsBytes = this.#agent.maxActionsSize(event.streamId, event.frameId);
    const notify = {
      payload: event.payload,
      missingBytes: event.missingBytes,
      maxActionsBytes,
      receivedAtMs: this.#receivedAtMs,
      relayed: this.peer !== undefined,
      // Without `pipelining`, and as a peer, the other side goes on only after an answer, however late.
      mayBeLate: this.peer === undefined && this.#isPipelined,
    };
    let answered = false;
    let later = false;
    this.#answerer.answer(notify, (answer) => {
      answered = true;
      if (later) this.#analysing -= 1;
      this.#settle(event, answer);
      if (later) this.#workSoon();
    });
    if (answered) return;
    later = true;
    this.#analysing += 1;
  }

  get #isPipelined(): boolean {
    return this.#agent.negotiated?.capabilities.includes('pipelining') ?? false;
  }

  #settle(event: NotifyEvent, answer: NotifyAnswer): void {
    if (answer instanceof SpopError) {
      // Closed already: the peer was told of an earlier one, and nobody waits for this answer.
      if (this.#agent.closed) return;
      this.#observer.protocolError?.(answer);
      this.#agent.fail(answer);
      return;
    }
    // HAProxy gave up on it, and may have asked something else by the same ids.
    if (answer === 'late') this.#agent.giveUp(event);
    if (answer === 'late' || !this.#agent.isAwaited(event)) return;
    try {
      this.#agent.ack(event.streamId, event.frameId, answer);
    } catch (cause) {
      // What was planned cannot be encoded after all: HAProxy must not wait for our mistake.
      this.#observer.frameFailed?.(cause);
      this.#ackFailed(event);
    }
    this.#lastAckAtMs = performance.now();
    this.#farewell.answered();
  }

  #ackFailed(event: NotifyEvent): void {
    try {
      this.#agent.ack(event.streamId, event.frameId, this.#failedAnswer(event.payload));
    } catch (cause) {
      this.#observer.frameFailed?.(cause);
    }
  }

  /** Answers that come one after the other leave in one write. */
  #workSoon(): void {
    if (this.#workScheduled) return;
    this.#workScheduled = true;
    setImmediate(() => {
      this.#workScheduled = false;
      this.#contained(() => this.#work());
    });
  }

  #flushUnlessHeld(): void {
    if (!this.#farewell.holding) this.#flush();
  }

  #flush(): void {
    const output = this.#agent.takeOutput();
    if (output !== undefined && this.#socket.writable) this.#socket.write(output);
    if (this.#agent.closed && this.#socket.writable) endAfterLastFrame(this.#socket);
  }

  /** Reads on only while nothing waits. */
  #regulate(): void {
    const wait = this.#mustWait();
    if (wait && !this.#socket.isPaused()) this.#socket.pause();
    else if (!wait && this.#socket.isPaused()) this.#socket.resume();
  }

  #ended(): void {
    const { truncated, pendingBytes } = this.#agent.end();
    if (truncated) this.#observer.truncatedFrame?.(pendingBytes);
  }

  #helloMissing(): void {
    this.#observer.timedOut?.('hello');
    this.disconnect(StatusCode.TIMEOUT, `no HAPROXY-HELLO within ${this.#options.helloTimeoutMs} ms`);
  }

  #idle(): void {
    if (this.#agent.inFlight > 0 && !this.#socket.writableNeedDrain) return;
    this.#observer.timedOut?.('idle');
    // A peer that does not read will not read a goodbye either.
    if (this.#socket.writableNeedDrain) this.#socket.destroy();
    else this.disconnect(StatusCode.NORMAL, `idle for ${this.#options.idleTimeoutMs} ms`);
  }
}
