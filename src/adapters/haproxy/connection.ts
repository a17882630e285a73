import type { Socket } from 'node:net';
import { endAfterLastFrame } from '../../net/linger.ts';
import type { ReadTime } from '../../net/read-time.ts';
import {
  AgentConnection,
  type AgentConnectionOptions,
  type AgentEvent,
  type FrameMemory,
  StatusCode,
} from '../../spop/index.ts';
import { type Answering, ConnectionAnswers } from './connection-answers.ts';
import { Farewell } from './connection-drain.ts';
import type { ServerObserver } from './server-observer.ts';

/** Limits of a connection; docs/limits.md has their defaults. */
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

/** What a connection shares with all others. */
export interface ConnectionServices extends Answering {
  readonly readTime: ReadTime;
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
  readonly #observer: ServerObserver;
  readonly #readTime: ReadTime;
  readonly #answers: ConnectionAnswers;
  readonly #helloTimer: NodeJS.Timeout;
  readonly #farewell: Farewell;
  /** Events of the last read that wait their turn. */
  readonly #queue: AgentEvent[] = [];
  /** When the events of the queue were read. */
  #receivedAtMs = 0;
  #workScheduled = false;

  constructor(
    socket: Socket,
    options: ConnectionOptions,
    services: ConnectionServices,
    refuseHealthchecks: boolean,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#observer = services.observer;
    this.#readTime = services.readTime;
    this.#agent = new AgentConnection({
      maxFrameSize: options.maxFrameSizeBytes,
      frameMemory: options.frameMemory,
      refuseHealthchecks,
      answerPeer: options.answerPeer,
    });
    // After a moment in which this process stood still, what has arrived meanwhile is read first.
    this.#helloTimer = setTimeout(() => setImmediate(() => this.#helloMissing()), options.helloTimeoutMs);
    this.#answers = new ConnectionAnswers(this.#agent, services, {
      acknowledged: () => this.#farewell.answered(),
      answeredLater: () => this.#workSoon(),
    });
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

  /** When the last ACK left, on `sharedNowMs`'s clock; 0 before the first. */
  get lastAckAtMs(): number {
    return this.#answers.lastAckAtMs;
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
      this.#receivedAtMs = this.#readTime.turnStartedAtMs();
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
    return this.#socket.writableNeedDrain || this.#answers.underAnalysis >= this.#options.maxFramesInFlight;
  }

  /** An internal error outside any frame: this connection cannot continue, the others can. */
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
        this.#answers.ask(event, this.#receivedAtMs);
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
    if (this.#agent.hello !== undefined || this.#agent.closed) return;
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
