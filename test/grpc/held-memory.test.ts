import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldMemory, type Holder } from '../../src/grpc/held-memory.ts';
import { TokenBucket } from '../../src/grpc/token-bucket.ts';

class TestHolder implements Holder {
  readonly name: string;
  readonly #memory: HeldMemory;
  readonly #told: string[];

  constructor(name: string, memory: HeldMemory, told: string[]) {
    this.name = name;
    this.#memory = memory;
    this.#told = told;
  }

  letGo(): void {
    this.#told.push(this.name);
    this.#memory.release(this);
  }
}

function holders(limit: number) {
  const memory = new HeldMemory(limit);
  const told: string[] = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new TestHolder(name, memory, told)) as [
    TestHolder,
    TestHolder,
    TestHolder,
  ];
  return { memory, told, a, b, c };
}

describe('the memory of messages in part', () => {
  it('is taken from who has held some for longest, however much it is', () => {
    const { memory, told, a, b, c } = holders(100);
    memory.hold(a, 10);
    memory.hold(b, 80);
    memory.hold(a, 15);
    memory.hold(c, 10);
    expect({ told, held: memory.heldBytes }).toEqual({ told: ['a'], held: 90 });
  });

  it('begins anew for who has let go meanwhile', () => {
    const { memory, told, a, b } = holders(100);
    memory.hold(a, 50);
    memory.hold(b, 50);
    memory.release(a);
    memory.hold(a, 60);
    expect(told).toEqual(['b']);
  });

  it('is taken from its asker when nobody else is left', () => {
    const { memory, told, a } = holders(100);
    memory.hold(a, 101);
    expect({ told, held: memory.heldBytes }).toEqual({ told: ['a'], held: 0 });
  });

  it('is never more than the limit, and never less than nothing', () => {
    const step = fc.tuple(fc.nat({ max: 2 }), fc.option(fc.nat({ max: 150 })));
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const { memory, a, b, c } = holders(100);
        const all = [a, b, c];
        for (const [index, bytes] of steps) {
          const holder = all[index];
          if (holder === undefined) continue;
          if (bytes === null) memory.release(holder);
          else memory.hold(holder, bytes);
          expect(memory.heldBytes).toBeGreaterThanOrEqual(0);
          expect(memory.heldBytes).toBeLessThanOrEqual(100);
        }
        for (const holder of all) memory.release(holder);
        expect(memory.heldBytes).toBe(0);
      }),
    );
  });
});

describe('a bucket of tokens', () => {
  it('has its size at once, and its rate as time passes', () => {
    const bucket = new TokenBucket(3, 10);
    expect([1, 1, 1, 1].map((atMs) => bucket.take(atMs))).toEqual([true, true, true, false]);
    expect(bucket.used(101)).toBe(3);
    expect(bucket.take(201)).toBe(true);
    expect(bucket.used(1_000_000)).toBe(0);
  });
});
