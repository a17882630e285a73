// An engine thread dies or is stuck under load.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fetchOnce } from '../e2e/support/http-client.ts';
import { describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

const support = join(import.meta.dirname, '..', 'e2e', 'support');
const faults = [
  { name: 'engine thread dies', words: 'end-this-thread', preload: join(support, 'mortal-threads.cjs') },
  {
    ...{ name: 'engine thread stuck', words: 'hold-this-thread' },
    preload: join(import.meta.dirname, 'support', 'stuck-threads.cjs'),
  },
];

describeOneHaproxy('engine threads', (binary) => {
  it.each(faults)('$name: no request is lost, and it is replaced', async ({ name, words, preload }) => {
    const env = { NODE_OPTIONS: `--require ${preload}`, APPSEC_EDGE_ENGINE_THREADS: '2' };
    const shipped = { DD_SPOA_PROCESSING_TIMEOUT: '200ms', DD_SPOA_HELLO_TIMEOUT: '100ms' };
    const scene = await sceneOfTest(binary, { daemon: { env }, env: shipped });
    await underLoad(scene, { name, binary, promise: 'some lost' }, async (load) => {
      const killing = await fetchOnce(scene.httpPort, {
        ...{ method: 'POST', target: '/echo', body: `{"a":"${words}"}` },
        headers: { 'content-type': 'application/json' },
      });
      expect(killing.status).toBe(200);
      await scene.agents[0]?.log.waitFor(/"msg":"engine thread replaced"/, 20_000);
      await load.seen(150);
    });
    expect(await scene.metric('engine_threads_lost_total')).toBe(1);
  });
});
