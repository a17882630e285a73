import type { BodyChunk } from '../http.ts';

/**
 * Collects the chunks of one body until it ends or has as many bytes as are inspected. They are inspected as a whole, so that
 * an attack split between two chunks is found. Holds at most `maxBytes`.
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

  /** The body was returned: further chunks are not inspected. */
  get done(): boolean {
    return this.#done;
  }

  /** Its last chunk has arrived. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Chunks have arrived that were not returned yet. */
  get pending(): boolean {
    return !this.#done && this.#receivedBytes > 0;
  }

  /**
   * Takes one chunk; its bytes are copied unless they are all there is.
   * @returns the part of the body to inspect, once; undefined before and after that.
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
    // A declared size above the actual one marks the body as incomplete.
    const leastSize = whole ? this.#receivedBytes : this.#receivedBytes + 1;
    return { bytes, declaredSize: Math.max(this.#declaredSize ?? 0, leastSize) };
  }
}
