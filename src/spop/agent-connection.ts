/**
 * The agent's side of one SPOP connection, without the connection: bytes go in with `receive`, what they
 * mean comes out as events, and the bytes to send are collected until `takeOutput`. Nothing here waits,
 * logs or times out, and no input makes `receive` throw.
 *
 *                 HELLO                            DISCONNECT from either side,
 *     new ───────────────────────► open ─────────► or any violation ──────────► closed
 *      │                           NOTIFY, ACK                                    ▲
 *      └── health check answered, or anything that is not HELLO ──────────────────┘
 *
 * Everything sent passes through one queue, in order: a caller that writes `takeOutput()` once per turn of
 * its event loop sends each frame, and all ACKs of that turn, in one write. When `closed` is true, the
 * socket is to be ended after that write.
 *
 * What each odd frame gets is one table, in docs/spop.md. These rules need their reason here:
 * - We agree to whatever size HAProxy offers (see `negotiate`). A NOTIFY beyond our own maximum, or for which there is
 *   no memory, passes through: it is told with its ids, and without its end. ACKs never exceed the negotiated size,
 *   because HAProxy 3.1 to 3.4 never recover from that.
 * - HAProxy up to 3.0 gives the message after a lost one (its processing time-out went by) the same stream-id and
 *   frame-id, and takes the next ACK with these ids for the answer to it, whichever message that was about. So a NOTIFY
 *   with the ids of one that waits replaces it, and an ACK of the older must not leave any more, not even one that is
 *   written already: who answers asks `isAwaited` first.
 * - A violation inside a NOTIFY's payload is not seen here: messages are decoded by whoever handles them,
 *   who then calls `fail`, or answers.
 *
 * Frames handed out are views of the chunk they came in; see frame-splitter.ts.
 */
import type { Buffer } from 'node:buffer';
import type { Action } from './actions.ts';
import type { AgentEvent, EndOfStream, NotifyEvent } from './agent-event.ts';
import { ByteWriter } from './byte-writer.ts';
import { checkConnectionFrame, checkedMaxFrameSize, LARGEST_HELLO_SIZE } from './connection-rules.ts';
import { decodeDisconnect, encodeAgentDisconnect } from './disconnect.ts';
import { decodeFrame, type Frame, type KnownFrame, MIN_FRAME_SIZE } from './frame.ts';
import type { FrameMemory } from './frame-memory.ts';
import { FrameSplitter } from './frame-splitter.ts';
import {
  type AgentHello,
  decodeHaproxyHello,
  encodeAgentHello,
  type HaproxyHello,
  negotiate,
} from './hello.ts';
import { type PeerAnswer, type PeerGreeting, roomOfFrameId } from './peer-extension.ts';
import { PendingNotifies } from './pending-notifies.ts';
import { SpopError, StatusCode } from './spop-error.ts';
import { type Uint64, varintSize } from './varint.ts';

/** What an agent keeps and says. */
export interface AgentConnectionOptions {
  /** Largest frame we keep, in bytes; 256 to 16 MiB, default 16,384. */
  readonly maxFrameSize?: number;
  /** For frames that came in part, shared by connections. Without one, `maxFrameSize` is the only bound. */
  readonly frameMemory?: FrameMemory | undefined;
  /** Answer health checks with AGENT-DISCONNECT, so that HAProxy takes this server out. Default false. */
  readonly refuseHealthchecks?: boolean;
  /**
   * What we say about ourselves to another agent of ours (see peer-extension.ts); without it, nothing. A HELLO that names a
   * peer is understood either way, and `hello.peer` says so.
   */
  readonly answerPeer?: ((greeting: PeerGreeting) => PeerAnswer) | undefined;
}

/** The agent's side of one connection, from its first byte to its last: see the head of this file. */
export class AgentConnection {
  /** May be changed at any time; draining sets it. */
  refuseHealthchecks: boolean;
  readonly #ownMaxFrameSize: number;
  readonly #splitter: FrameSplitter;
  readonly #answerPeer: AgentConnectionOptions['answerPeer'];
  readonly #output = new ByteWriter();
  readonly #pending = new PendingNotifies(this.#output);
  #state: 'new' | 'open' | 'closed' = 'new';
  #negotiated: AgentHello | undefined;
  #hello: HaproxyHello | undefined;

  /** @throws RangeError if `maxFrameSize` is out of range. */
  constructor(options: AgentConnectionOptions = {}) {
    this.#ownMaxFrameSize = checkedMaxFrameSize(options.maxFrameSize);
    this.#splitter = new FrameSplitter(LARGEST_HELLO_SIZE, options.frameMemory);
    this.#answerPeer = options.answerPeer;
    this.refuseHealthchecks = options.refuseHealthchecks ?? false;
  }

  /** True once nothing more is read or written, but for what `takeOutput` still has. */
  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** True between a successful HELLO and the end. */
  get open(): boolean {
    return this.#state === 'open';
  }

  /** NOTIFYs that wait for their ACK. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** What HAProxy said in its HELLO, once it has. */
  get hello(): HaproxyHello | undefined {
    return this.#hello;
  }

  /** What we answered to it. */
  get negotiated(): AgentHello | undefined {
    return this.#negotiated;
  }

  /** Takes bytes from the peer and says what they mean. Never throws on them; ignores all once closed. */
  receive(chunk: Buffer): AgentEvent[] {
    const events: AgentEvent[] = [];
    if (this.closed) return events;
    try {
      this.#splitter.push(chunk);
      while (!this.closed) {
        const bytes = this.#splitter.next();
        if (bytes === undefined) break;
        const frame = decodeFrame(bytes);
        if (frame.kind !== 'notify') this.#refuseDropped(bytes.length);
        const event = this.#state === 'new' ? this.#firstFrame(frame) : this.#laterFrame(frame);
        if (event !== undefined) events.push(event);
      }
    } catch (error) {
      if (!(error instanceof SpopError)) throw error;
      this.fail(error);
      events.push({ kind: 'error', error });
    }
    return events;
  }

  /** The peer ended its stream: a goodbye between two frames, a broken peer inside one. Closes. */
  end(): EndOfStream {
    const { pendingBytes } = this.#splitter;
    const inFlight = this.inFlight;
    const truncated = !this.closed && pendingBytes > 0;
    this.#close();
    return { truncated, pendingBytes, inFlight };
  }

  /** Whether HAProxy still waits for the ACK of this NOTIFY. */
  isAwaited(notify: NotifyEvent): boolean {
    return this.#pending.isAwaited(notify);
  }

  /** This NOTIFY gets no ACK any more: HAProxy has given up on it. */
  giveUp(notify: NotifyEvent): void {
    this.#pending.giveUp(notify);
  }

  /**
   * Answers the NOTIFY that came last with these ids. Either all of the frame is queued or nothing.
   * @param actions the actions, most important first, or the same already encoded by `encodeActions`
   * @returns false, without effect, if the connection closed meanwhile: that is nobody's mistake
   * @throws SpopError SPOP_ACK_EMPTY, SPOP_ACK_TOO_BIG or SPOP_ACK_UNKNOWN_FRAME, with nothing queued and
   *   the NOTIFY still waiting: the caller can answer again with less
   */
  ack(streamId: Uint64, frameId: Uint64, actions: readonly Action[] | Uint8Array): boolean {
    if (this.#state === 'closed') return false;
    this.#pending.ack(streamId, frameId, actions, this.#negotiated?.maxFrameSize ?? 0);
    return true;
  }

  /** Says goodbye with AGENT-DISCONNECT and closes; NOTIFYs in flight get no ACK. No effect once closed. */
  disconnect(status: number = StatusCode.NORMAL, message = 'bye'): void {
    if (this.closed) return;
    this.#output.bytes(encodeAgentDisconnect(status, message));
    this.#close();
  }

  /** `disconnect` for a violation: tells the peer what it did. */
  fail(error: SpopError): void {
    this.disconnect(error.status, error.message);
  }

  /** Everything to be sent since the last call, for one write; undefined when there is nothing. */
  takeOutput(): Buffer | undefined {
    this.#pending.sent();
    return this.#output.length === 0 ? undefined : this.#output.take();
  }

  /** Only a NOTIFY may be so large that its end is not kept. */
  #refuseDropped(keptBytes: number): void {
    const { droppedBytes } = this.#splitter;
    if (droppedBytes === 0) return;
    const size = keptBytes + droppedBytes;
    throw new SpopError('SPOP_FRAME_TOO_BIG', `a frame of ${size} bytes that is no NOTIFY`);
  }

  /** SPOE.txt 3.2.4: the first frame is HAPROXY-HELLO. A goodbye is understood too (3.2.8: "at anytime"). */
  #firstFrame(frame: Frame): AgentEvent {
    if (frame.kind === 'haproxy-disconnect') return this.#goodbye(frame);
    if (frame.kind !== 'haproxy-hello') {
      const what = frame.kind === 'unknown' ? `type ${frame.type}` : frame.kind;
      throw new SpopError('SPOP_HELLO_EXPECTED', `first frame is ${what}, expected HAPROXY-HELLO`);
    }
    checkConnectionFrame(frame);
    const hello = decodeHaproxyHello(frame.payload);
    const peer = hello.peer && this.#answerPeer?.(hello.peer);
    const negotiated = { ...negotiate(hello, this.#ownMaxFrameSize), peer };
    if (hello.healthcheck && this.refuseHealthchecks) {
      this.disconnect(StatusCode.RESOURCE_ERROR, 'draining');
      return { kind: 'healthcheck', refused: true };
    }
    // The health check of HAProxy 3.1 and later offers 16,380 bytes whatever its buffer is, and takes the server down when
    // the answer is more than a smaller buffer holds. No frame of this connection has any use for the size.
    const answered = hello.healthcheck ? { ...negotiated, maxFrameSize: MIN_FRAME_SIZE } : negotiated;
    this.#output.bytes(encodeAgentHello(answered));
    if (hello.healthcheck) {
      this.#close();
      return { kind: 'healthcheck', refused: false };
    }
    this.#state = 'open';
    this.#hello = hello;
    this.#negotiated = negotiated;
    const own = this.#ownMaxFrameSize;
    this.#splitter.setLimits(own, Math.max(own, negotiated.maxFrameSize));
    return { kind: 'hello', hello, negotiated };
  }

  #laterFrame(frame: Frame): AgentEvent | undefined {
    switch (frame.kind) {
      case 'notify':
        return this.#notify(frame);
      case 'haproxy-disconnect':
        return this.#goodbye(frame);
      case 'haproxy-hello':
        throw new SpopError('SPOP_HELLO_REPEATED', 'HAPROXY-HELLO after the handshake');
      case 'unset':
        throw new SpopError('SPOP_FRAGMENTED', 'frame of type UNSET; fragmentation is not supported');
      case 'agent-hello':
      case 'agent-disconnect':
      case 'ack':
        throw new SpopError('SPOP_WRONG_DIRECTION', `${frame.kind} is sent by agents only`);
      case 'unknown':
        return undefined; // SPOE.txt 3.2.2: "may be silently skipped"
    }
  }

  #notify(frame: KnownFrame): AgentEvent {
    const { streamId, frameId, payload } = frame;
    if (!frame.fin)
      throw new SpopError('SPOP_FRAGMENTED', 'NOTIFY without FIN; fragmentation is not supported');
    // A stream-id of 0 is in order: HAProxy up to 3.0 counts the streams of a process from there.
    if (frameId === 0)
      throw new SpopError('SPOP_BAD_FRAME_IDS', `NOTIFY of stream-id ${streamId} with frame-id 0`);
    const { droppedBytes: missingBytes } = this.#splitter;
    const event: NotifyEvent = {
      kind: 'notify',
      streamId,
      frameId,
      payload,
      maxActionsBytes: this.#roomFor(streamId, frameId),
      ...(missingBytes > 0 && { missingBytes }),
    };
    this.#pending.add(event);
    return event;
  }

  #roomFor(streamId: Uint64, frameId: Uint64): number {
    const frameSize = this.#negotiated?.maxFrameSize ?? 0;
    const fitting = frameSize - 5 - varintSize(streamId) - varintSize(frameId);
    return this.#hello?.peer === undefined ? fitting : roomOfFrameId(frameId, fitting);
  }

  #goodbye(frame: KnownFrame): AgentEvent {
    checkConnectionFrame(frame);
    const { status, message } = decodeDisconnect(frame.payload);
    this.disconnect(StatusCode.NORMAL, 'bye');
    return { kind: 'disconnect', status, message };
  }

  #close(): void {
    this.#state = 'closed';
    this.#pending.clear();
    this.#splitter.end();
  }
}
