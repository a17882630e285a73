import type { Socket } from 'node:net';
import { type RequestEvent, RequestReader } from '../../http1/index.ts';
import { endAfterLastFrame } from '../../net/linger.ts';
import type { Arrival } from './arrival.ts';
import type { Holder } from './arriving-memory.ts';
import type { ConnectionServices, MirrorConnection } from './connection.ts';
import type { CopyOrigin } from './copy.ts';

/** A sender that takes none of its answers is none. */
const mostUnsentBytes = 1024 * 1024;

const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';
const answers = {
  keep: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  /** HTTP/1.0 has to be told. */
  keepOld: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n',
  close: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
} as const;
const refusals = {
  400: 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  431: 'HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
} as const;

/**
 * One connection of a sender that speaks HTTP/1. A request is answered when its body has ended, whatever becomes of its
 * analysis; all answers of one read leave in one write. It is read from until the sender closes it, and never closed
 * while idle: a sender does not repeat a copy.
 */
export class Http1Connection implements MirrorConnection, Holder {
  readonly #socket: Socket;
  readonly #origin: CopyOrigin;
  readonly #services: ConnectionServices;
  readonly #reader: RequestReader;
  #arrival: Arrival | undefined;
  #keepsOld = false;
  #persistent = true;
  #answered = false;
  #output = '';
  #leaving = false;
  #ended = false;
  /** Of heads and trailers, told to the memory. */
  #takenBytes = 0;

  constructor(socket: Socket, origin: CopyOrigin, services: ConnectionServices) {
    this.#socket = socket;
    this.#origin = origin;
    this.#services = services;
    this.#reader = new RequestReader(services.maxHeadBytes);
    socket.setTimeout(services.stallMs, () => this.#silent());
    socket.on('data', (bytes: Buffer) => this.#contained(() => this.receive(bytes)));
    socket.on('end', () => this.#contained(() => this.#conclude()));
    socket.on('close', () => this.#contained(() => this.#conclude()));
    socket.on('error', (cause: Error) => services.observer.socketError(cause));
  }

  get busy(): boolean {
    return this.#reader.inRequest;
  }

  /** For the server, which has read the beginning. */
  receive(bytes: Buffer): void {
    for (const event of this.#reader.receive(bytes)) this.#on(event);
    this.#arrival?.stays();
    this.#account();
    this.#flush();
  }

  get keptBytes(): number {
    return this.#takenBytes;
  }

  /** There is no room for the head: it is analysed as far as it came. */
  cut(): void {
    this.#services.observer.refused(431, 'too much memory for heads that are arriving');
    this.#conclude();
    this.#socket.destroy();
  }

  leave(): void {
    this.#leaving = true;
  }

  endIfIdle(): void {
    if (!this.busy) this.#end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #account(): void {
    const { memory } = this.#services;
    const kept = this.#reader.bufferedBytes;
    if (kept < this.#takenBytes) {
      memory.gave(this, this.#takenBytes);
      this.#takenBytes = 0;
    }
    const more = kept - this.#takenBytes;
    this.#takenBytes = kept;
    if (more > 0) memory.took(this, more);
  }

  #on(event: RequestEvent): void {
    switch (event.kind) {
      case 'head':
        this.#begin(event);
        break;
      case 'body':
        this.#arrival?.body(event.bytes);
        this.#answerEndless();
        break;
      case 'end':
        this.#arrival?.end(event.complete, event.trailers);
        this.#arrival = undefined;
        if (event.complete) this.#answer();
        break;
      case 'refused':
        this.#services.observer.refused(event.status, event.problem);
        if (!this.#answered) this.#output += refusals[event.status];
        break;
    }
  }

  #begin({ bytes, head, framing, isLast }: Extract<RequestEvent, { kind: 'head' }>): void {
    const { body, persistent, old, expectsContinue } = framing;
    this.#answered = false;
    this.#persistent = persistent;
    this.#keepsOld = old;
    this.#arrival = this.#services.begin(this.#origin, {
      head: bytes,
      wire: 'http1',
      method: head.method,
      fields: head.fields,
      bodyBytes: body.kind === 'none' ? 0 : body.kind === 'length' ? body.bytes : undefined,
    });
    if (expectsContinue && isLast) this.#output += goOn;
  }

  /** The answer ends the copy for some senders, which is all the same for what is not kept. */
  #answerEndless(): void {
    if (this.#answered || this.#arrival?.isEndless !== true) return;
    this.#persistent = false;
    this.#answer();
  }

  #answer(): void {
    if (this.#answered) return;
    this.#answered = true;
    if (!this.#persistent || this.#leaving) this.#output += answers.close;
    else this.#output += this.#keepsOld ? answers.keepOld : answers.keep;
  }

  #flush(): void {
    if (this.#output !== '' && !this.#ended && this.#socket.writable) {
      this.#socket.write(this.#output, 'latin1');
    }
    this.#output = '';
    if (this.#socket.writableLength > mostUnsentBytes) this.#socket.destroy();
    else if (this.#isOver) this.#end();
  }

  /** The last answer has said so. */
  get #isOver(): boolean {
    if (this.#reader.closed) return true;
    return this.#answered && !this.busy && (this.#leaving || !this.#persistent);
  }

  /** Our side; what the sender has sent meanwhile is still read. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    endAfterLastFrame(this.#socket);
  }

  /** The sender's side has ended, in the middle of a request or not. */
  #conclude(): void {
    for (const event of this.#reader.end()) this.#on(event);
    this.#account();
    this.#output = '';
  }

  #silent(): void {
    if (!this.busy) return;
    this.#services.observer.stalled();
    this.#socket.destroy();
  }

  #contained(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#services.observer.failed(cause);
      this.#socket.destroy();
    }
  }
}
