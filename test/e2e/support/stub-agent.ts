// A scripted agent: what it receives can be looked at, and a test says what it answers. It tests the shipped
// HAProxy files without the daemon, and can say things that the daemon never would. Its codec is its own and
// as small as possible, so that a mistake in src/spop cannot hide behind itself.
//
// Not for bad input: it trusts HAProxy to send whole, valid frames.
import { createServer, type Server, type Socket } from 'node:net';

export type StubValue = null | boolean | bigint | string | Buffer;

export interface StubMessage {
  readonly name: string;
  readonly args: ReadonlyMap<string, StubValue>;
  /** Which connection brought it, counted from 0. */
  readonly connection: number;
  /** Size of the whole NOTIFY frame in bytes, without its length field. */
  readonly frameSize: number;
}

/** Variables of scope txn to set; 'silence' lets HAProxy run into its processing time-out. */
export type StubAnswer = Readonly<Record<string, boolean | number | string | Buffer>> | 'silence';
export type StubScript = (message: StubMessage) => StubAnswer;

const frameType = { haproxyHello: 1, haproxyDisconnect: 2, notify: 3, agentHello: 101, ack: 103 } as const;
const dataType = {
  bool: 1,
  int32: 2,
  uint32: 3,
  int64: 4,
  uint64: 5,
  ipv4: 6,
  ipv6: 7,
  string: 8,
  binary: 9,
};

export class StubAgent {
  readonly messages: StubMessage[] = [];
  script: StubScript;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  constructor(script: StubScript) {
    this.script = script;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  /** The messages of one name, oldest first. */
  named(name: string): StubMessage[] {
    return this.messages.filter((message) => message.name === name);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const connection = this.#connections++;
    this.#sockets.add(socket);
    let pending = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE(0)) {
        const end = 4 + pending.readUInt32BE(0);
        this.#frame(socket, connection, pending.subarray(4, end));
        pending = pending.subarray(end);
      }
    });
  }

  #frame(socket: Socket, connection: number, frame: Buffer): void {
    const reader = new Reader(frame.subarray(5));
    const ids = [reader.varint(), reader.varint()];
    if (frame[0] === frameType.haproxyHello) {
      const offered = new Map<string, StubValue>();
      while (!reader.done) offered.set(reader.text(), reader.value());
      const maximum = Number(offered.get('max-frame-size'));
      const hello = [
        text('version'),
        string('2.0'),
        text('max-frame-size'),
        integer(maximum, dataType.uint32),
      ];
      socket.write(
        encodeFrame(frameType.agentHello, [0n, 0n], [...hello, text('capabilities'), string('pipelining')]),
      );
      if (offered.get('healthcheck') === true) socket.end();
    } else if (frame[0] === frameType.haproxyDisconnect) {
      socket.end();
    } else if (frame[0] === frameType.notify) {
      // An ACK is never empty: HAProxy 3.1.0 would stall on it.
      const actions: Buffer[] = [setVar('seen', true)];
      while (!reader.done) {
        const name = reader.text();
        const args = new Map<string, StubValue>();
        for (let count = reader.byte(); count > 0; count--) args.set(reader.text(), reader.value());
        const message = { name, args, connection, frameSize: frame.length };
        this.messages.push(message);
        const answer = this.script(message);
        if (answer === 'silence') return;
        for (const [variable, value] of Object.entries(answer)) actions.push(setVar(variable, value));
      }
      socket.write(encodeFrame(frameType.ack, ids, actions));
    }
  }
}

/** @param port 0 takes any free one. */
export async function startStubAgent(script: StubScript, port = 0): Promise<StubAgent> {
  const agent = new StubAgent(script);
  await agent.listen(port);
  return agent;
}

/** `req.hdrs_bin`: pairs of name and value, ended by two empty strings. */
export function headerPairs(value: StubValue | undefined): [string, string][] {
  if (!Buffer.isBuffer(value)) throw new Error(`expected binary headers, got ${String(value)}`);
  const reader = new Reader(value);
  const pairs: [string, string][] = [];
  while (!reader.done) {
    const name = reader.text();
    const content = reader.text();
    if (name !== '') pairs.push([name, content]);
  }
  return pairs;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  take(length: number): Buffer {
    this.#at += length;
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at));
  }

  varint(): bigint {
    let value = BigInt(this.byte());
    if (value < 240n) return value;
    for (let shift = 4n; ; shift += 7n) {
      const byte = BigInt(this.byte());
      value += byte << shift;
      if (byte < 128n) return value;
    }
  }

  text(): string {
    return this.take(Number(this.varint())).toString('latin1');
  }

  value(): StubValue {
    const tag = this.byte();
    const type = tag & 0x0f;
    if (type === 0) return null;
    if (type === dataType.bool) return (tag & 0x10) !== 0;
    if (type <= dataType.uint64) return BigInt.asIntN(64, this.varint());
    if (type === dataType.ipv4) return [...this.take(4)].join('.');
    if (type === dataType.ipv6) return this.take(16).toString('hex');
    return type === dataType.string ? this.text() : this.take(Number(this.varint()));
  }
}

function encodeFrame(
  type: number,
  [streamId, frameId]: readonly bigint[],
  payload: readonly Buffer[],
): Buffer {
  const frame = Buffer.concat([
    Buffer.from([type, 0, 0, 0, 1]),
    varint(streamId ?? 0n),
    varint(frameId ?? 0n),
    ...payload,
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

function setVar(name: string, value: boolean | number | string | Buffer): Buffer {
  const transactionScope = 2;
  return Buffer.concat([Buffer.from([1, 3, transactionScope]), text(name), encodeValue(value)]);
}

function encodeValue(value: boolean | number | string | Buffer): Buffer {
  if (typeof value === 'boolean') return Buffer.from([value ? 0x11 : 0x01]);
  if (typeof value === 'number') return integer(value, dataType.int64);
  if (typeof value === 'string') return string(value);
  return Buffer.concat([Buffer.from([dataType.binary]), varint(BigInt(value.length)), value]);
}

function integer(value: number, type: number): Buffer {
  return Buffer.concat([Buffer.from([type]), varint(BigInt.asUintN(64, BigInt(value)))]);
}

function string(value: string): Buffer {
  return Buffer.concat([Buffer.from([dataType.string]), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function varint(value: bigint): Buffer {
  if (value < 240n) return Buffer.from([Number(value)]);
  const bytes = [Number((value & 0xffn) | 0xf0n)];
  let rest = (value - 240n) >> 4n;
  for (; rest >= 128n; rest = (rest - 128n) >> 7n) bytes.push(Number((rest & 0x7fn) | 0x80n));
  return Buffer.from([...bytes, Number(rest)]);
}
