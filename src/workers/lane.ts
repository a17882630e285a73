/*
 * One direction between two threads: a ring (ring.ts), and beside it a port for what would take up too much of the
 * ring. Large bytes are moved, not shared: rings stay small however large a message may be. Their record goes through the
 * ring all the same, without bytes, so that everything arrives in the order in which it was written.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { RingReader, type RingRecord, RingWriter } from './ring.ts';

/** Bytes that go through the ring. */
export const largestInRing = 128 * 1024;

/** Of a tag: its bytes are on the port. */
const besideFlag = 0x8000_0000;

export class LaneWriter {
  readonly #ring: RingWriter;
  readonly #port: MessagePort;
  readonly #largeLimitBytes: number;

  /**
   * @param largeLimitBytes of large bytes that were written and not taken; but one is always accepted. As the ring
   *   bounds the small ones.
   */
  constructor(memory: SharedArrayBuffer, port: MessagePort, largeLimitBytes: number) {
    this.#ring = new RingWriter(memory);
    this.#port = port;
    this.#largeLimitBytes = largeLimitBytes;
  }

  /** False, without effect, when there is no room. The bytes are copied. */
  write(jobId: number, tag: number, value: number, timeMs: number, bytes: Uint8Array): boolean {
    if (bytes.length <= largestInRing) return this.#ring.write(jobId, tag, value, timeMs, bytes);
    const besideBytes = this.#ring.besideBytes;
    if (besideBytes > 0 && besideBytes + bytes.length > this.#largeLimitBytes) return false;
    if (!this.#ring.hasRoom(0)) return false;
    const { buffer } = new Uint8Array(bytes);
    this.#port.postMessage(buffer, [buffer]);
    this.#ring.addBeside(bytes.length);
    return this.#ring.write(jobId, (tag | besideFlag) >>> 0, value, timeMs, none);
  }

  /** See RingWriter. */
  needsWakeUp(): boolean {
    return this.#ring.needsWakeUp();
  }
}

export class LaneReader {
  readonly #ring: RingReader;
  readonly #port: MessagePort;

  constructor(memory: SharedArrayBuffer, port: MessagePort) {
    this.#ring = new RingReader(memory);
    this.#port = port;
  }

  /** See RingReader, as for all of these. */
  get record(): RingRecord {
    return this.#ring.record;
  }

  /** Bytes written and not read yet, large ones included. */
  get usedBytes(): number {
    return this.#ring.usedBytes + this.#ring.besideBytes;
  }

  next(): boolean {
    const { record } = this.#ring;
    while (this.#ring.next()) {
      if ((record.tag & besideFlag) === 0) return true;
      // Posted before the record was written, so they are there, unless the other thread ended meanwhile.
      const bytes: unknown = receiveMessageOnPort(this.#port)?.message;
      if (bytes instanceof ArrayBuffer) {
        record.tag &= ~besideFlag;
        record.bytes = Buffer.from(bytes);
        this.#ring.addBeside(-bytes.byteLength);
        return true;
      }
      this.#ring.release();
    }
    return false;
  }

  release(): void {
    this.#ring.release();
  }

  sleep(): boolean {
    return this.#ring.sleep();
  }
}

const none = new Uint8Array(0);
