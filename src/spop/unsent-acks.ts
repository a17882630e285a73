/** Where ACKs stand in what has not been sent yet, by the ids of their NOTIFY, so that one can be taken back. */
import type { ByteWriter } from './byte-writer.ts';

interface Place {
  start: number;
  end: number;
}

export class UnsentAcks {
  readonly #output: ByteWriter;
  readonly #places = new Map<string, Place>();

  constructor(output: ByteWriter) {
    this.#output = output;
  }

  /** An ACK was written: from `start` to the end of the output. */
  written(key: string, start: number): void {
    this.#places.set(key, { start, end: this.#output.length });
  }

  /** Everything was sent. */
  sent(): void {
    this.#places.clear();
  }

  /** No effect when there is none. */
  takeBack(key: string): void {
    const taken = this.#places.get(key);
    if (taken === undefined) return;
    this.#places.delete(key);
    this.#output.cut(taken.start, taken.end);
    const size = taken.end - taken.start;
    for (const later of this.#places.values()) {
      if (later.start < taken.end) continue;
      later.start -= size;
      later.end -= size;
    }
  }
}
