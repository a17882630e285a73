/*
 * A ring of byte records in shared memory, for one writing and one reading thread. Nothing is cloned and nobody waits:
 * what does not fit is refused, so the ring is also the bound of the queue.
 *
 *   words   0 head     bytes ever written, modulo 2^32
 *           1 tail     bytes ever read, modulo 2^32
 *           2 asleep   1: the reader has gone to sleep and wants the wake-up
 *           3 beside   bytes written and not read that go another way: see lane.ts
 *
 *   record  length | jobId | tag | value | timeMs (8 bytes) | bytes, padded to 8
 *
 * A record never wraps: one that would is preceded by a filler up to the end of the ring.
 */

const headWord = 0;
const tailWord = 1;
const asleepWord = 2;
const besideWord = 3;
const controlBytes = 16;
const recordHeadBytes = 24;
const fillerTicket = 0xffff_ffff;

/** What travels: what the fields mean is the business of the two ends. */
export interface RingRecord {
  jobId: number;
  tag: number;
  /** An unsigned integer of 32 bits. */
  value: number;
  timeMs: number;
  /** A view into the ring, valid until `release`. */
  bytes: Buffer;
}

/** @param capacityBytes a power of two. */
export function createRingMemory(capacityBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(controlBytes + capacityBytes);
}

/** What a record of so many bytes takes. */
function sizeOf(bytes: number): number {
  return (recordHeadBytes + bytes + 7) & ~7;
}

class RingEnd {
  protected readonly control: Int32Array;
  protected readonly bytes: Buffer;
  protected readonly view: DataView;
  protected readonly capacity: number;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, controlBytes / 4);
    this.capacity = memory.byteLength - controlBytes;
    this.bytes = Buffer.from(memory, controlBytes, this.capacity);
    this.view = new DataView(memory, controlBytes, this.capacity);
  }

  protected get head(): number {
    return Atomics.load(this.control, headWord) >>> 0;
  }

  protected get tail(): number {
    return Atomics.load(this.control, tailWord) >>> 0;
  }

  /** Bytes written and not read yet. */
  get usedBytes(): number {
    return (this.head - this.tail) >>> 0;
  }

  get besideBytes(): number {
    return Atomics.load(this.control, besideWord);
  }

  addBeside(bytes: number): void {
    Atomics.add(this.control, besideWord, bytes);
  }
}

export class RingWriter extends RingEnd {
  hasRoom(bytes: number): boolean {
    const size = sizeOf(bytes);
    return this.#fillerFor(size) + size <= this.capacity - this.usedBytes;
  }

  /** False, without effect, when there is no room. */
  write(jobId: number, tag: number, value: number, timeMs: number, bytes: Uint8Array): boolean {
    const size = sizeOf(bytes.length);
    const filler = this.#fillerFor(size);
    if (filler + size > this.capacity - this.usedBytes) return false;
    let head = this.head;
    let start = head % this.capacity;
    if (filler > 0) {
      this.view.setUint32(start, filler, true);
      this.view.setUint32(start + 4, fillerTicket, true);
      head = (head + filler) >>> 0;
      start = 0;
    }
    this.view.setUint32(start, recordHeadBytes + bytes.length, true);
    this.view.setUint32(start + 4, jobId, true);
    this.view.setUint32(start + 8, tag, true);
    this.view.setUint32(start + 12, value, true);
    this.view.setFloat64(start + 16, timeMs, true);
    this.bytes.set(bytes, start + recordHeadBytes);
    Atomics.store(this.control, headWord, (head + size) | 0);
    return true;
  }

  /** Bytes up to the end of the ring, when a record of this size would reach beyond it. */
  #fillerFor(size: number): number {
    const untilEnd = this.capacity - (this.head % this.capacity);
    return untilEnd < size ? untilEnd : 0;
  }

  /** True when the reader sleeps: the caller must ring, once. */
  needsWakeUp(): boolean {
    return Atomics.compareExchange(this.control, asleepWord, 1, 0) === 1;
  }
}

export class RingReader extends RingEnd {
  readonly record: RingRecord = { jobId: 0, tag: 0, value: 0, timeMs: 0, bytes: Buffer.alloc(0) };
  #size = 0;

  /** Fills `record` with the next one. False when there is none. To be followed by `release`. */
  next(): boolean {
    while (this.tail !== this.head) {
      const start = this.tail % this.capacity;
      const length = this.view.getUint32(start, true);
      const jobId = this.view.getUint32(start + 4, true);
      if (jobId === fillerTicket) {
        this.#size = length;
        this.release();
        continue;
      }
      this.record.jobId = jobId;
      this.record.tag = this.view.getUint32(start + 8, true);
      this.record.value = this.view.getUint32(start + 12, true);
      this.record.timeMs = this.view.getFloat64(start + 16, true);
      this.record.bytes = this.bytes.subarray(start + recordHeadBytes, start + length);
      this.#size = (length + 7) & ~7;
      return true;
    }
    return false;
  }

  /** Gives the place of the last record back to the writer. */
  release(): void {
    Atomics.store(this.control, tailWord, (this.tail + this.#size) | 0);
    this.#size = 0;
  }

  /** From now on the writer rings. False when something came meanwhile: stay awake. */
  sleep(): boolean {
    Atomics.store(this.control, asleepWord, 1);
    if (this.tail === this.head) return true;
    // The writer may have taken the flag already: then its wake-up comes, and finds an empty ring.
    return Atomics.compareExchange(this.control, asleepWord, 1, 0) === 0;
  }
}
