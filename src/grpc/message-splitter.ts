/**
 * Cuts the DATA of a stream into messages: each is preceded by a flag, 0 or 1 for compressed, and by its length, four
 * bytes in network order (gRPC over HTTP2, "Length-Prefixed-Message"). Bytes go in with `push` as they come; `next`
 * answers with one message at a time, or undefined when more bytes are needed. Where DATA frames begin and end means
 * nothing: the messages are the same, and so is the place at which a bad prefix is met.
 *
 * The prefix is judged as soon as its five bytes are there, before anything of the message is kept. A message that lies
 * whole in one chunk is handed out as a view of that chunk. One in several chunks is copied, once, into memory of its
 * own that grows with what has arrived, not with what was announced.
 *
 * Not safe for use after an error: the place of the next message is lost, and `next` throws the same error again.
 */
import { Buffer } from 'node:buffer';

const empty = Buffer.alloc(0);
const firstCapacity = 1_024;

export const prefixBytes = 5;

/** A prefix that cannot be accepted. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
  readonly trouble: 'too-large' | 'compressed' | 'malformed';

  constructor(trouble: MessageError['trouble'], message: string) {
    super(message);
    this.trouble = trouble;
  }
}

export class MessageSplitter {
  readonly #maxMessageBytes: number;
  /** What was pushed and not looked at yet: from `#position` on. */
  #chunk: Buffer = empty;
  #position = 0;
  /** Bytes of the prefix seen so far, and their values. */
  #prefixBytes = 0;
  #flag = 0;
  #length = 0;
  /** What is kept of the message that came in part. */
  #partial: Buffer = empty;
  #partialBytes = 0;
  #error: MessageError | undefined;

  /** @param maxMessageBytes the largest message accepted, without its prefix */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Memory taken for a message that came in part, and for bytes that `next` was not asked for. */
  get heldBytes(): number {
    return this.#partial.length + this.#chunk.length - this.#position;
  }

  /** Nothing was begun that is not finished, and nothing waits. */
  get isEmpty(): boolean {
    return this.#prefixBytes === 0 && this.#position === this.#chunk.length;
  }

  /** Adds bytes. Meant to be called when `next` has returned undefined; otherwise what is left is copied. */
  push(chunk: Buffer): void {
    const left = this.#chunk.length - this.#position;
    this.#chunk = left === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#position), chunk]);
    this.#position = 0;
  }

  /**
   * The next message, without its prefix, or undefined until more bytes come.
   * @throws MessageError
   */
  next(): Buffer | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (!this.#readPrefix()) return this.#release();
    const missing = this.#length - this.#partialBytes;
    const available = this.#chunk.length - this.#position;
    if (available >= missing && this.#partialBytes === 0) return this.#finish(this.#take(missing));
    this.#keep(this.#take(Math.min(available, missing)));
    if (available < missing) return this.#release();
    return this.#finish(this.#partial.subarray(0, this.#length));
  }

  /** Nothing more is wanted: all memory is let go of. */
  clear(): void {
    this.#chunk = empty;
    this.#position = 0;
    this.#prefixBytes = 0;
    this.#partial = empty;
    this.#partialBytes = 0;
  }

  /** Reads what is missing of the prefix; true when it is known and acceptable. */
  #readPrefix(): boolean {
    if (this.#prefixBytes === prefixBytes) return true;
    if (this.#prefixBytes === 0 && this.#chunk.length - this.#position >= prefixBytes) {
      this.#flag = this.#chunk[this.#position] ?? 0;
      this.#length = this.#chunk.readUInt32BE(this.#position + 1);
      this.#position += prefixBytes;
      this.#prefixBytes = prefixBytes;
    } else if (!this.#readPrefixBytes()) return false;
    this.#checkPrefix();
    return true;
  }

  #readPrefixBytes(): boolean {
    while (this.#prefixBytes < prefixBytes) {
      const byte = this.#chunk[this.#position];
      if (byte === undefined) return false;
      if (this.#prefixBytes === 0) {
        this.#flag = byte;
        this.#length = 0;
      } else this.#length = this.#length * 256 + byte;
      this.#position += 1;
      this.#prefixBytes += 1;
    }
    return true;
  }

  #checkPrefix(): void {
    if (this.#flag === 0 && this.#length <= this.#maxMessageBytes) return;
    if (this.#flag > 1) {
      this.#error = new MessageError('malformed', `the flag of a message is ${this.#flag}, neither 0 nor 1`);
    } else if (this.#flag === 1) {
      this.#error = new MessageError(
        'compressed',
        'a message is compressed, and no grpc-encoding is supported',
      );
    } else {
      this.#error = new MessageError(
        'too-large',
        `a message announces ${this.#length} bytes, the limit is ${this.#maxMessageBytes}`,
      );
    }
    this.clear();
    throw this.#error;
  }

  /** Moves bytes of the chunk into memory of our own. */
  #keep(bytes: Buffer): void {
    const wanted = this.#partialBytes + bytes.length;
    if (wanted > this.#partial.length) {
      const capacity = Math.min(this.#length, Math.max(wanted, this.#partial.length * 2, firstCapacity));
      const grown = Buffer.allocUnsafe(capacity);
      this.#partial.copy(grown, 0, 0, this.#partialBytes);
      this.#partial = grown;
    }
    bytes.copy(this.#partial, this.#partialBytes);
    this.#partialBytes = wanted;
  }

  #take(count: number): Buffer {
    const start = this.#position;
    this.#position += count;
    return this.#chunk.subarray(start, this.#position);
  }

  #finish(message: Buffer): Buffer {
    this.#prefixBytes = 0;
    this.#partial = empty;
    this.#partialBytes = 0;
    return message;
  }

  /** Lets go of a chunk that was used up, so that an idle stream does not hold its last read. */
  #release(): undefined {
    this.#chunk = empty;
    this.#position = 0;
    return undefined;
  }
}

/** A message with its prefix, in memory of its own. */
export function withPrefix(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixBytes);
  return framed;
}
