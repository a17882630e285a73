// TLS on the SPOP port: real HAProxy on the other side, with and without a certificate, and two agents that relay.
import { copyFileSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CertificateFolder } from '../support/certificates.ts';
import { fetchOnce } from './support/http-client.ts';
import { type ProtectedProxy, proxyOfThisTest } from './support/protected-proxy.ts';
import type { ConfFile } from './support/shipped-config.ts';
import { describeEachHaproxy, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';
import { startLeakLoad, startTwoAgents } from './support/two-agents.ts';

const folder = new CertificateFolder();
let ca = '';
let haproxyFile = '';
let strangerFile = '';
let env: Record<string, string> = {};

beforeAll(() => {
  ca = folder.authority('ca');
  const agent = folder.issue(ca, 'agent');
  haproxyFile = folder.issue(ca, 'haproxy').both;
  strangerFile = folder.issue(folder.authority('other-ca'), 'stranger').both;
  env = {
    DD_HAPROXY_SPOA_TLS_CERT: agent.certificate,
    DD_HAPROXY_SPOA_TLS_KEY: agent.key,
    DD_HAPROXY_SPOA_TLS_CA: ca,
  };
});
afterAll(() => folder.remove());

/** The line of docs/network.md on every server of the agents. */
function withTls(certificate: string): (name: ConfFile, text: string) => string {
  const own = certificate === '' ? '' : `crt ${certificate} `;
  return (name, text) =>
    name === 'backend.cfg'
      ? text.replace(/default-server /, `default-server ssl ${own}ca-file ${ca} verify required `)
      : text;
}

function start(binary: FoundHaproxy, certificate: string, more = {}): Promise<ProtectedProxy> {
  return proxyOfThisTest(binary, { daemon: { env: { ...env, ...more } }, edit: withTls(certificate) });
}

const statusOf = async (proxy: ProtectedProxy, target: string): Promise<number> =>
  (await fetchOnce(proxy.httpPort, { target })).status;

describeEachHaproxy('TLS between HAProxy and agent', (binary) => {
  it('with a certificate each: checks succeed and attacks are blocked', async () => {
    const proxy = await start(binary, haproxyFile);
    for (let count = 0; count < 20; count += 1) {
      expect(await statusOf(proxy, `/?q=attack-block&mark=${count}`)).toBe(403);
    }
    expect(await statusOf(proxy, '/?clean')).toBe(200);
    expect(await proxy.daemon.metric('errors_total')).toBe(0);
    expect(await proxy.haproxy.command('show servers state dd-spoa')).toMatch(/ spoa1 127\.0\.0\.1 2 /);
  });

  it.each([
    ['without a certificate', () => ''],
    ['with one of another CA', () => strangerFile],
  ])('%s HAProxy is not served: traffic passes, failures are counted', async (_how, file) => {
    const proxy = await start(binary, file());
    expect(await statusOf(proxy, '/?q=attack-block')).toBe(200);
    await proxy.daemon.log.waitFor(/"msg":"connection closed: TLS handshake failed"/);
    expect(await proxy.daemon.metric('errors_total', { kind: 'tls' })).toBeGreaterThan(0);
    expect(await proxy.daemon.metric('messages_total')).toBe(0);
  });
});

describeOneHaproxy('TLS of the agent', (binary) => {
  it('outlives those who speak no TLS, say nothing, or go away', async () => {
    const proxy = await start(binary, haproxyFile, { DD_HAPROXY_SPOA_HELLO_TIMEOUT: '3s' });
    const closed = ['GET / HTTP/1.1\r\n\r\n', '\0\0\0\x10\x01', ''].map(async (bytes) => {
      const socket = connect(proxy.daemon.port, '127.0.0.1');
      socket.on('error', () => undefined).resume();
      const gone = new Promise((resolve) => socket.once('close', resolve));
      if (bytes !== '') socket.write(bytes);
      await gone;
    });
    const rude = connect(proxy.daemon.port, '127.0.0.1', () => rude.resetAndDestroy());
    await Promise.all(closed);
    await expect.poll(() => proxy.daemon.metric('errors_total', { kind: 'tls' })).toBeGreaterThanOrEqual(3);
    // Of all these, one line.
    expect(proxy.daemon.log.lines.filter((line) => line.includes('TLS handshake failed'))).toHaveLength(1);
    expect(await statusOf(proxy, '/?q=attack-block')).toBe(403);
  });

  it('reads certificate and CA again on SIGHUP, and keeps what it has when they are not good', async () => {
    const own = folder.file('renewed.both', readFileSync(folder.issue(ca, 'first').both, 'utf8'));
    const clients = folder.file('clients.pem', readFileSync(folder.path.concat('/other-ca.pem'), 'utf8'));
    const more = {
      DD_HAPROXY_SPOA_TLS_CERT: own,
      DD_HAPROXY_SPOA_TLS_KEY: '',
      DD_HAPROXY_SPOA_TLS_CA: clients,
    };
    const proxy = await start(binary, haproxyFile, more);
    expect(await statusOf(proxy, '/?q=attack-block')).toBe(200);

    folder.file('renewed.both', 'nothing');
    proxy.daemon.signal('SIGHUP');
    await proxy.daemon.log.waitFor(
      /TLS files not reloaded, the current ones stay in use: DD_HAPROXY_SPOA_TLS_CERT: /,
    );

    copyFileSync(folder.issue(ca, 'second').both, own);
    copyFileSync(ca, clients);
    proxy.daemon.signal('SIGHUP');
    await proxy.daemon.log.waitFor(/"msg":"TLS certificate and CA reloaded"/);
    await expect.poll(() => statusOf(proxy, '/?q=attack-block')).toBe(403);
  });
});

describeEachHaproxy('two agents with TLS', (binary) => {
  it('relay to each other what belongs to the other', async () => {
    const requests = 1000;
    const two = await startTwoAgents(binary, { env, edit: withTls(haproxyFile) });
    const load = startLeakLoad(two.httpPort, 50, requests);
    await load.done;
    expect(load.failures).toEqual([]);
    await expect.poll(() => two.metric('transactions_live')).toBe(0);
    // What they said may still be on its way from their standard output.
    await expect
      .poll(() => two.events('response-headers').length, { interval: 500 })
      .toBeGreaterThanOrEqual(requests / 2);
    const paths = two.events('response-headers').map(({ path }) => path);
    expect(paths.filter((path) => path === undefined)).toEqual([]);
    expect(new Set(paths).size).toBe(requests / 2);
    // From 3.1 on HAProxy keeps them together by itself.
    if (Number(binary.branch) < 3.1) {
      expect(await two.metric('relayed_total', { result: 'answered' })).toBeGreaterThan(requests / 50);
    }
    expect(await two.metric('errors_total', { kind: 'tls' })).toBe(0);
  });
});
