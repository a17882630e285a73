/**
 * Records what real HAProxy processes send to an agent, for mutate.ts: a TCP proxy stands between HAProxy with the
 * shipped files and the built daemon, and the bytes of one connection become one file of test/fixtures/spop-captures/.
 * Run by hand when haproxyconf/ changes: `npm run --silent build && npx node fuzz/capture.ts`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { startDaemon } from '../test/e2e/support/daemon.ts';
import { freePort } from '../test/e2e/support/free-port.ts';
import { startHaproxy } from '../test/e2e/support/haproxy.ts';
import { Http1Connection, type RequestParts } from '../test/e2e/support/http-client.ts';
import { startOrigin } from '../test/e2e/support/origin.ts';
import { confEnvironment, proxyConfig } from '../test/e2e/support/shipped-config.ts';
import { allHaproxyBinaries } from '../tools/haproxy-binaries.ts';

const folder = join(import.meta.dirname, '..', 'test', 'fixtures', 'spop-captures');
/** A capture is a seed: what is small is mutated more thoroughly. */
const largest = 6_000;

const requests: readonly RequestParts[] = [
  { target: '/shop?colour=blue' },
  {
    method: 'POST',
    target: '/echo',
    headers: { 'content-type': 'application/json' },
    body: '{"a":[1,"two"]}',
  },
  { target: '/?q=attack-block' },
  {
    method: 'POST',
    target: '/echo',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync('{"packed":true}'),
  },
];

/** Passes everything on, and keeps what HAProxy says on each connection. */
async function recorder(agentPort: number): Promise<{ port: number; taken: Buffer[][]; stop(): void }> {
  const taken: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((fromHaproxy) => {
    const toAgent = connect(agentPort, '127.0.0.1');
    const chunks: Buffer[] = [];
    taken.push(chunks);
    fromHaproxy.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (const socket of [fromHaproxy, toAgent]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    fromHaproxy.pipe(toAgent).pipe(fromHaproxy);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, taken, stop };
}

mkdirSync(folder, { recursive: true });
for (const binary of await allHaproxyBinaries()) {
  if (binary.kind === 'missing') {
    console.log(binary.reason);
    continue;
  }
  const [daemon, origin, httpPort] = [await startDaemon(), await startOrigin(), await freePort()];
  const proxy = await recorder(daemon.port);
  const haproxy = await startHaproxy({
    binary: binary.path,
    config: proxyConfig({ httpPort, originPort: origin.port, global: 'nbthread 1' }),
    readyPort: httpPort,
    // Short, so that a replayed message begins nothing that outlives the run.
    env: { ...confEnvironment(proxy.port), DD_SPOA_TIMEOUT: '2s', DD_SPOA_PROCESSING_TIMEOUT: '3s' },
  });
  const client = new Http1Connection(httpPort);
  for (const request of requests) await client.request(request);
  client.close();
  await haproxy.stop();
  proxy.stop();
  await daemon.stop('SIGKILL');
  await origin.stop();
  const streams = proxy.taken.map((chunks) => Buffer.concat(chunks));
  const kept = streams.filter((bytes) => bytes.length > 0 && bytes.length <= largest);
  const distinct = [...new Map(kept.map((bytes) => [bytes.length, bytes])).values()];
  distinct.slice(0, 4).forEach((bytes, index) => {
    writeFileSync(join(folder, `haproxy-${binary.branch}-${index + 1}.bin`), bytes);
  });
  console.log(binary.branch, 'connections', streams.map(({ length }) => length).join(' '));
}
