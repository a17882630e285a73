/**
 * Cuts a byte stream into frames: each is preceded by its length, four bytes in network order (SPOE.txt
 * 3.2). Bytes go in with `push` as they come; `next` answers with one frame at a time, or undefined when
 * more bytes are needed. However the stream is cut into chunks, the frames are the same, and so is the
 * place at which a bad length is met.
 *
 * An announced length is compared with the limit as soon as its four bytes are there, before anything of
 * the frame is kept. A frame that lies whole in one chunk is handed out as a view of that chunk, without a
 * copy, and is valid as long as the chunk is: a caller that reuses its read buffer must be done with the
 * frames by then. A frame in several chunks is copied, once, into memory of its own that grows with what
 * has arrived, not with what was announced.
 *
 * A frame that is accepted and larger than what is kept passes through: of it only the beginning is handed
 * out, once all of it has come, and `droppedBytes` says how much is missing. The same happens to a frame for
 * which there is no memory any more (frame-memory.ts).
 *
 * Not safe for use after an error: the place of the next frame is lost, and `next` throws the same error
 * again.
 */
import { Buffer } from 'node:buffer';
import { LENGTH_BYTES } from './frame.ts';
import type { FrameKeeper, FrameMemory } from './frame-memory.ts';
import { SpopError } from './spop-error.ts';

const EMPTY = Buffer.alloc(0);
const FIRST_CAPACITY = 1_024;

/** What is kept of a frame that passes through: type, ids, and whatever small arguments stand first in it. */
export const DROPPED_HEAD_BYTES = 1_024;

/** Bytes in, in chunks of any size; frames out, one at a time: `push`, then `next` until it is undefined. */
export class FrameSplitter implements FrameKeeper {
  #keptLimit: number;
  #acceptedLimit: number;
  readonly #memory: FrameMemory | undefined;
  /** What was pushed and not looked at yet: from `#position` on. */
  #chunk: Buffer = EMPTY;
  #position = 0;
  /** Bytes of the length seen so far, and their value. */
  #lengthBytes = 0;
  #length = 0;
  /** What is kept of the frame that came in part, and how much of it has come. */
  #partial: Buffer = EMPTY;
  #partialBytes = 0;
  #arrivedBytes = 0;
  #dropping = false;
  #droppedBytes = 0;
  #error: SpopError | undefined;

  /**
   * @param limit the largest frame accepted, in bytes, without the four of its length
   * @param memory for frames in several chunks; without one, whatever they take
   */
  constructor(limit: number, memory?: FrameMemory) {
    this.#keptLimit = limit;
    this.#acceptedLimit = limit;
    this.#memory = memory;
  }

  /** Changes the limits for frames whose length was not read yet. */
  setLimits(kept: number, accepted = kept): void {
    this.#keptLimit = kept;
    this.#acceptedLimit = accepted;
  }

  /** How many bytes are missing at the end of the frame that `next` gave last. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** Bytes that arrived and were not handed out: 0 exactly between two frames. */
  get pendingBytes(): number {
    return this.#chunk.length - this.#position + this.#lengthBytes + this.#arrivedBytes;
  }

  /** Adds bytes. Meant to be called when `next` has returned undefined; otherwise what is left is copied. */
  push(chunk: Buffer): void {
    const left = this.#chunk.length - this.#position;
    this.#chunk = left === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#position), chunk]);
    this.#position = 0;
  }

  /**
   * The next frame, without its length, or undefined until more bytes come.
   * @throws SpopError SPOP_FRAME_TOO_BIG or SPOP_FRAME_EMPTY
   */
  next(): Buffer | undefined {
    if (this.#error !== undefined) throw this.#error;
    if (!this.#readLength()) return this.#release();
    const missing = this.#length - this.#arrivedBytes;
    const available = this.#chunk.length - this.#position;
    if (available >= missing && this.#arrivedBytes === 0 && !this.#dropping)
      return this.#finish(this.#take(missing));
    this.#keep(Math.min(available, missing));
    if (available < missing) return this.#release();
    return this.#finish(this.#partial.subarray(0, this.#partialBytes));
  }

  /** Of the frame that came in part, only the beginning stays. */
  drop(): void {
    this.#dropping = true;
    this.#partialBytes = Math.min(this.#partialBytes, DROPPED_HEAD_BYTES);
    this.#partial = Buffer.from(this.#partial.subarray(0, this.#partialBytes));
    this.#memory?.release(this);
  }

  /** Nothing more will come: what is kept of an unfinished frame is let go of. */
  end(): void {
    this.#release();
    this.#partial = EMPTY;
    this.#memory?.release(this);
  }

  /** Reads what is missing of the length; true when it is known and acceptable. */
  #readLength(): boolean {
    while (this.#lengthBytes < LENGTH_BYTES) {
      const byte = this.#chunk[this.#position];
      if (byte === undefined) return false;
      this.#length = this.#length * 256 + byte;
      this.#position += 1;
      this.#lengthBytes += 1;
      if (this.#lengthBytes === LENGTH_BYTES) this.#checkLength();
    }
    return true;
  }

  #checkLength(): void {
    if (this.#length === 0) {
      this.#error = new SpopError(
        'SPOP_FRAME_EMPTY',
        'a frame announces 0 bytes; it must have a type at least',
      );
    } else if (this.#length > this.#acceptedLimit) {
      this.#error = new SpopError(
        'SPOP_FRAME_TOO_BIG',
        `a frame announces ${this.#length} bytes, the limit is ${this.#acceptedLimit}`,
      );
    }
    this.#dropping = this.#length > this.#keptLimit;
    if (this.#error !== undefined) {
      this.#chunk = EMPTY;
      this.#position = 0;
      throw this.#error;
    }
  }

  /** Moves bytes of the chunk into memory of our own, or as many of them as are to be kept. */
  #keep(count: number): void {
    this.#arrivedBytes += count;
    const bytes = this.#take(count);
    if (!this.#dropping) this.#reserve(this.#partialBytes + count);
    const limit = this.#dropping ? Math.min(this.#length, DROPPED_HEAD_BYTES) : this.#length;
    if (this.#dropping && this.#partial.length < limit) this.#grow(limit);
    this.#partialBytes += bytes.copy(this.#partial, this.#partialBytes, 0, limit - this.#partialBytes);
  }

  /** Makes room, as long as there is any; otherwise the frame is dropped. */
  #reserve(wanted: number): void {
    if (wanted <= this.#partial.length) return;
    const capacity = Math.min(this.#length, Math.max(wanted, this.#partial.length * 2, FIRST_CAPACITY));
    this.#memory?.keep(this, capacity);
    if (!this.#dropping) this.#grow(capacity);
  }

  #grow(capacity: number): void {
    const grown = Buffer.allocUnsafe(capacity);
    this.#partial.copy(grown, 0, 0, this.#partialBytes);
    this.#partial = grown;
  }

  #take(count: number): Buffer {
    const start = this.#position;
    this.#position += count;
    return this.#chunk.subarray(start, this.#position);
  }

  #finish(frame: Buffer): Buffer {
    this.#droppedBytes = this.#length - frame.length;
    this.#lengthBytes = 0;
    this.#length = 0;
    if (this.#arrivedBytes > 0) {
      this.#partial = EMPTY;
      this.#partialBytes = 0;
      this.#arrivedBytes = 0;
      this.#dropping = false;
      this.#memory?.release(this);
    }
    return frame;
  }

  /** Lets go of a chunk that was used up, so that an idle connection does not hold its last read. */
  #release(): undefined {
    this.#chunk = EMPTY;
    this.#position = 0;
    return undefined;
  }
}
