// Sizes of HAProxy's buffer that an operator's own `global` section may bring, loaded after ours.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchOnce } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { uncomment } from './support/shipped-config.ts';
import { describeEachHaproxy, type StubbedProxy, startStubbedProxy } from './support/stubbed-proxy.ts';

describeEachHaproxy('a buffer of the operator', (binary) => {
  describe('of 8 kB', () => {
    const proxy = shareProtectedProxy(binary, { global: '    tune.bufsize 8192' });
    const agentIsUp = async (): Promise<boolean> =>
      (await proxy().haproxy.command('show stat'))
        .split('\n')
        .some((line) => /^dd-spoa,spoa1,.*L7OK/.test(line));

    it('keeps the agent up by its health checks, and attacks are blocked', async () => {
      await expect.poll(agentIsUp, { interval: 20 }).toBe(true);
      const { status } = await fetchOnce(proxy().httpPort, { target: '/?q=attack-block' });
      expect(status).toBe(403);
    });
  });

  describe('with hardly any tune.maxrewrite', () => {
    // For the answer to a message that it never sends, until the time-out.
    const waitsForNothing = Number(binary.branch) < 3.1;
    let proxy: StubbedProxy;
    beforeAll(async () => {
      proxy = await startStubbedProxy(binary, {
        global: '    tune.bufsize 16384\n    tune.maxrewrite 64',
        edit: uncomment('frontend-config.cfg', 'log-format'),
        ...(waitsForNothing ? { env: { DD_SPOA_PROCESSING_TIMEOUT: '200ms' } } : {}),
      });
    });
    afterAll(() => proxy.stop());

    it('takes heads that no message can carry: uninspected, and dd_error says so', async () => {
      const errors = new Set<string | undefined>();
      for (let bytes = 16_100; ; bytes += 10) {
        const headers = { 'x-long': 'h'.repeat(bytes) };
        const { status } = await fetchOnce(proxy.httpPort, { target: `/?mark=${bytes}-`, headers });
        if (status !== 200) break;
        const line = await proxy.haproxy.log.waitFor(new RegExp(`mark=${bytes}-`));
        errors.add(/dd_error=(\S+)/.exec(line)?.[1]);
      }
      expect(errors).toEqual(new Set(['-', waitsForNothing ? '1' : '3']));
    });
  });

  describe('as we ship it', () => {
    let proxy: StubbedProxy;
    beforeAll(async () => {
      proxy = await startStubbedProxy(binary, { edit: uncomment('frontend-config.cfg', 'log-format') });
    });
    afterAll(() => proxy.stop());

    it('has a message for every head that HAProxy accepts', async () => {
      let largest = 0;
      for (let bytes = 16_000; bytes < 16_400; bytes += 10) {
        const headers = { 'x-long': 'h'.repeat(bytes) };
        const { status } = await fetchOnce(proxy.httpPort, { target: `/?mark=${bytes}-`, headers });
        if (status !== 200) break;
        largest = bytes;
        expect(await proxy.haproxy.log.waitFor(new RegExp(`mark=${bytes}-`))).toContain('dd_error=- ');
      }
      expect(largest).toBeGreaterThan(16_200);
      expect(largest).toBeLessThan(16_390);
    });
  });
});
