import type { BodyChunk } from '../http.ts';

/**
 * The chunks of one body, until it ends or is as long as the engine looks at: what is looked at is looked at as a whole,
 * so that an attack cut in two is one attack. Holds at most `maxBytes`.
 */
export class BodyCollector {
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #receivedBytes = 0;
  #declaredSize: number | undefined;
  #done = false;
  #ended = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The body was handed out: further chunks are not looked at. */
  get done(): boolean {
    return this.#done;
  }

  /** Its last chunk came. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Something came that was not handed out yet. */
  get pending(): boolean {
    return !this.#done && this.#receivedBytes > 0;
  }

  /**
   * Takes one chunk; its bytes are copied unless they are all there is.
   * @returns the body as far as it is looked at, once; undefined while more is waited for, and afterwards.
   */
  push(chunk: BodyChunk): BodyChunk | undefined {
    const last = chunk.endOfStream !== false;
    if (last) this.#ended = true;
    if (this.#done) return undefined;
    if (last && this.#receivedBytes === 0) {
      this.#done = true;
      return chunk;
    }
    this.#declaredSize = chunk.declaredSize ?? this.#declaredSize;
    this.#receivedBytes += chunk.bytes.length;
    const room = this.#maxBytes - this.#bytes;
    if (room > 0 && chunk.bytes.length > 0) {
      const kept = Buffer.from(chunk.bytes.subarray(0, room));
      this.#chunks.push(kept);
      this.#bytes += kept.length;
    }
    return last || this.#bytes >= this.#maxBytes ? this.take(last) : undefined;
  }

  /** What came so far. @param whole whether that is all of the body. */
  take(whole: boolean): BodyChunk {
    this.#done = true;
    const bytes = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks.length = 0;
    // One byte more than there is says that there is more.
    const leastSize = whole ? this.#receivedBytes : this.#receivedBytes + 1;
    return { bytes, declaredSize: Math.max(this.#declaredSize ?? 0, leastSize) };
  }
}
