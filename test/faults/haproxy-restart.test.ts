// HAProxy is reloaded or started again while requests and their analyses are under way.
import { expect, it } from 'vitest';
import { describeEachHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

const rounds = 3;

describeEachHaproxy('HAProxy', (binary) => {
  it('reloaded by its master: no request and no analysis is lost', async () => {
    const scene = await sceneOfTest(binary, { kind: 'master', env: { DD_SPOA_TIMEOUT: '2s' } });
    const fault = {
      name: `HAProxy reloaded (SIGUSR2) ${rounds} times`,
      binary,
      promise: 'none lost',
    } as const;
    await underLoad(scene, fault, async (load) => {
      for (let round = 0; round < rounds; round += 1) {
        await scene.haproxy.reload();
        await load.seen(300);
      }
    });
    await expect.poll(() => scene.metric('transactions_live'), { timeout: 10_000 }).toBe(0);
  });

  it('taken over by another process (-sf): no request and no analysis is lost', async () => {
    const scene = await sceneOfTest(binary, { kind: 'single', env: { DD_SPOA_TIMEOUT: '2s' } });
    const fault = {
      name: `HAProxy taken over (-sf) ${rounds} times`,
      binary,
      promise: 'none lost',
    } as const;
    await underLoad(scene, fault, async (load) => {
      for (let round = 0; round < rounds; round += 1) {
        await scene.haproxy.takeOver();
        await load.seen(300);
      }
    });
    await expect.poll(() => scene.metric('transactions_live'), { timeout: 10_000 }).toBe(0);
  });

  it('stopped and started: the agent forgets the connections of the old one and serves the new one', async () => {
    const scene = await sceneOfTest(binary, { env: { DD_SPOA_TIMEOUT: '2s' } });
    const fault = { name: 'HAProxy stopped and started', binary, promise: 'some failed, some lost' } as const;
    await underLoad(scene, fault, async (load) => {
      await scene.haproxy.restart();
      await load.seen(300);
    });
    // Those whose response never came expire; one whose body was awaited is given ten minutes. A client has one at most.
    await expect.poll(() => scene.metric('transactions_live'), { timeout: 10_000 }).toBeLessThan(16);
  });
});
