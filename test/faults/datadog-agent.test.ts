// The Datadog Agent is not there, does not answer, talks nonsense, and comes back: traffic does not notice.
import { createServer, type Server, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../e2e/support/free-port.ts';
import { describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { FakeAgent } from '../support/fake-agent.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';

const nonsense = [
  'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"endpoints":"none",',
  'HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\n\0\0\0\0',
  'SSH-2.0-OpenSSH_9.9\r\n',
  `HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${'\xff'.repeat(100_000)}`,
];

const faults: readonly { readonly name: string; readonly answer?: (socket: Socket, turn: number) => void }[] =
  [
    { name: 'Datadog Agent absent' },
    { name: 'Datadog Agent silent', answer: () => undefined },
    {
      name: 'Datadog Agent talks nonsense',
      answer: (socket, turn) =>
        void socket.on('data', () => socket.end(nonsense[turn % nonsense.length] ?? '', 'latin1')),
    },
  ];

describeOneHaproxy('the Datadog Agent', (binary) => {
  it.each(faults)(
    '$name, then comes back: all is analysed, and its spans arrive again',
    async ({ name, answer }) => {
      const port = await freePort();
      const strange = answer === undefined ? undefined : await listen(port, answer);
      const env = {
        ...{ DD_TRACE_ENABLED: 'true', DD_AGENT_HOST: '127.0.0.1', DD_TRACE_AGENT_PORT: String(port) },
        ...{ DD_TRACE_FLUSH_INTERVAL: '50', DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' },
        ...{ DD_REMOTE_CONFIGURATION_ENABLED: 'true', DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS: '0.2' },
        DD_TRACE_GIT_METADATA_ENABLED: 'false',
      };
      const scene = await sceneOfTest(binary, { daemon: { env } });
      await underLoad(scene, { name, binary, promise: 'none lost' }, async (load) => {
        await load.seen(900);
        await strange?.();
        const agent = await FakeAgent.start(port);
        onTestFinished(() => agent.stop());
        await expect.poll(() => agent.spans.length, { timeout: 30_000 }).toBeGreaterThan(0);
        await load.seen(300);
      });
    },
  );
});

/** Returns how to end it, with all its connections. */
async function listen(
  port: number,
  answer: (socket: Socket, turn: number) => void,
): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket
      .on('error', () => socket.destroy())
      .on('close', () => sockets.delete(socket))
      .resume();
    answer(socket, turn++);
  });
  const stop = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  onTestFinished(() => void stop());
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return stop;
}
