// One SPOP connection of the generator: frames out, ACKs in, nothing else.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeHaproxyHello, FrameSplitter } from '../../src/spop/index.ts';
import { TYPICAL_HELLO } from '../../test/support/spop-client.ts';
import { type Ack, readAck } from './ack.ts';
import { nowMs } from './clock.ts';

export class SpopLink {
  /** Messages that wait for room in the connection; their owner sends them when `drained` is called. */
  readonly #socket: Socket;
  readonly #splitter = new FrameSplitter(2 ** 24);
  #frames: Buffer[] = [];
  onAck: (ack: Ack, atMs: number) => void = () => undefined;
  onDrained: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => {
      this.onDrained();
      this.flush();
    });
  }

  /** Resolves when the HELLO has been answered. `failed` is called when the connection ends after that. */
  static async open(port: number, failed: (cause: Error) => void): Promise<SpopLink> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    socket.write(encodeHaproxyHello(TYPICAL_HELLO));
    // AGENT-HELLO is small and comes alone: nothing was asked yet.
    await once(socket, 'data');
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('the daemon closed a connection')));
    return new SpopLink(socket);
  }

  /** HAProxy writes no more either while this is true. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** To be followed by `flush`, once for all frames of a moment. */
  send(frame: Buffer): void {
    this.#frames.push(frame);
  }

  flush(): void {
    const [first] = this.#frames;
    if (first === undefined) return;
    this.#socket.write(this.#frames.length === 1 ? first : Buffer.concat(this.#frames));
    this.#frames = [];
  }

  #receive(chunk: Buffer): void {
    const atMs = nowMs();
    this.#splitter.push(chunk);
    for (let frame = this.#splitter.next(); frame !== undefined; frame = this.#splitter.next()) {
      this.onAck(readAck(frame), atMs);
    }
    this.flush();
  }
}
