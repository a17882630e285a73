// Signals to the agent under load. SIGTERM of one of two is in rolling-restart.test.ts.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fetchOnce } from '../e2e/support/http-client.ts';
import { describeEachHaproxy, describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';
import { vitalsOf } from './support/scene.ts';

/** What operators get: a dead agent costs each message as long as that. */
const shippedTimeouts = { DD_SPOA_PROCESSING_TIMEOUT: '200ms', DD_SPOA_HELLO_TIMEOUT: '100ms' };

describeEachHaproxy('SIGKILL under load', (binary) => {
  it('costs no request; the agent that is started again analyses all', async () => {
    const scene = await sceneOfTest(binary, { env: shippedTimeouts });
    const [agent] = scene.agents;
    await underLoad(scene, { name: 'SIGKILL, started again', binary, promise: 'some lost' }, async (load) => {
      await agent?.stop('SIGKILL');
      await load.seen(300);
      await agent?.start();
      await load.seen(300);
    });
  });
});

describeEachHaproxy('SIGTERM of the only agent under load', (binary) => {
  it('costs no request: what HAProxy still asks is analysed', async () => {
    const daemon = { env: { APPSEC_EDGE_SHUTDOWN_GRACE: '' } };
    const scene = await sceneOfTest(binary, { daemon, env: shippedTimeouts });
    const [agent] = scene.agents;
    await underLoad(scene, { name: 'SIGTERM, started again', binary, promise: 'some lost' }, async (load) => {
      expect(await agent?.stop('SIGTERM')).toBe(0);
      await agent?.start();
      await load.seen(300);
    });
  });
});

describeOneHaproxy('SIGHUP under load', (binary) => {
  it('reads block pages again, and keeps the last good ones', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-pages-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const page = join(folder, 'page.json');
    writeFileSync(page, '{"page":"old"}');
    const daemon = {
      env: {
        DD_APPSEC_HTTP_BLOCKED_TEMPLATE_JSON: page,
        APPSEC_EDGE_POLICY_FOLDER: folder,
        APPSEC_EDGE_ENGINE_THREADS: '2',
      },
    };
    const scene = await sceneOfTest(binary, { daemon });
    const [agent] = scene.agents;
    if (agent === undefined) throw new Error('there is no agent');
    const blocked = async (): Promise<string> =>
      (await fetchOnce(scene.httpPort, { target: '/?q=attack-block' })).body;
    expect(await blocked()).toBe('{"page":"old"}');
    const before = vitalsOf(agent.pid).descriptors;
    await underLoad(
      scene,
      { name: 'SIGHUP, with new block pages', binary, promise: 'none lost' },
      async (load) => {
        writeFileSync(`${page}.new`, '{"page":"new"}');
        renameSync(`${page}.new`, page);
        agent.signal('SIGHUP');
        await agent.log.waitFor(/"msg":"SIGHUP: block pages and policy folder reloaded/);
        await expect.poll(blocked).toBe('{"page":"new"}');
        rmSync(page);
        agent.signal('SIGHUP');
        await agent.log.waitFor(/cannot be read: .*the current block pages stay in use/);
        await load.seen(100);
        expect(await blocked()).toBe('{"page":"new"}');
      },
    );
    expect(vitalsOf(agent.pid).descriptors).toBeLessThan(before + 20);
  });
});
