/** HTTP/2 frames written by hand, right or wrong (RFC 9113): for what node:http2 would not send. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FrameFlag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** @param length what is announced, where it is not that of the payload */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.concat(
    entries.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)])),
  );
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export const settingsAck = frame(FrameType.SETTINGS, FrameFlag.ACK, 0);

export function reset(streamId: number, code = 2): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, uint32(code));
}

export function data(streamId: number, payload: Uint8Array, endStream = false): Buffer {
  return frame(FrameType.DATA, endStream ? FrameFlag.END_STREAM : 0, streamId, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function ping(payload = 'pingpong', isAck = false): Buffer {
  return frame(FrameType.PING, isAck ? FrameFlag.ACK : 0, 0, Buffer.from(payload, 'latin1'));
}

export type HeaderList = readonly (readonly [name: string, value: string])[];

export function grpcRequest(path: string, ...more: HeaderList): HeaderList {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ];
}

/** HPACK (RFC 7541) in its plainest form: literals that are not indexed, names and values as they are. */
export function headerBlock(list: HeaderList): Buffer {
  return Buffer.concat(
    list.flatMap(([name, value]) => [Buffer.from([0]), hpackText(name), hpackText(value)]),
  );
}

/** The same, but added to the dynamic table (RFC 7541, 6.2.1). */
export function indexedBlock(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), hpackText(name), hpackText(value)]);
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([hpackInteger(bytes.length, 7), bytes]);
}

function hpackInteger(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export function headers(streamId: number, list: HeaderList, endStream = false): Buffer {
  const flags = FrameFlag.END_HEADERS | (endStream ? FrameFlag.END_STREAM : 0);
  return frame(FrameType.HEADERS, flags, streamId, headerBlock(list));
}

/** A gRPC message with its prefix. */
export function grpcMessage(message: Uint8Array | string, flag = 0, length?: number): Buffer {
  const bytes = Buffer.from(message);
  return Buffer.concat([Buffer.from([flag]), uint32(length ?? bytes.length), bytes]);
}

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The client's end of a connection: sends what it is told to, keeps what comes. */
export class RawHttp2Client {
  readonly socket: Socket;
  readonly frames: ReceivedFrame[] = [];
  readonly closed: Promise<void>;
  /** Acknowledges SETTINGS and PING of the server, as a client has to that has sent its preface. */
  isPolite = false;
  #pending = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#wake();
        resolve();
      });
    });
  }

  static async connect(target: NetConnectOpts): Promise<RawHttp2Client> {
    const socket = connect({ ...target, noDelay: true });
    await once(socket, 'connect');
    return new RawHttp2Client(socket);
  }

  /** Connects, and exchanges preface and SETTINGS. */
  static async greet(target: NetConnectOpts): Promise<RawHttp2Client> {
    const client = await RawHttp2Client.connect(target);
    client.isPolite = true;
    client.send(preface, settings());
    await client.until(({ type, flags }) => type === FrameType.SETTINGS && flags === FrameFlag.ACK);
    return client;
  }

  send(...parts: readonly Uint8Array[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(parts));
  }

  get isOver(): boolean {
    return this.socket.destroyed;
  }

  count(isOne: (frame: ReceivedFrame) => boolean): number {
    return this.frames.filter(isOne).length;
  }

  /** The first frame that is one, when it has come. @throws when the connection ends before */
  async until(isOne: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame> {
    for (;;) {
      const found = this.frames.find(isOne);
      if (found !== undefined) return found;
      if (this.isOver) throw new Error('the connection ended before the frame came');
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** The code of the GOAWAY that the connection ended with, if any. */
  async goaway(): Promise<number | undefined> {
    await this.closed;
    return this.frames.findLast(({ type }) => type === FrameType.GOAWAY)?.payload.readUInt32BE(4);
  }

  #receive(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) break;
      this.#on({
        type: this.#pending[3] ?? 0,
        flags: this.#pending[4] ?? 0,
        streamId: this.#pending.readUInt32BE(5) & 0x7fff_ffff,
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #on(received: ReceivedFrame): void {
    this.frames.push(received);
    if (!this.isPolite || received.flags & FrameFlag.ACK) return;
    if (received.type === FrameType.SETTINGS) this.send(settingsAck);
    if (received.type === FrameType.PING)
      this.send(frame(FrameType.PING, FrameFlag.ACK, 0, received.payload));
  }
}
