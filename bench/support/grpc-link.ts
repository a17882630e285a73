// One connection as Envoy keeps it: streams of two messages, each sent when the one before was answered, and a reset.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  data,
  FrameFlag,
  FrameType,
  frame,
  grpcMessage,
  grpcRequest,
  indexedBlock,
  preface,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from '../../test/support/http2-frames.ts';

export const benchPath = '/envoy.service.ext_proc.v3.ExternalProcessor/Process';

/** Request and response headers of a page, with attributes. */
const messages = [grpcMessage(Buffer.alloc(1_500, 'q')), grpcMessage(Buffer.alloc(700, 's'))] as const;

const requestFields = grpcRequest(benchPath, ['x-forwarded-for', '10.0.0.1'], ['x-envoy-internal', 'true']);
/** Of the first stream: fills the dynamic table. */
const firstBlock = Buffer.concat(requestFields.map(([name, value]) => indexedBlock(name, value)));
/** Of all others: entries of the dynamic table, 62 the newest. */
const nextBlock = Buffer.from(requestFields.map((_, index) => 0x80 | (61 + requestFields.length - index)));

const windowBytes = 2 ** 31 - 1;
const initialWindowBytes = 65_535;
const headBytes = 9;

export class GrpcLink {
  readonly #socket: Socket;
  /** Answers so far, by stream. */
  readonly #answers = new Map<number, number>();
  #pending: Buffer = Buffer.alloc(0);
  #output: Buffer[] = [];
  #nextId = 1;
  #spentBytes = 0;
  #isStopping = false;
  completed = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** @param streams under way at a time, from now on */
  static async start(port: number, streams: number): Promise<GrpcLink> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const link = new GrpcLink(socket);
    link.#output.push(preface, settings([4, windowBytes]), windowUpdate(0, windowBytes - initialWindowBytes));
    for (let stream = 0; stream < streams; stream += 1) link.#begin();
    link.#flush();
    return link;
  }

  stop(): void {
    this.#isStopping = true;
    this.#socket.destroy();
  }

  #begin(): void {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#answers.set(id, 0);
    const block = id === 1 ? firstBlock : nextBlock;
    this.#output.push(frame(FrameType.HEADERS, FrameFlag.END_HEADERS, id, block), data(id, messages[0]));
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= headBytes) {
      const end = headBytes + this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < end) break;
      this.#on(this.#pending.subarray(0, end));
      this.#pending = this.#pending.subarray(end);
    }
    this.#flush();
  }

  #on(received: Buffer): void {
    const [type, flags, id] = [received[3], received[4] ?? 0, received.readUInt32BE(5)];
    if (type === FrameType.DATA) this.#answered(id, received.length - headBytes);
    else if (type === FrameType.SETTINGS && (flags & FrameFlag.ACK) === 0) this.#output.push(settingsAck);
    else if (type === FrameType.GOAWAY || type === FrameType.RST_STREAM) {
      throw new Error(`the server gave up: ${received.toString('hex')}`);
    }
  }

  /** The answers here come in a frame each. */
  #answered(id: number, bytes: number): void {
    this.#spentBytes += bytes;
    const answers = (this.#answers.get(id) ?? 0) + 1;
    const next = messages[answers];
    if (next !== undefined) {
      this.#answers.set(id, answers);
      this.#output.push(data(id, next));
      return;
    }
    this.#answers.delete(id);
    this.#output.push(reset(id));
    this.completed += 1;
    if (!this.#isStopping) this.#begin();
  }

  #flush(): void {
    if (this.#spentBytes > windowBytes / 2) {
      this.#output.push(windowUpdate(0, this.#spentBytes));
      this.#spentBytes = 0;
    }
    if (this.#output.length === 0) return;
    this.#socket.write(Buffer.concat(this.#output));
    this.#output = [];
  }
}
