// Operators replace agents one after the other: no client may notice, and nothing may go unanalysed.
import { expect, it } from 'vitest';
import { describeEachHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

/** The settings of the daemon, not those of the other tests. */
const defaultDrain = { APPSEC_EDGE_SHUTDOWN_GRACE: '', APPSEC_EDGE_SHUTDOWN_TIMEOUT: '' };

describeEachHaproxy('a rolling restart of two agents', (binary) => {
  it('costs no request and no analysis', { timeout: 120_000 }, async () => {
    const scene = await sceneOfTest(binary, { agents: 2, daemon: { env: defaultDrain } });
    await underLoad(
      scene,
      { name: 'rolling restart of two agents', binary, promise: 'none lost' },
      async (load) => {
        for (const agent of scene.agents) {
          expect(await agent.stop('SIGTERM')).toBe(0);
          await load.seen(300);
          await agent.start();
          await load.seen(900);
        }
      },
    );
  });
});
