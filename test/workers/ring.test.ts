import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRingMemory, RingReader, RingWriter } from '../../src/workers/ring.ts';
import { recordBytes } from '../support/ring-records.ts';

const capacity = 256;
const headBytes = 24;
const paddedTo8 = (size: number): number => Math.ceil(size / 8) * 8;

/** @param startAt what both counters have counted so far. */
function ring(startAt = 0, bytes = capacity): { writer: RingWriter; reader: RingReader } {
  const memory = createRingMemory(bytes);
  new Int32Array(memory, 0, 2).fill(startAt | 0);
  return { writer: new RingWriter(memory), reader: new RingReader(memory) };
}

interface Written {
  readonly jobId: number;
  readonly tag: number;
  readonly value: number;
  readonly timeMs: number;
  readonly bytes: string;
}

/** What the ring is, told the slow way: places of records, one after the other, none across the end. */
class Model {
  readonly queue: (Written & { readonly taken: number })[] = [];
  #start: number;
  #used = 0;

  constructor(startAt: number) {
    this.#start = startAt % capacity;
  }

  write(record: Written, bytes: number): boolean {
    const size = paddedTo8(headBytes + bytes);
    const filler = this.#start + size > capacity ? capacity - this.#start : 0;
    if (this.#used + filler + size > capacity) return false;
    this.#start = (this.#start + filler + size) % capacity;
    this.#used += filler + size;
    this.queue.push({ ...record, taken: filler + size });
    return true;
  }

  read(): Written | undefined {
    const next = this.queue.shift();
    if (next === undefined) return undefined;
    const { taken, ...record } = next;
    this.#used -= taken;
    return record;
  }
}

function readFrom(reader: RingReader): Written | undefined {
  if (!reader.next()) return undefined;
  const { bytes, ...fields } = reader.record;
  const record = { ...fields, bytes: bytes.toString('hex') };
  reader.release();
  return record;
}

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const write = fc.record({
  kind: fc.constant('write' as const),
  jobId: fc.integer({ min: 0, max: 0x7fff_ffff }),
  tag: fc.nat(5),
  value: uint32,
  timeMs: fc.double({ noNaN: true }),
  bytes: fc.uint8Array({ maxLength: capacity }),
});
const read = fc.constant({ kind: 'read' as const });
/** Multiples of 8, as every record is; the last ones let the counters pass 2^32. */
const start = fc.oneof(fc.nat(100), fc.integer({ min: 2 ** 29 - 50, max: 2 ** 29 - 1 })).map((n) => n * 8);

describe('a ring', () => {
  it('is a queue of records that refuses what does not fit, wherever its counters stand', () => {
    fc.assert(
      fc.property(start, fc.array(fc.oneof(write, read), { maxLength: 80 }), (startAt, steps) => {
        const { writer, reader } = ring(startAt);
        const model = new Model(startAt);
        for (const step of steps) {
          if (step.kind === 'read') expect(readFrom(reader)).toEqual(model.read());
          else {
            const { kind: _, bytes, ...fields } = step;
            const record = { ...fields, bytes: Buffer.from(bytes).toString('hex') };
            const accepted = writer.write(fields.jobId, fields.tag, fields.value, fields.timeMs, bytes);
            expect(accepted).toBe(model.write(record, bytes.length));
          }
        }
        while (model.queue.length > 0) expect(readFrom(reader)).toEqual(model.read());
        expect(readFrom(reader)).toBeUndefined();
        expect(reader.usedBytes).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('goes on when its counters pass 2^32', () => {
    const { writer, reader } = ring(2 ** 32 - 40);
    for (let jobId = 0; jobId < 100; jobId += 1) {
      expect(writer.write(jobId, 0, 0, 0, Buffer.alloc(jobId % 60, jobId))).toBe(true);
      expect(readFrom(reader)).toMatchObject({
        jobId,
        bytes: Buffer.alloc(jobId % 60, jobId).toString('hex'),
      });
    }
    expect(reader.usedBytes).toBe(0);
  });

  it('holds exactly what fits, and as much again once that was read', () => {
    const { writer, reader } = ring();
    const fill = (): number => {
      let count = 0;
      while (writer.write(count, 0, 0, 0, Buffer.alloc(8))) count += 1;
      return count;
    };
    expect(fill()).toBe(capacity / 32);
    expect(reader.usedBytes).toBe(capacity);
    expect(readFrom(reader)).toMatchObject({ jobId: 0 });
    expect(fill()).toBe(1);
    while (reader.next()) reader.release();
    expect(fill()).toBe(capacity / 32);
  });

  it('shows a record again until it was released', () => {
    const { writer, reader } = ring();
    writer.write(7, 0, 0, 0, Buffer.from('a'));
    writer.write(8, 0, 0, 0, Buffer.from('b'));
    expect([reader.next(), reader.record.jobId]).toEqual([true, 7]);
    expect([reader.next(), reader.record.jobId]).toEqual([true, 7]);
    reader.release();
    expect([reader.next(), reader.record.jobId]).toEqual([true, 8]);
  });

  it('says beforehand whether there is room', () => {
    const { writer, reader } = ring();
    for (let count = 0; count < 1_000; count += 1) {
      const bytes = (count * 37) % 120;
      expect(writer.hasRoom(bytes)).toBe(writer.write(count, 0, 0, 0, Buffer.alloc(bytes)));
      if (count % 3 > 0 && reader.next()) reader.release();
    }
  });

  describe('with a wake-up', () => {
    it('has the writer ring once for a reader that sleeps, and not for one that is awake', () => {
      const { writer, reader } = ring();
      expect(writer.needsWakeUp()).toBe(false);
      expect(reader.sleep()).toBe(true);
      writer.write(1, 0, 0, 0, Buffer.alloc(0));
      expect([writer.needsWakeUp(), writer.needsWakeUp()]).toEqual([true, false]);
    });

    it('does not let a reader sleep over a record, and then wants no wake-up for it', () => {
      const { writer, reader } = ring();
      writer.write(1, 0, 0, 0, Buffer.alloc(0));
      expect(reader.sleep()).toBe(false);
      expect(writer.needsWakeUp()).toBe(false);
    });
  });

  it('brings 200000 records of any size from one thread to another, in order, and nobody sleeps for ever', async () => {
    const count = 200_000;
    const seed = 20_261_121;
    const memory = createRingMemory(4096);
    const reader = new RingReader(memory);
    const bytesOf = recordBytes(seed);
    let next = 0;
    let wakeUps = 0;
    const entry = new URL('../support/ring-thread.ts', import.meta.url);
    const worker = new Worker(entry, { workerData: { memory, count, seed } });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const readAll = (): void => {
      do {
        while (reader.next()) {
          const { jobId, tag, value, timeMs, bytes } = reader.record;
          const wanted = bytesOf();
          const same = jobId === next && tag === next % 3 && value === wanted.length && timeMs === next / 2;
          if (!same || !bytes.equals(wanted)) reject(new Error(`record ${next} is ${jobId}`));
          reader.release();
          next += 1;
        }
      } while (!reader.sleep());
      if (next === count) resolve();
    };
    worker.on('message', () => {
      wakeUps += 1;
      readAll();
    });
    worker.once('error', reject);
    // Until it came to an end, or to this: with records in the ring and both asleep, there is no further event.
    worker.once('exit', () => setImmediate(() => reject(new Error(`asleep at record ${next}`))));
    readAll();
    await promise;
    await worker.terminate();
    expect(next).toBe(count);
    expect(wakeUps).toBeGreaterThan(0);
  });
});
