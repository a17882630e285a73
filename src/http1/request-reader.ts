/**
 * The requests of one HTTP/1 connection: bytes in, events out. No socket, timer or log. Whatever bytes come, in whatever
 * pieces, end in requests or in one refusal, after which nothing more is read. Of a request that is refused, what came is
 * told first: it may have been served all the same.
 *
 * Memory: the head that is under way, up to `maxHeadBytes`, or the trailers, up to as much. Bodies are handed on.
 */
import { type Framing, framingOf } from './body-framing.ts';
import { ChunkedReader } from './chunked-reader.ts';
import { GrowingBuffer } from './growing-buffer.ts';
import { mayBeRequest, parseRequestHead, type RequestHead } from './request-head.ts';

/** Buffers are views, which hold until the next call. */
export type RequestEvent =
  | {
      readonly kind: 'head';
      /** As it came, with or without its end. */
      readonly bytes: Buffer;
      readonly head: RequestHead;
      readonly framing: Framing;
      /** Nothing came after the head, so far. */
      readonly isLast: boolean;
    }
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | {
      readonly kind: 'end';
      /** False: head or body was cut off. */
      readonly complete: boolean;
      /** Field lines after a chunked body. */
      readonly trailers: Buffer;
    }
  /** The connection is of no use any more. The status is what to answer. */
  | { readonly kind: 'refused'; readonly status: 400 | 431; readonly problem: string };

type Stage =
  | { readonly kind: 'head' }
  | { readonly kind: 'length'; remaining: number }
  | { readonly kind: 'chunked'; readonly reader: ChunkedReader }
  | { readonly kind: 'closed' };

const inHead = { kind: 'head' } as const;
const closed = { kind: 'closed' } as const;
const nothing = Buffer.alloc(0);

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const emptyLine = Buffer.from('\n\r\n');
const bareEmptyLine = Buffer.from('\n\n');

export class RequestReader {
  readonly #maxHeadBytes: number;
  readonly #head = new GrowingBuffer();
  #stage: Stage = inHead;
  /** A further request may follow the one under way. */
  #persistent = true;

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** Nothing more is read. */
  get closed(): boolean {
    return this.#stage.kind === 'closed';
  }

  /** A request has begun and not ended. */
  get inRequest(): boolean {
    return this.#stage.kind === 'head' ? this.#head.length > 0 : !this.closed;
  }

  /** Bytes that are kept for the request under way. */
  get bufferedBytes(): number {
    return this.#head.length + (this.#stage.kind === 'chunked' ? this.#stage.reader.bufferedBytes : 0);
  }

  receive(bytes: Buffer): RequestEvent[] {
    const events: RequestEvent[] = [];
    let at = 0;
    while (at < bytes.length && !this.closed) at = this.#step(bytes, at, events);
    return events;
  }

  /** The sender has ended its side. What came of a request is told. */
  end(): RequestEvent[] {
    const events: RequestEvent[] = [];
    const stage = this.#stage;
    this.#stage = closed;
    if (stage.kind === 'head') {
      if (this.#head.length > 0) this.#cutHead(this.#head.take(), events);
    } else if (stage.kind !== 'closed') {
      events.push(endOf(false, stage));
    }
    return events;
  }

  /** @returns where to go on. */
  #step(bytes: Buffer, at: number, events: RequestEvent[]): number {
    switch (this.#stage.kind) {
      case 'head':
        return this.#readHead(bytes, at, events);
      case 'length': {
        const stage = this.#stage;
        const end = Math.min(bytes.length, at + stage.remaining);
        events.push({ kind: 'body', bytes: bytes.subarray(at, end) });
        stage.remaining -= end - at;
        if (stage.remaining === 0) this.#finish(events, nothing);
        return end;
      }
      case 'chunked':
        return this.#readChunked(this.#stage.reader, bytes, at, events);
      case 'closed':
        return bytes.length;
    }
  }

  #readChunked(reader: ChunkedReader, bytes: Buffer, at: number, events: RequestEvent[]): number {
    const step = reader.step(bytes, at);
    if (step.kind === 'data') events.push({ kind: 'body', bytes: step.bytes });
    else if (step.kind === 'end') this.#finish(events, reader.trailers);
    else if (step.kind === 'bad') {
      // What is no chunk may be the body all the same, to whoever reads it another way.
      const rest = Buffer.concat([step.bytes, bytes.subarray(reader.position)]);
      if (rest.length > 0) events.push({ kind: 'body', bytes: rest });
      events.push(endOf(false, { kind: 'chunked', reader }));
      this.#refuse(events, 400, step.problem);
    }
    return reader.position;
  }

  #readHead(bytes: Buffer, start: number, events: RequestEvent[]): number {
    const at = this.#head.length === 0 ? afterEmptyLines(bytes, start) : start;
    if (at === bytes.length) return at;
    const kept = this.#head.length;
    if (kept === 0) {
      const end = endOfHead(bytes, at);
      if (end !== -1) return this.#onHead(bytes.subarray(at, end), bytes, end, events);
    }
    this.#head.append(bytes.subarray(at, Math.min(bytes.length, at + this.#maxHeadBytes + 1)));
    const end = endOfHead(this.#head.view(), Math.max(0, kept - 2));
    if (end !== -1) {
      const head = this.#head.take().subarray(0, end);
      return this.#onHead(head, bytes, at + end - kept, events);
    }
    if (this.#head.length > this.#maxHeadBytes) {
      this.#cutHead(this.#head.take().subarray(0, this.#maxHeadBytes), events);
      this.#refuse(events, 431, `a head above ${this.#maxHeadBytes} bytes`);
    }
    return bytes.length;
  }

  /** @param next where it ends in `bytes`. @returns where to go on. */
  #onHead(head: Buffer, bytes: Buffer, next: number, events: RequestEvent[]): number {
    if (head.length > this.#maxHeadBytes) {
      this.#cutHead(head.subarray(0, this.#maxHeadBytes), events);
      this.#refuse(events, 431, `a head above ${this.#maxHeadBytes} bytes`);
      return bytes.length;
    }
    if (!mayBeRequest(head)) {
      this.#refuse(events, 400, 'no request line');
      return bytes.length;
    }
    const { body } = this.#tellHead(head, events, next === bytes.length);
    switch (body.kind) {
      case 'none':
        this.#finish(events, nothing);
        break;
      case 'length':
        this.#stage = { kind: 'length', remaining: body.bytes };
        break;
      case 'chunked':
        this.#stage = { kind: 'chunked', reader: new ChunkedReader(this.#maxHeadBytes) };
        break;
      case 'unknown':
        if (next < bytes.length) events.push({ kind: 'body', bytes: bytes.subarray(next) });
        events.push(endOf(false));
        this.#refuse(events, 400, body.problem);
        return bytes.length;
    }
    return next;
  }

  #tellHead(bytes: Buffer, events: RequestEvent[], isLast: boolean): Framing {
    const head = parseRequestHead(bytes);
    const framing = framingOf(head);
    this.#persistent = framing.persistent;
    events.push({ kind: 'head', bytes, head, framing, isLast });
    return framing;
  }

  /** A head whose end never came. */
  #cutHead(bytes: Buffer, events: RequestEvent[]): void {
    if (!mayBeRequest(bytes)) return;
    this.#tellHead(bytes, events, true);
    events.push(endOf(false));
  }

  #finish(events: RequestEvent[], trailers: Buffer): void {
    events.push({ kind: 'end', complete: true, trailers });
    this.#stage = this.#persistent ? inHead : closed;
  }

  #refuse(events: RequestEvent[], status: 400 | 431, problem: string): void {
    this.#stage = closed;
    events.push({ kind: 'refused', status, problem });
  }
}

function endOf(complete: boolean, stage?: Stage): RequestEvent {
  return { kind: 'end', complete, trailers: stage?.kind === 'chunked' ? stage.reader.trailers : nothing };
}

/** RFC 9112, 2.2: empty lines before a request are passed over. */
function afterEmptyLines(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && (bytes[at] === lineFeed || bytes[at] === carriageReturn)) at += 1;
  return at;
}

/** Where the first empty line from `start` on ends; -1 when there is none. */
function endOfHead(bytes: Buffer, start: number): number {
  const usual = bytes.indexOf(emptyLine, start);
  const within = usual === -1 ? bytes : bytes.subarray(0, usual + 1);
  const bare = within.indexOf(bareEmptyLine, start);
  if (bare !== -1) return bare + bareEmptyLine.length;
  return usual === -1 ? -1 : usual + emptyLine.length;
}
