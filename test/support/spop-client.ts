/**
 * HAProxy's side of SPOP over a real socket, for tests: what HAProxy would send, and raw bytes that it never
 * would. Every promise settles when the connection ends, so that no test needs a time-out of its own.
 *
 *     const client = await SpopClient.connect({ port });
 *     await client.hello();
 *     const { actions } = await client.notify([{ name: 'my-message', args: [] }]);
 *     const goodbye = await client.disconnect();
 */
import type { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import {
  type Action,
  type AgentHello,
  type Disconnect,
  decodeActions,
  decodeAgentHello,
  decodeDisconnect,
  decodeFrame,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeNotify,
  FrameSplitter,
  type HaproxyHello,
  type SpoeMessageInput,
  type Uint64,
} from '../../src/spop/index.ts';

/** What an agent can send. */
export type AgentFrame =
  | { readonly kind: 'agent-hello'; readonly hello: AgentHello }
  | { readonly kind: 'agent-disconnect'; readonly disconnect: Disconnect }
  | {
      readonly kind: 'ack';
      readonly streamId: Uint64;
      readonly frameId: Uint64;
      readonly actions: readonly Action[];
      /** Bytes of the frame, without the four of its length. */
      readonly size: number;
    };

export type AckFrame = Extract<AgentFrame, { kind: 'ack' }>;

/** What HAProxy 2.6 to 3.0 announce with their default settings. */
export const TYPICAL_HELLO: HaproxyHello = {
  supportedVersions: ['2.0'],
  maxFrameSize: 16_380,
  capabilities: ['pipelining', 'async'],
  healthcheck: false,
  engineId: '7d0a1c7e-0000-4000-8000-000000000001',
};

/** What `option spop-check` sends. */
export const HEALTHCHECK_HELLO: HaproxyHello = {
  supportedVersions: ['2.0'],
  maxFrameSize: 16_380,
  capabilities: [],
  healthcheck: true,
  engineId: undefined,
};

/** Reads one frame as an agent may send it; throws on any other. */
export function decodeAgentFrame(bytes: Buffer): AgentFrame {
  const frame = decodeFrame(bytes);
  switch (frame.kind) {
    case 'agent-hello':
      return { kind: 'agent-hello', hello: decodeAgentHello(frame.payload) };
    case 'agent-disconnect':
      return { kind: 'agent-disconnect', disconnect: decodeDisconnect(frame.payload) };
    case 'ack': {
      const { streamId, frameId, payload } = frame;
      return { kind: 'ack', streamId, frameId, actions: decodeActions(payload), size: bytes.length };
    }
    default:
      throw new Error(`an agent sent a frame of kind ${frame.kind}`);
  }
}

/** All frames in bytes that an agent sent; throws if the last one is incomplete. */
export function decodeAgentFrames(bytes: Buffer): AgentFrame[] {
  const splitter = new FrameSplitter(2 ** 32);
  splitter.push(bytes);
  const frames: AgentFrame[] = [];
  for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) {
    frames.push(decodeAgentFrame(frame));
  }
  if (splitter.pendingBytes > 0) throw new Error(`${splitter.pendingBytes} bytes of an unfinished frame`);
  return frames;
}

interface Waiter {
  readonly wants: (frame: AgentFrame) => boolean;
  readonly resolve: (frame: AgentFrame) => void;
  readonly reject: (error: Error) => void;
}

export type SpopAddress = { readonly port: number; readonly host?: string } | { readonly path: string };

export class SpopClient {
  readonly socket: Socket;
  /** Every frame received, oldest first. */
  readonly frames: AgentFrame[] = [];
  /** Settles when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #splitter = new FrameSplitter(2 ** 32);
  #waiters: Waiter[] = [];
  /** Frames that nobody has waited for yet. */
  #unclaimed: AgentFrame[] = [];
  #ended: Error | undefined;
  #nextStreamId = 1;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#receive(chunk);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the agent closed the connection')));
  }

  static async connect(address: SpopAddress): Promise<SpopClient> {
    const options = 'path' in address ? address : { host: '127.0.0.1', ...address };
    const socket = connect({ ...options, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new SpopClient(socket);
  }

  /** Sends HAPROXY-HELLO, typical but for what is given, and waits for the answer. */
  async hello(changes: Partial<HaproxyHello> = {}): Promise<AgentHello> {
    this.write(encodeHaproxyHello({ ...TYPICAL_HELLO, ...changes }));
    const frame = await this.next((candidate) => candidate.kind !== 'ack');
    if (frame.kind !== 'agent-hello') throw new Error(`HELLO was refused: ${JSON.stringify(frame)}`);
    return frame.hello;
  }

  /** Sends a NOTIFY and waits for its ACK. A fresh stream-id each time unless one is given. */
  notify(
    messages: readonly SpoeMessageInput[],
    streamId: Uint64 = this.#nextStreamId++,
    frameId: Uint64 = 1,
  ): Promise<AckFrame> {
    const answer = this.ackOf(streamId, frameId);
    this.write(encodeNotify(streamId, frameId, messages));
    return answer;
  }

  /** Waits for the ACK of a NOTIFY that was sent as raw bytes. */
  async ackOf(streamId: Uint64, frameId: Uint64): Promise<AckFrame> {
    const isIt = (frame: AgentFrame) =>
      frame.kind === 'ack' && frame.streamId === streamId && frame.frameId === frameId;
    const frame = await this.next(isIt);
    if (frame.kind !== 'ack') throw new Error('unreachable: only ACKs were asked for');
    return frame;
  }

  /** Sends HAPROXY-DISCONNECT and waits for the agent's answer to it. */
  disconnect(status = 0, message = 'bye'): Promise<Disconnect> {
    const answer = this.goodbye();
    this.write(encodeHaproxyDisconnect(status, message));
    return answer;
  }

  /** Waits for AGENT-DISCONNECT. */
  async goodbye(): Promise<Disconnect> {
    const frame = await this.next((candidate) => candidate.kind === 'agent-disconnect');
    if (frame.kind !== 'agent-disconnect')
      throw new Error('unreachable: only AGENT-DISCONNECT was asked for');
    return frame.disconnect;
  }

  /** The next frame of a kind, of those received and not claimed yet or of those to come. */
  next(wants: (frame: AgentFrame) => boolean = () => true): Promise<AgentFrame> {
    const index = this.#unclaimed.findIndex(wants);
    const [ready] = index < 0 ? [] : this.#unclaimed.splice(index, 1);
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<AgentFrame>();
    this.#waiters.push({ wants, resolve, reject });
    return promise;
  }

  /** Raw bytes, for what HAProxy never sends. */
  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends FIN. */
  end(): void {
    this.socket.end();
  }

  /** Sends RST, as HAProxy 3.x does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  #receive(chunk: Buffer): void {
    this.#splitter.push(chunk);
    for (let bytes = this.#splitter.next(); bytes !== undefined; bytes = this.#splitter.next()) {
      const frame = decodeAgentFrame(bytes);
      this.frames.push(frame);
      const waiter = this.#waiters.find(({ wants }) => wants(frame));
      if (waiter === undefined) {
        this.#unclaimed.push(frame);
      } else {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        waiter.resolve(frame);
      }
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiter of this.#waiters) waiter.reject(this.#ended);
    this.#waiters = [];
  }
}
