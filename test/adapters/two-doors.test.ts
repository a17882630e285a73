// Two doors open in one process: one engine, one set of limits and rules, and nothing that mixes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Exchange } from './door-driver.ts';
import { haproxyDoor, haproxyRow } from './haproxy-driver.ts';
import { Ledger } from './ledger.ts';
import { memoryDoor } from './memory-driver.ts';
import { memoryRow, type OpenDoors, openDoors } from './open-doors.ts';
import { ScriptedProxy } from './scripted-proxy.ts';

const can = { can: true } as const;
const json = { method: 'POST', headers: { 'content-type': 'application/json' } };

describe('two doors in one process', () => {
  let process: OpenDoors;
  let haproxy: ScriptedProxy;
  let memory: ScriptedProxy;

  beforeAll(async () => {
    process = await openDoors([haproxyRow, memoryRow], { APPSEC_EDGE_MAX_TRANSACTIONS: '3' });
    haproxy = new ScriptedProxy(await haproxyDoor(process, 0), process, new Set());
    memory = new ScriptedProxy(
      memoryDoor(process, { door: 'memory', blocks: can, seesResponses: can }),
      process,
      new Set(),
    );
  });
  afterAll(() => haproxy.stop());

  const send = async (proxy: ScriptedProxy, exchange: Exchange): Promise<number> =>
    (await (await proxy.open(exchange)).finish()).status;
  const liveByDoor = (): number[] => [0, 1].map((number) => process.engines.jobs.liveTransactionsOf(number));
  const ledgers = (): Promise<[Ledger, Ledger]> => Promise.all([Ledger.open(haproxy), Ledger.open(memory)]);

  it('get the jobs of their own number, analysed by the same rules', async () => {
    const [ofHaproxy, ofMemory] = await ledgers();
    const sent = [haproxy, memory, memory].map((proxy, index) =>
      send(proxy, { target: `/jobs-${index}?q=attack-block` }),
    );
    expect(await Promise.all(sent)).toEqual([403, 403, 403]);
    await ofHaproxy.expectEnded(1, { blocked: 1 });
    await ofMemory.expectEnded(2, { blocked: 2 });
    const doorsByPath = process.securityEvents().map(({ door, path }) => `${path?.slice(0, 7)} ${door}`);
    expect(doorsByPath.toSorted()).toEqual(['/jobs-0 haproxy', '/jobs-1 memory', '/jobs-2 memory']);
  });

  it('count their metrics apart', async () => {
    const [ofHaproxy, ofMemory] = await ledgers();
    await send(haproxy, { target: '/', ...json, body: '{"a":"attack-report"}' });
    await send(memory, { target: '/' });
    await ofHaproxy.expectEnded(1, { complete: 1 });
    await ofMemory.expectEnded(1, { complete: 1 });
    const counts = async (name: string): Promise<number[]> => [
      await ofHaproxy.count(name),
      await ofMemory.count(name),
    ];
    expect(await counts('bodies_total')).toEqual([1, 0]);
    expect(await counts('detections_total')).toEqual([1, 0]);
    expect(await counts('rule_matches_total')).toEqual([1, 0]);
    expect(await ofMemory.count('messages_total', { message: 'request' })).toBe(1);
    expect(await ofHaproxy.count('messages_total', { message: 'request' })).toBe(0);
  });

  it('share one limit: the oldest transaction makes room, whatever door it came through', async () => {
    const [ofHaproxy, ofMemory] = await ledgers();
    const exchanges = [];
    for (const proxy of [haproxy, memory, memory]) exchanges.push(await proxy.open({ target: '/' }));
    expect(liveByDoor()).toEqual([1, 2]);
    exchanges.push(await memory.open({ target: '/' }));
    expect(liveByDoor()).toEqual([0, 3]);
    expect(await ofHaproxy.count('transactions_total', { reason: 'evicted' })).toBe(1);
    // The response of the one that is gone begins a transaction: it comes last, when there is room.
    for (const exchange of exchanges.toReversed()) await exchange.finish();
    await ofMemory.expectEnded(3, { complete: 3 });
  });

  it('are switched off and on together', async () => {
    const statuses = (): Promise<number[]> =>
      Promise.all([haproxy, memory].map((proxy) => send(proxy, { target: '/?q=attack-block' })));
    await memory.setInspection(false);
    expect(await statuses()).toEqual([200, 200]);
    await memory.setInspection(true);
    expect(await statuses()).toEqual([403, 403]);
  });

  it('drain side by side: what is open in one is judged while the other is gone', async () => {
    const begun = await memory.open({ target: '/', ...json, body: ['["attack-', 'block"]'] });
    const { over } = haproxy.drain();
    await expect.poll(() => send(haproxy, { target: '/?q=attack-block' }), { timeout: 15_000 }).toBe(200);
    expect((await begun.finish()).status).toBe(403);
    expect(await over).toBe(0);
  });
});
