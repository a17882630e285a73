// Who gets to the agent without TLS: the list of addresses and the unix socket, with real HAProxy on the other side.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fetchOnce } from './support/http-client.ts';
import { proxyOfThisTest } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

describeEachHaproxy('who may talk to the agent', (binary) => {
  it.each([
    ['on the list', '127.0.0.1,10.0.0.0/8', 403],
    ['not on it', '10.0.0.0/8,::1', 200],
  ])('HAProxy %s', async (_where, allowed, status) => {
    const proxy = await proxyOfThisTest(binary, { daemon: { env: { DD_HAPROXY_SPOA_ALLOW: allowed } } });
    expect((await fetchOnce(proxy.httpPort, { target: '/?q=attack-block' })).status).toBe(status);
    const refused = proxy.daemon.metric('spop_connections_refused_total', { reason: 'address' });
    if (status === 403) {
      expect(await refused).toBe(0);
    } else {
      expect(await refused).toBeGreaterThan(0);
      await proxy.daemon.log.waitFor(/"address":"127\.0\.0\.1".*address is not in DD_HAPROXY_SPOA_ALLOW/);
      expect(await proxy.daemon.metric('messages_total')).toBe(0);
    }
  });

  it('HAProxy on a unix socket, which has the permissions that were asked for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-socket-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const socket = join(folder, 'spoa.sock');
    const proxy = await proxyOfThisTest(binary, {
      daemon: { env: { DD_HAPROXY_SPOA_SOCKET: socket } },
      env: { DD_SPOA_ADDRESS: `unix@${socket}` },
    });
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    expect((await fetchOnce(proxy.httpPort, { target: '/?q=attack-block' })).status).toBe(403);
  });
});
