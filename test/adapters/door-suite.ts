/*
 * What every door owes: to the engine, to its client and to the operator (docs/doors.md). One suite for all of them,
 * through a driver that speaks to the door as its clients do. Whoever writes a door writes a driver and nothing else.
 *
 *     describe('the door of …', () => itOwesWhatDoorsOwe(() => startDriver()));
 *
 * The tests of one suite share one process and run in order; the last one drains it.
 */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { Ability, DoorDriver, Exchange, Outcome, SecurityEvent, Step } from './door-driver.ts';
import {
  type HostileExchange,
  hostileByteStrings,
  hostileRequests,
  hostileResponses,
} from './hostile-exchanges.ts';
import { Ledger, patience } from './ledger.ts';
import { bodyLimitBytes, slowBody } from './suite-rules.ts';

/** At once, each of them some tens of milliseconds of work: more than any door can wait for. */
const floodRequests = 150;

const attack = 'attack-block';
const json = (value: unknown): Pick<Exchange, 'method' | 'headers' | 'body'> => ({
  ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
  body: JSON.stringify(value),
});

/** The text in pieces of so many characters. */
function cut(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  );
}

/** Of this door, or the test is skipped and says why. */
function need<T>(context: TestContext, ability: Ability<T>): T {
  return 'can' in ability ? ability.can : context.skip(ability.cannot);
}

export function itOwesWhatDoorsOwe(start: () => Promise<DoorDriver>): void {
  let started: DoorDriver | undefined;
  let serial = 0;

  const door = (): DoorDriver => {
    if (started === undefined) throw new Error('asked for before the tests of this suite began');
    return started;
  };
  const blocks = (): boolean => 'can' in door().blocks;
  const newMark = (): string => {
    serial += 1;
    return `m${serial}m`;
  };

  beforeAll(async () => {
    started = await start();
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${started?.report()}\n`);
  });
  afterAll(() => started?.stop());

  async function send(parts: Partial<Exchange> & { readonly mark?: string } = {}): Promise<Outcome> {
    const { mark = newMark(), ...exchange } = parts;
    const open = await door().open({ target: `/page?mark=${mark}`, ...exchange });
    return await open.finish();
  }

  const asks = (mark: string, rest = ''): { mark: string; target: string } => ({
    mark,
    target: `/page?mark=${mark}${rest}`,
  });

  function eventsOf(mark: string): SecurityEvent[] {
    return door()
      .securityEvents()
      .filter(({ path }) => path?.includes(mark));
  }

  /** The first one; a door that only reports may analyse later. */
  async function eventOf(mark: string): Promise<SecurityEvent> {
    await expect.poll(() => eventsOf(mark).length, patience).toBeGreaterThan(0);
    const [event] = eventsOf(mark);
    if (event === undefined) throw new Error('unreachable: it was waited for');
    return event;
  }

  /** Found, told, and kept from origin and client where the door can. */
  async function expectFound(
    outcome: Outcome,
    mark: string,
    row: Pick<HostileExchange, 'phase' | 'rule'>,
  ): Promise<void> {
    const event = await eventOf(mark);
    const ofRequest = row.phase.startsWith('request');
    expect(event).toMatchObject({
      door: door().door,
      phase: row.phase,
      verdict: blocks() ? 'block' : 'report',
      rules: [{ id: row.rule }],
      ...(blocks() ? {} : { would_block: true }),
    });
    if (!blocks()) {
      expect(outcome.received).toBeDefined();
      expect([403, undefined]).not.toContain(outcome.status);
    } else {
      expect(outcome.status).toBe(403);
      expect(outcome.body).toMatch(/blocked/i);
      if (ofRequest) expect(outcome.received).toBeUndefined();
    }
  }

  async function expectProtected(): Promise<void> {
    const mark = newMark();
    const row = { phase: 'request-headers', rule: 'req-block' } as const;
    await expectFound(await send(asks(mark, `&q=${attack}`)), mark, row);
  }

  const open = (): Promise<Ledger> => Ledger.open(door());

  describe('a transaction', () => {
    it('begins once and ends once for each request, for the right reason, and none stays', async () => {
      const ledger = await open();
      const blocked = [asks(newMark(), `&q=${attack}`), { ...asks(newMark()), ...json({ a: attack }) }];
      const others = [
        ...[{}, { method: 'HEAD' }, { response: { status: 404 } }, { response: { status: 304 } }],
        ...[{ ...json({ a: 1 }) }, { method: 'DELETE' }, asks(newMark(), '&q=attack-report')],
        { response: { headers: { 'content-type': 'application/json' }, body: '{"a":1}' } },
      ];
      for (const exchange of [...blocked, ...others]) await send(exchange);
      const byReason = blocks()
        ? { blocked: blocked.length, complete: others.length }
        : { complete: blocked.length + others.length };
      await ledger.expectEnded(blocked.length + others.length, byReason);
    });

    it('is not mixed up with those beside it', async () => {
      const ledger = await open();
      const kinds = [
        { parts: {}, rules: [] },
        { parts: json({ a: 1 }), rules: [] },
        { parts: json({ a: attack }), rules: ['req-block'] },
        { parts: { headers: { 'x-search': 'attack-report' } }, rules: ['req-report'] },
      ];
      const sent = Array.from({ length: 40 }, (_, index) => {
        const kind = kinds[index % kinds.length] ?? { parts: {}, rules: [] };
        return { ...kind, mark: newMark() };
      });
      await Promise.all(sent.map(({ mark, parts }) => send({ ...asks(mark), ...parts })));
      await ledger.expectEnded(sent.length);
      for (const { mark, rules } of sent) {
        await expect.poll(() => eventsOf(mark).length, patience).toBe(rules.length);
        expect(eventsOf(mark).flatMap((event) => event.rules.map(({ id }) => id))).toEqual(rules);
      }
    });

    it('whose client goes away while the origin thinks ends all the same', async () => {
      const ledger = await open();
      const exchange = await door().open({ target: `/page?mark=${newMark()}`, response: 'never' });
      await ledger.expectBegun(1);
      await exchange.abort();
      const waits = 'can' in door().seesResponses && 'can' in door().tellsAborts;
      await ledger.expectEnded(1, waits ? { aborted: 1 } : {});
    });

    it('whose client goes away with half of its body sent is looked at as far as it came', async (context) => {
      need(context, door().tellsAborts);
      const ledger = await open();
      const mark = newMark();
      const exchange = await door().open({ ...asks(mark), ...json(null), body: [`["${attack}",`, '1]'] });
      await exchange.piece();
      await exchange.abort();
      await ledger.expectEnded(1, { aborted: 1 });
      // What came of the body was looked at: too late to block.
      expect(await eventOf(mark)).toMatchObject({ phase: 'request-body', verdict: 'report' });
    });

    it('ends once in whatever order its messages come', async (context) => {
      const disorder = need(context, door().disorder);
      const step = fc.constantFrom<Step>('request', 'request-body', 'response', 'response-body');
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
          const ledger = await open();
          await ledger.expectEnded(await disorder(steps));
        }),
        { numRuns: 30 },
      );
    });
  });

  describe('a body', () => {
    const harmless = JSON.stringify({ list: Array.from({ length: 50 }, (_, index) => `item ${index}`) });
    const hostile = JSON.stringify({ list: ['harmless', attack] });
    const at = hostile.indexOf(attack) + 5;

    it.each([
      ['in one piece', [hostile]],
      ['cut in two through the attack', [hostile.slice(0, at), hostile.slice(at)]],
      ['in pieces of a few bytes', cut(hostile, 7)],
    ])('%s is looked at as one', async (_what, body) => {
      const mark = newMark();
      const outcome = await send({ ...asks(mark), ...json(null), body });
      await expectFound(outcome, mark, { phase: 'request-body', rule: 'req-block' });
    });

    it.each([
      ['in one piece', [harmless]],
      ['in pieces', cut(harmless, 300)],
      ['larger than what is looked at', [harmless, 'x'.repeat(bodyLimitBytes), 'y'.repeat(4_000)]],
    ])('%s reaches the origin as it was sent', async (_what, body) => {
      const outcome = await send({ ...json(null), body });
      expect(outcome).toMatchObject({ status: 200, received: body.join('') });
    });

    it('beyond the limit is looked at up to it, and that is said', async () => {
      const ledger = await open();
      const mark = newMark();
      const rest = JSON.stringify({ filler: 'x'.repeat(bodyLimitBytes), late: attack });
      expect(await send({ ...asks(mark), ...json(null), body: rest })).toMatchObject({ status: 200 });
      await ledger.expectEnded(1, { complete: 1 });
      expect(await ledger.count('bodies_partial_total', { phase: 'request-body' })).toBe(1);
      expect(await ledger.count('verdicts_total', { verdict: 'partial' })).toBe(1);
      expect(eventsOf(mark)).toEqual([]);
    });

    it('with an attack before the limit is found, however long it is', async () => {
      const mark = newMark();
      const body = JSON.stringify({ early: attack, filler: 'x'.repeat(bodyLimitBytes) });
      const outcome = await send({ ...asks(mark), ...json(null), body });
      await expectFound(outcome, mark, { phase: 'request-body', rule: 'req-block' });
    });
  });

  describe('an attack', () => {
    async function expectRowFound(row: HostileExchange): Promise<void> {
      const mark = newMark();
      const query = row.query === undefined ? '' : `&${row.query}`;
      const target = `${row.path ?? '/page'}?mark=${mark}${query}`;
      await expectFound(await send({ ...row.parts, target }), mark, row);
    }

    it.each(hostileRequests)('in $what is found', expectRowFound);

    it.for(hostileResponses)('in a response, in $what, is found', async (row, context) => {
      need(context, door().seesResponses);
      await expectRowFound(row);
    });

    it.for(Object.entries(hostileByteStrings))(
      'on the socket of the door itself, %s, costs nobody else anything',
      async ([, bytes], context) => {
        const sendBytes = need(context, door().hostileBytes);
        const ledger = await open();
        const neighbour = await door().open({ target: `/page?mark=${newMark()}` });
        await sendBytes(bytes);
        expect(await neighbour.finish()).toMatchObject({ status: 200 });
        await ledger.expectNoneLeft();
        expect(await ledger.count('errors_total', { kind: 'internal' })).toBe(0);
        await expectProtected();
      },
    );
  });

  describe('the address of the client', () => {
    const addressOf = async (parts: Partial<Exchange>): Promise<string | undefined> => {
      const mark = newMark();
      await send({ ...asks(mark, '&q=attack-report'), ...parts });
      return (await eventOf(mark)).client;
    };

    it('is found in the headers, by the rules of the engine', async () => {
      expect(await addressOf({ headers: { 'x-forwarded-for': '10.0.0.1, 198.51.100.7' } })).toBe(
        '198.51.100.7',
      );
    });

    it('is that of the connection where no header names one', async () => {
      expect(await addressOf({})).toBe(door().peerAddress);
    });

    it('is the one that the door vouches for, whatever headers say', async (context) => {
      need(context, door().vouchesForClients);
      const headers = { 'x-forwarded-for': '198.51.100.7' };
      expect(await addressOf({ headers, client: '203.0.113.99' })).toBe('203.0.113.99');
    });
  });

  describe('an application that only reports', () => {
    it.for<[string, string, string, Partial<Exchange>]>([
      ['a query', 'request-headers', `&q=${attack}`, {}],
      ['a body', 'request-body', '', json({ a: attack })],
    ])('is told of an attack in %s, and nothing is blocked', async ([, phase, query, parts], context) => {
      need(context, door().namesApplications);
      const ledger = await open();
      const mark = newMark();
      const outcome = await send({ ...asks(mark, query), ...parts, reportOnly: true });
      expect(outcome.status).toBe(200);
      expect(outcome.received).toBeDefined();
      expect(await eventOf(mark)).toMatchObject({ phase, verdict: 'report', would_block: true });
      await ledger.expectEnded(1, { complete: 1 });
      expect(await ledger.count('would_block_total')).toBe(1);
    });
  });

  describe('inspection that is switched off', () => {
    it('lets everything through unseen, counts nothing, and is on again when it is switched on', async () => {
      await door().setInspection(false);
      const ledger = await open();
      const mark = newMark();
      const attacks = [asks(mark, `&q=${attack}`), { ...asks(mark), ...json({ a: attack }) }];
      for (const parts of attacks) {
        const outcome = await send(parts);
        expect(outcome.status).toBe(200);
        expect(outcome.received).toBeDefined();
      }
      await door().setInspection(true);
      expect(await ledger.count('transactions_total')).toBe(0);
      expect(await ledger.count('detections_total')).toBe(0);
      expect(eventsOf(mark)).toEqual([]);
      await ledger.expectNoneLeft();
      await expectProtected();
    });

    it('goes on with what is under way', async (context) => {
      need(context, door().headComesFirst);
      const ledger = await open();
      const mark = newMark();
      const exchange = await door().open({ ...asks(mark), ...json(null), body: ['["attack-', 'block"]'] });
      await exchange.piece();
      await ledger.expectBegun(1);
      await door().setInspection(false);
      const outcome = await exchange.finish();
      await door().setInspection(true);
      await expectFound(outcome, mark, { phase: 'request-body', rule: 'req-block' });
      await ledger.expectEnded(1);
    });
  });

  describe('a mistake of ours', () => {
    it('lets the message through, is counted, and costs nothing else anything', async (context) => {
      const mistakes = Object.entries(need(context, door().mistakes));
      expect(mistakes).not.toEqual([]);
      for (const [what, parts] of mistakes) {
        const ledger = await open();
        const outcome = await send(parts);
        expect([what, outcome.status, outcome.received === undefined]).toEqual([what, 200, false]);
        const errors = (): Promise<number> => ledger.count('errors_total', { kind: 'internal' });
        await expect.poll(errors, patience).toBeGreaterThan(0);
        await ledger.expectNoneLeft();
        await expectProtected();
      }
    });
  });

  describe('more than the engines can take', () => {
    it('is answered all the same, and what was not analysed is counted', { timeout: 180_000 }, async () => {
      const ledger = await open();
      const flood = Array.from({ length: floodRequests }, () => send({ ...json(null), body: slowBody }));
      const outcomes = await Promise.all(flood);
      expect(outcomes.filter(({ status, received }) => status !== 200 || received !== slowBody)).toEqual([]);
      await ledger.expectNoneLeft({ timeout: 120_000 });
      const analysed = () => ledger.count('bodies_total', { phase: 'request-body' });
      const skipped = () => ledger.count('skipped_total');
      // A door that nobody waits for may not have begun them all.
      await expect
        .poll(async () => (await analysed()) + (await skipped()), { timeout: 120_000 })
        .toBeGreaterThanOrEqual(floodRequests);
      if ('can' in door().sheds) expect(await skipped()).toBeGreaterThan(0);
      expect(await analysed()).toBeGreaterThan(0);
      expect(await ledger.count('errors_total')).toBe(0);
      await expectProtected();
    });
  });

  describe('the end of the process', () => {
    it('loses nothing: every client is answered, and what had begun is judged', async () => {
      const mark = newMark();
      const ledger = await open();
      const begun = await door().open({ ...asks(mark), ...json(null), body: ['["attack-', 'block"]'] });
      await begun.piece();
      if ('can' in door().headComesFirst) await ledger.expectBegun(1);
      const traffic = startTraffic(() => send());
      const drain = door().drain();
      await drain.begun;
      const outcome = await begun.finish();
      expect(await drain.over).toBe(0);
      const outcomes = await traffic.stop();
      expect(outcomes.filter(({ status, received }) => status !== 200 || received === undefined)).toEqual([]);
      expect(outcomes.length).toBeGreaterThan(0);
      await expectFound(outcome, mark, { phase: 'request-body', rule: 'req-block' });
    });
  });
}

/** A few clients, one request after the other, until they are stopped. */
function startTraffic(send: () => Promise<Outcome>): { stop(): Promise<Outcome[]> } {
  let running = true;
  const client = async (): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    while (running) {
      outcomes.push(await send());
      await new Promise((resolve) => setImmediate(resolve));
    }
    return outcomes;
  };
  const clients = Array.from({ length: 4 }, client);
  return {
    async stop() {
      running = false;
      return (await Promise.all(clients)).flat();
    },
  };
}
