// Several agents behind one backend: below HAProxy 3.1 a part of the responses reaches an agent that has not seen their
// request. None may be lost: an attack that only the response shows is reported once, with the path of its request.
import { expect, it } from 'vitest';
import { patientDatadogSet } from './patience.ts';
import { type ConfFile, uncomment } from './shipped-config.ts';
import { describeEachHaproxy } from './stubbed-proxy.ts';
import { loggedRequests, startLeakLoad, startTwoAgents, type TwoAgents } from './two-agents.ts';

/** Both logs, once the last line is there. */
async function expectEveryAttackOnce(two: TwoAgents, requests: number): Promise<void> {
  const attacks = requests / 2;
  await expect.poll(() => two.metric('transactions_live')).toBe(0);
  // What they said may still be on its way from their standard output.
  await expect
    .poll(() => two.events('response-headers').length, { interval: 500 })
    .toBeGreaterThanOrEqual(attacks);
  const paths = two.events('response-headers').map(({ path }) => path);
  expect(paths.filter((path) => path === undefined).length, 'reported without their request').toBe(0);
  expect(paths.length).toBe(attacks);
  expect(new Set(paths).size).toBe(attacks);
  expect(await two.metric('transactions_total', { reason: 'complete' })).toBe(requests);
  expect(await two.metric('transactions_total')).toBe(requests);
  expect(await two.metric('skipped_total')).toBe(0);
}

/** What operators of HAProxy below 3.1 have to change in Datadog's files. */
function beforeSpopMode(name: ConfFile, text: string): string {
  return name === 'backend.cfg' ? text.replace('    mode spop', '    mode tcp') : text;
}

const timeout = 240_000;

/** @param requests in each case, of which the half are attacks. */
export function twoAgentsLoseNothing(clients: number, requests: number): void {
  describeEachHaproxy('two agents', (binary) => {
    it(`lose none of ${requests} responses of ${clients} clients`, { timeout }, async () => {
      const two = await startTwoAgents(binary);
      const load = startLeakLoad(two.httpPort, clients, requests);
      await load.done;
      expect(load.failures).toEqual([]);
      await expectEveryAttackOnce(two, requests);
      const relayed = await two.metric('relayed_total', { result: 'answered' });
      // From 3.1 on HAProxy does it by itself; the test of the agents is worth nothing unless they had something to do.
      if (Number(binary.branch) < 3.1) expect(relayed).toBeGreaterThan(requests / 50);
      else expect(relayed).toBe(0);
    });

    it('one of which is killed under load and started again: no client error, and what reached a living one was analysed', {
      timeout,
    }, async () => {
      const two = await startTwoAgents(binary, { edit: uncomment('frontend-config.cfg', 'log-format') });
      const load = startLeakLoad(two.httpPort, clients);
      await load.reached(requests / 4);
      await two.agents[1].stop('SIGKILL');
      await load.reached(requests / 2);
      await two.agents[1].start();
      load.endAfter(requests / 2);
      await load.done;
      expect(load.failures).toEqual([]);
      // HAProxy drops a few lines of its log when the pipe is full.
      await expect
        .poll(() => loggedRequests(two.haproxy.log.lines).length)
        .toBeGreaterThan((requests * 95) / 100);
      const logged = loggedRequests(two.haproxy.log.lines);
      const lost = logged.filter(({ error }) => error !== '-');
      const reported = new Set(two.events('response-headers').map((event) => event.trace_id));
      const unreported = logged.filter(
        ({ mark, error, trace }) => mark % 2 === 0 && error === '-' && !reported.has(trace),
      );
      expect(unreported).toEqual([]);
      // Those that were under way when it died, and those that HAProxy sent before it noticed.
      expect(lost.length).toBeLessThan(clients + requests / 20);
    });

    if (Number(binary.branch) < 3.1) {
      it("lose none with Datadog's configuration", { timeout }, async () => {
        const two = await startTwoAgents(binary, { set: patientDatadogSet(), edit: beforeSpopMode });
        const load = startLeakLoad(two.httpPort, clients, requests);
        await load.done;
        expect(load.failures).toEqual([]);
        await expectEveryAttackOnce(two, requests);
        expect(await two.metric('relayed_total', { result: 'answered' })).toBeGreaterThan(requests / 50);
      });
    }
  });
}
