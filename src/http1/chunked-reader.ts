/**
 * A chunked body (RFC 9112, 7.1), byte by byte if it comes so. Tolerant of bare line feeds, of blanks around sizes and
 * of whatever extensions say. Holds no body: a line of a size and the trailers are all it keeps.
 */
import { GrowingBuffer } from './growing-buffer.ts';

/** What the next bytes are: `wait` for more of them; `data` of the body; the `end` of it; or `bad`, no chunk. */
export type ChunkedStep =
  | { readonly kind: 'wait' }
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end' }
  /** `bytes`: what was no chunk. */
  | { readonly kind: 'bad'; readonly problem: string; readonly bytes: Buffer };

/** A size with its extensions; Node has 16 KiB too. */
const maxSizeLineBytes = 16 * 1024;

const lineFeed = 0x0a;
const wait = { kind: 'wait' } as const;

export class ChunkedReader {
  readonly #maxTrailerBytes: number;
  readonly #line = new GrowingBuffer();
  readonly #trailers = new GrowingBuffer();
  #stage: 'size' | 'data' | 'after-data' | 'trailers' = 'size';
  /** Of the chunk under way. */
  #remaining = 0;
  #position = 0;

  constructor(maxTrailerBytes: number) {
    this.#maxTrailerBytes = maxTrailerBytes;
  }

  /** Where the last step has ended, in the bytes that it was given. */
  get position(): number {
    return this.#position;
  }

  /** Field lines after the last chunk, complete after `end`. */
  get trailers(): Buffer {
    return this.#trailers.view();
  }

  get bufferedBytes(): number {
    return this.#line.length + this.#trailers.length;
  }

  /** Goes on at `start`. To be called until it waits, ends or finds no chunk; `data` is a view of `bytes`. */
  step(bytes: Buffer, start: number): ChunkedStep {
    this.#position = start;
    for (;;) {
      if (this.#stage === 'data') {
        if (this.#position === bytes.length) return wait;
        return this.#data(bytes);
      }
      const limit = this.#stage === 'trailers' ? this.#maxTrailerBytes : maxSizeLineBytes;
      const line = this.#readLine(bytes, limit);
      if (line === 'wait') return wait;
      if (line === 'too-long') return bad(`a line of a chunked body above ${limit} bytes`, this.#line.take());
      const step = this.#onLine(line);
      if (step !== undefined) return step;
    }
  }

  #data(bytes: Buffer): ChunkedStep {
    const end = Math.min(bytes.length, this.#position + this.#remaining);
    const piece = bytes.subarray(this.#position, end);
    this.#remaining -= piece.length;
    this.#position = end;
    if (this.#remaining === 0) this.#stage = 'after-data';
    return { kind: 'data', bytes: piece };
  }

  #onLine(line: Buffer): ChunkedStep | undefined {
    const text = withoutEnd(line);
    switch (this.#stage) {
      case 'trailers':
        if (text === '') return { kind: 'end' };
        if (this.#trailers.length + line.length > this.#maxTrailerBytes) {
          return bad(`trailers above ${this.#maxTrailerBytes} bytes`, line);
        }
        this.#trailers.append(line);
        return undefined;
      case 'after-data':
        if (text !== '') return bad('a chunk longer than it says', line);
        this.#stage = 'size';
        return undefined;
      default:
        return this.#onSize(text, line);
    }
  }

  #onSize(text: string, line: Buffer): ChunkedStep | undefined {
    const digits = /^[ \t]*([\da-fA-F]+)[ \t]*(?:;.*)?$/s.exec(text)?.[1];
    const size = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    if (!Number.isSafeInteger(size)) return bad('a chunk without a size', line);
    this.#remaining = size;
    this.#stage = size === 0 ? 'trailers' : 'data';
    return undefined;
  }

  /** The next line with its end. What of it came is kept when its end has not come. */
  #readLine(bytes: Buffer, limit: number): Buffer | 'wait' | 'too-long' {
    const start = this.#position;
    const found = bytes.indexOf(lineFeed, start);
    const end = found === -1 ? bytes.length : found + 1;
    this.#position = end;
    const tooLong = this.#line.length + end - start > limit;
    if (!tooLong && found !== -1 && this.#line.length === 0) return bytes.subarray(start, end);
    this.#line.append(bytes.subarray(start, end));
    if (tooLong) return 'too-long';
    return found === -1 ? 'wait' : this.#line.take();
  }
}

function bad(problem: string, bytes: Buffer): ChunkedStep {
  return { kind: 'bad', problem, bytes };
}

function withoutEnd(line: Buffer): string {
  return line.toString('latin1').replace(/\r?\n$/, '');
}
