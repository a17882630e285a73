/**
 * HAProxy's side of one SPOP connection, without the connection: the mirror image of agent-connection.ts, for an agent
 * that hands a NOTIFY on to another agent. Bytes go in with `receive`, what they mean comes out as events, and the
 * bytes to send are collected until `takeOutput`. Nothing here waits, logs or times out, and no input makes `receive`
 * throw.
 *
 *             AGENT-HELLO                     AGENT-DISCONNECT, ours, or any violation
 *     new ─────────────────► open ──────────────────────────────────────────────────────► closed
 *      │ (HAPROXY-HELLO     NOTIFY, ACK                                                     ▲
 *      │  is in the output) AGENT-DISCONNECT, or anything that is not AGENT-HELLO           │
 *      └────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Payloads are opaque on both ways: the messages of a NOTIFY leave as they came from HAProxy, the actions of an ACK
 * are handed out as bytes. Stream-ids are our own, counted from 1, one for each NOTIFY; its frame-id is the caller's,
 * since our agents give it a meaning of their own (peer-extension.ts).
 *
 * Memory: one frame of the agreed size that is half received, an entry for each NOTIFY in flight, and what was not
 * taken of the output. The caller bounds the latter two, by `inFlight` and `pendingOutputBytes`.
 *
 * Actions handed out are views of the chunk they came in; see frame-splitter.ts.
 */
import type { Buffer } from 'node:buffer';
import { ByteWriter } from './byte-writer.ts';
import { checkConnectionFrame, checkedMaxFrameSize, LARGEST_HELLO_SIZE } from './connection-rules.ts';
import { decodeDisconnect, encodeHaproxyDisconnect } from './disconnect.ts';
import { decodeFrame, type Frame, FrameType, type KnownFrame, MIN_FRAME_SIZE, writeFrame } from './frame.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { type AgentHello, decodeAgentHello, encodeHaproxyHello, SPOP_VERSION } from './hello.ts';
import type { PeerGreeting } from './peer-extension.ts';
import { SpopError, StatusCode } from './spop-error.ts';
import { varintSize } from './varint.ts';

/** What bytes from an agent mean. */
export type HaproxyEvent =
  /** The handshake succeeded. */
  | { readonly kind: 'hello'; readonly hello: AgentHello }
  /** The answer to the NOTIFY of this stream-id; its bytes are for `decodeActions`, and may be none. */
  | { readonly kind: 'ack'; readonly streamId: number; readonly actions: Buffer }
  /** The agent says goodbye; closed. */
  | { readonly kind: 'disconnect'; readonly status: number; readonly message: string }
  /** The agent broke the protocol, and the output tells it so; closed. */
  | { readonly kind: 'error'; readonly error: SpopError };

/** What an agent says of itself when it connects to another. */
export interface HaproxyConnectionOptions {
  /** Largest frame we accept and announce, in bytes; 256 to 16 MiB, default 16,384. */
  readonly maxFrameSize?: number;
  /** Who we are, for an agent of ours. */
  readonly peer?: PeerGreeting;
}

/** HAProxy's side of one connection, from its HELLO to its last byte: see the head of this file. */
export class HaproxyConnection {
  readonly #ownMaxFrameSize: number;
  readonly #splitter: FrameSplitter;
  readonly #output = new ByteWriter();
  /** Frame-ids of the NOTIFYs that wait for their ACK, by stream-id. */
  readonly #waiting = new Map<number, number>();
  #state: 'new' | 'open' | 'closed' = 'new';
  #hello: AgentHello | undefined;
  #lastStreamId = 0;

  /** @throws RangeError if `maxFrameSize` is out of range. */
  constructor(options: HaproxyConnectionOptions = {}) {
    this.#ownMaxFrameSize = checkedMaxFrameSize(options.maxFrameSize);
    this.#splitter = new FrameSplitter(LARGEST_HELLO_SIZE);
    this.#output.bytes(
      encodeHaproxyHello({
        supportedVersions: [SPOP_VERSION],
        maxFrameSize: this.#ownMaxFrameSize,
        capabilities: ['pipelining'],
        healthcheck: false,
        engineId: undefined,
        peer: options.peer,
      }),
    );
  }

  /** True once nothing more is read or written, but for what `takeOutput` still has. */
  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** True between the HELLO of the agent and the end. */
  get open(): boolean {
    return this.#state === 'open';
  }

  /** NOTIFYs that wait for their ACK. */
  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Bytes that `takeOutput` would give. */
  get pendingOutputBytes(): number {
    return this.#output.length;
  }

  /** What the agent said in its HELLO, once it has. */
  get hello(): AgentHello | undefined {
    return this.#hello;
  }

  /** Takes bytes from the agent and says what they mean. Never throws on them; ignores all once closed. */
  receive(chunk: Buffer): HaproxyEvent[] {
    const events: HaproxyEvent[] = [];
    if (this.closed) return events;
    try {
      this.#splitter.push(chunk);
      while (!this.closed) {
        const bytes = this.#splitter.next();
        if (bytes === undefined) break;
        const frame = decodeFrame(bytes);
        const event = this.#state === 'new' ? this.#firstFrame(frame) : this.#laterFrame(frame);
        if (event !== undefined) events.push(event);
      }
    } catch (error) {
      if (!(error instanceof SpopError)) throw error;
      this.disconnect(error.status, error.message);
      events.push({ kind: 'error', error });
    }
    return events;
  }

  /**
   * Queues a NOTIFY; the payload is copied.
   * @param payload messages as `encodeMessages` makes them, or as HAProxy sent them
   * @param frameId 1 to 2^53 - 1
   * @returns its stream-id; undefined, with nothing queued, if the connection is not open, the frame would exceed the
   *   agreed size, or the agent takes one at a time (no `pipelining`) and has one
   */
  notify(payload: Uint8Array, frameId = 1): number | undefined {
    if (this.#hello === undefined || this.closed) return undefined;
    if (this.inFlight > 0 && !this.#hello.capabilities.includes('pipelining')) return undefined;
    const streamId = this.#lastStreamId + 1;
    const size = 5 + varintSize(streamId) + varintSize(frameId) + payload.length;
    if (size > this.#hello.maxFrameSize) return undefined;
    this.#lastStreamId = streamId;
    this.#waiting.set(streamId, frameId);
    writeFrame(this.#output, { type: FrameType.NOTIFY, streamId, frameId }, () =>
      this.#output.bytes(payload),
    );
    return streamId;
  }

  /** Says goodbye with HAPROXY-DISCONNECT and closes. No effect once closed. */
  disconnect(status: number = StatusCode.NORMAL, message = 'bye'): void {
    if (this.closed) return;
    this.#output.bytes(encodeHaproxyDisconnect(status, message));
    this.#close();
  }

  /** Everything to be sent since the last call, for one write; undefined when there is nothing. */
  takeOutput(): Buffer | undefined {
    return this.#output.length === 0 ? undefined : this.#output.take();
  }

  /** SPOE.txt 3.2.5; AGENT-DISCONNECT in its place is how an agent refuses. */
  #firstFrame(frame: Frame): HaproxyEvent {
    if (frame.kind === 'agent-disconnect') return this.#goodbye(frame);
    if (frame.kind !== 'agent-hello') {
      const what = frame.kind === 'unknown' ? `type ${frame.type}` : frame.kind;
      throw new SpopError('SPOP_HELLO_EXPECTED', `first frame is ${what}, expected AGENT-HELLO`);
    }
    checkConnectionFrame(frame);
    const hello = decodeAgentHello(frame.payload);
    if (!/^2\.\d+$/.test(hello.version)) {
      throw new SpopError(
        'SPOP_UNSUPPORTED_VERSION',
        `SPOP version answered: "${hello.version.slice(0, 60)}"; offered: ${SPOP_VERSION}`,
      );
    }
    if (hello.maxFrameSize < MIN_FRAME_SIZE || hello.maxFrameSize > this.#ownMaxFrameSize) {
      throw new SpopError(
        'SPOP_BAD_MAX_FRAME_SIZE',
        `max-frame-size ${hello.maxFrameSize} is not within ${MIN_FRAME_SIZE} and ${this.#ownMaxFrameSize}`,
      );
    }
    this.#splitter.setLimits(hello.maxFrameSize);
    this.#state = 'open';
    this.#hello = hello;
    return { kind: 'hello', hello };
  }

  #laterFrame(frame: Frame): HaproxyEvent | undefined {
    switch (frame.kind) {
      case 'ack':
        return this.#ack(frame);
      case 'agent-disconnect':
        return this.#goodbye(frame);
      case 'agent-hello':
        throw new SpopError('SPOP_HELLO_REPEATED', 'AGENT-HELLO after the handshake');
      case 'unset':
        throw new SpopError('SPOP_FRAGMENTED', 'frame of type UNSET; fragmentation is not supported');
      case 'haproxy-hello':
      case 'haproxy-disconnect':
      case 'notify':
        throw new SpopError('SPOP_WRONG_DIRECTION', `${frame.kind} is sent by HAProxy only`);
      case 'unknown':
        return undefined; // SPOE.txt 3.2.2: "may be silently skipped"
    }
  }

  #ack(frame: KnownFrame): HaproxyEvent {
    const { streamId, frameId, payload } = frame;
    if (!frame.fin) throw new SpopError('SPOP_FRAGMENTED', 'ACK without FIN; fragmentation is not supported');
    if (typeof streamId !== 'number' || this.#waiting.get(streamId) !== frameId) {
      throw new SpopError(
        'SPOP_ACK_UNKNOWN_FRAME',
        `ACK of stream-id ${streamId}, frame-id ${frameId}: no NOTIFY waits for it`,
      );
    }
    this.#waiting.delete(streamId);
    return { kind: 'ack', streamId, actions: payload };
  }

  #goodbye(frame: KnownFrame): HaproxyEvent {
    checkConnectionFrame(frame);
    const { status, message } = decodeDisconnect(frame.payload);
    this.#close();
    return { kind: 'disconnect', status, message };
  }

  #close(): void {
    this.#state = 'closed';
    this.#waiting.clear();
  }
}
