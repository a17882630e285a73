import type { Socket } from 'node:net';
import { type Action, AgentConnection, type AgentEvent, SpopError, StatusCode } from '../../spop/index.ts';
import type { ServerObserver } from './server.ts';

export interface ConnectionOptions {
  readonly maxFrameSizeBytes: number;
  readonly maxFramesInFlight: number;
  readonly helloTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** What answers a NOTIFY; see NotifyHandler, whose neutral answer stands in when it fails. */
export interface NotifyAnswerer {
  handle(payload: Buffer, maxActionsBytes: number): Action[] | Promise<Action[]>;
}

type NotifyEvent = Extract<AgentEvent, { kind: 'notify' }>;

/** After the last frame, the peer has this long to close its side. */
const lingerMs = 2000;

/**
 * One socket and the SPOP state machine behind it. All ACKs of one read leave in one write. It is not read from while
 * the peer does not take our answers, nor while too many frames are under analysis.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #agent: AgentConnection;
  readonly #options: ConnectionOptions;
  readonly #answerer: NotifyAnswerer;
  readonly #observer: ServerObserver;
  readonly #neutral: () => Action[];
  readonly #helloTimer: NodeJS.Timeout;
  #flushScheduled = false;
  #lastAckAtMs = 0;

  constructor(
    socket: Socket,
    options: ConnectionOptions,
    answerer: NotifyAnswerer,
    neutral: () => Action[],
    observer: ServerObserver,
    refuseHealthchecks: boolean,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#answerer = answerer;
    this.#neutral = neutral;
    this.#observer = observer;
    this.#agent = new AgentConnection({ maxFrameSize: options.maxFrameSizeBytes, refuseHealthchecks });
    this.#helloTimer = setTimeout(() => this.#helloMissing(), options.helloTimeoutMs);
    socket.setNoDelay(true);
    socket.setTimeout(options.idleTimeoutMs, () => this.#idle());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#regulate());
    socket.on('end', () => this.#ended());
    // A reset is how HAProxy 3.x ends a connection: 'close' follows, and that is all there is to it.
    socket.on('error', (cause: Error) => this.#observer.socketError?.(cause));
    socket.on('close', () => clearTimeout(this.#helloTimer));
  }

  get inFlight(): number {
    return this.#agent.inFlight;
  }

  /** When the last ACK left, on `performance.now()`'s clock; 0 before the first. */
  get lastAckAtMs(): number {
    return this.#lastAckAtMs;
  }

  refuseHealthchecks(): void {
    this.#agent.refuseHealthchecks = true;
  }

  /** AGENT-DISCONNECT, then the end of the socket. */
  disconnect(status: number, message: string): void {
    this.#agent.disconnect(status, message);
    this.#flush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const event of this.#agent.receive(chunk)) this.#on(event);
      this.#flush();
      this.#regulate();
    } catch (cause) {
      // A mistake of ours outside any frame: this connection cannot go on, the others can.
      this.#observer.frameFailed?.(cause);
      this.#socket.destroy();
    }
  }

  #on(event: AgentEvent): void {
    switch (event.kind) {
      case 'hello':
        clearTimeout(this.#helloTimer);
        this.#observer.hello?.(event.negotiated.maxFrameSize, event.hello.engineId);
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
    try {
      const actions = this.#answerer.handle(event.payload, maxActionsBytes);
      if (actions instanceof Promise) {
        actions.then(
          (late) => this.#ackLater(event, late),
          (cause: unknown) => {
            this.#observer.frameFailed?.(cause);
            this.#ackLater(event, this.#neutral());
          },
        );
      } else {
        this.#ack(event, actions);
      }
    } catch (cause) {
      if (cause instanceof SpopError) {
        // Closed already: the peer was told of an earlier one, and nobody waits for this answer.
        if (this.#agent.closed) return;
        this.#observer.protocolError?.(cause);
        this.#agent.fail(cause);
        return;
      }
      this.#observer.frameFailed?.(cause);
      this.#ack(event, this.#neutral());
    }
  }

  #ack(event: NotifyEvent, actions: Action[]): void {
    try {
      this.#agent.ack(event.streamId, event.frameId, actions);
    } catch (cause) {
      // What was planned cannot be encoded after all: HAProxy must not wait for our mistake.
      this.#observer.frameFailed?.(cause);
      this.#ackNeutral(event);
    }
    this.#lastAckAtMs = performance.now();
  }

  #ackNeutral(event: NotifyEvent): void {
    try {
      this.#agent.ack(event.streamId, event.frameId, this.#neutral());
    } catch (cause) {
      this.#observer.frameFailed?.(cause);
    }
  }

  #ackLater(event: NotifyEvent, actions: Action[]): void {
    this.#ack(event, actions);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
      this.#regulate();
    });
  }

  #flush(): void {
    const output = this.#agent.takeOutput();
    if (output !== undefined && this.#socket.writable) this.#socket.write(output);
    if (this.#agent.closed && this.#socket.writable) {
      this.#socket.end();
      const linger = setTimeout(() => this.#socket.destroy(), lingerMs);
      linger.unref();
      this.#socket.once('close', () => clearTimeout(linger));
    }
  }

  /** Reads on only while the peer takes what we send and not too much is under analysis. */
  #regulate(): void {
    const wait = this.#socket.writableNeedDrain || this.#agent.inFlight >= this.#options.maxFramesInFlight;
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
