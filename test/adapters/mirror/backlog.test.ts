// What waits for its analysis, and what goes unseen.
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ArrivingMemory, type Holder } from '../../../src/adapters/mirror/arriving-memory.ts';
import { Backlog } from '../../../src/adapters/mirror/backlog.ts';
import { CopyWriter, readCopy } from '../../../src/adapters/mirror/copy.ts';
import { Dispatcher } from '../../../src/workers/dispatcher.ts';
import { closeReceivers, HandEngine, until } from './receiver.ts';

afterEach(closeReceivers);

function backlogOf(changes: { maxBytes?: number; maxAgeMs?: number } = {}) {
  const engine = new HandEngine();
  const unseen: string[] = [];
  const options = { maxBytes: 1000, maxAgeMs: 60_000, ...changes };
  const backlog = new Backlog(new Dispatcher(engine, 0), options, {
    unseen: (reason) => unseen.push(reason),
  });
  const texts = (): string[] => engine.jobs.map(({ payload }) => payload.toString());
  return { engine, backlog, unseen, texts };
}

describe('the backlog', () => {
  it('gives copies to engines in the order in which they came', async () => {
    const { engine, backlog, texts } = backlogOf();
    for (const name of ['a', 'b', 'c']) backlog.add(Buffer.from(name), false);
    expect(engine.jobs).toEqual([]);
    await backlog.emptied();
    expect([texts(), backlog.bytes, backlog.messages]).toEqual([['a', 'b', 'c'], 0, 0]);
  });

  it('is not empty while something is under analysis', async () => {
    const { engine, backlog } = backlogOf();
    engine.holds = true;
    let empty = false;
    backlog.add(Buffer.from('a'), false);
    void backlog.emptied().then(() => {
      empty = true;
    });
    await until(() => engine.jobs.length === 1);
    expect(empty).toBe(false);
    engine.work();
    await until(() => empty);
  });

  it('keeps copies while engines have enough to do', async () => {
    const { engine, backlog, texts } = backlogOf();
    engine.waitMs = 1000;
    backlog.add(Buffer.from('a'), false);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([texts(), backlog.messages]).toEqual([[], 1]);
    engine.waitMs = 0;
    await backlog.emptied();
    expect(texts()).toEqual(['a']);
  });

  it('lets the oldest go when it is full', async () => {
    const { engine, backlog, unseen, texts } = backlogOf({ maxBytes: 10 });
    engine.waitMs = 1000;
    for (const name of ['aaaa', 'bbbb', 'cccc', 'dddd']) backlog.add(Buffer.from(name), false);
    expect([unseen, backlog.bytes]).toEqual([['backlog-full', 'backlog-full'], 8]);
    engine.waitMs = 0;
    await backlog.emptied();
    expect(texts()).toEqual(['cccc', 'dddd']);
  });

  it('lets go what is too old', async () => {
    const { engine, backlog, unseen } = backlogOf({ maxAgeMs: 30 });
    engine.waitMs = 1000;
    backlog.add(Buffer.from('a'), false);
    await backlog.emptied();
    expect([unseen, engine.jobs]).toEqual([['too-old'], []]);
  });

  it('says when an engine died with a copy', async () => {
    const { engine, backlog, unseen } = backlogOf();
    engine.holds = true;
    backlog.add(Buffer.from('a'), false);
    await until(() => engine.jobs.length === 1);
    engine.work('lost');
    await backlog.emptied();
    expect(unseen).toEqual(['engine-lost']);
  });
});

describe('the memory for bodies that are arriving', () => {
  it('never holds more than it may, and cuts the largest first', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 400 })), { maxLength: 60 }),
        (steps) => {
          const memory = new ArrivingMemory(1000);
          const kept = new Map<number, number>();
          const holderOf = (id: number): Holder => ({
            get keptBytes() {
              return kept.get(id) ?? 0;
            },
            cut() {
              expect(kept.get(id)).toBe(Math.max(...kept.values()));
              memory.gave(this, kept.get(id) ?? 0);
              kept.delete(id);
            },
          });
          const holders = Array.from({ length: 6 }, (_, id) => holderOf(id));
          for (const [id, bytes] of steps) {
            kept.set(id, (kept.get(id) ?? 0) + bytes);
            memory.took(holders[id] as Holder, bytes);
            expect(memory.usedBytes).toBeLessThanOrEqual(1000);
            expect(memory.usedBytes).toBe([...kept.values()].reduce((sum, one) => sum + one, 0));
          }
        },
      ),
    );
  });
});

describe('the bytes of a copy', () => {
  it('are read as they were written', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        fc.record({
          peerAddress: fc.option(fc.constantFrom('10.0.0.1', '2001:db8::1'), { nil: undefined }),
          peerPort: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
          listener: fc.nat(65_535),
          tls: fc.boolean(),
        }),
        fc.constantFrom('http1' as const, 'http2' as const, 'http2-without-authority' as const),
        bytes,
        fc.array(bytes, { maxLength: 5 }),
        bytes,
        fc.option(fc.nat(5000), { nil: undefined }),
        fc.boolean(),
        (origin, wire, head, pieces, trailers, bodyBytes, whole) => {
          const writer = new CopyWriter(origin, { head, wire, bodyBytes }, true);
          for (const piece of pieces) writer.addBody(piece);
          const body = Buffer.concat(pieces);
          const copy = readCopy(writer.finish(body.length, whole, trailers));
          const bodySize = whole ? body.length : Math.max(body.length, bodyBytes ?? 0);
          expect(copy).toEqual({ ...origin, wire, head, body, trailers, bodySize, whole });
        },
      ),
    );
  });
});
