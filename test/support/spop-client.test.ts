import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Action, AgentConnection, decodeMessages } from '../../src/spop/index.ts';
import { SpopClient } from './spop-client.ts';

const ACTION: Action = { kind: 'set-var', scope: 'txn', name: 'n', value: { type: 'boolean', value: true } };

/** The smallest server there can be around an AgentConnection, which answers `silent` with nothing. */
async function withAgent(test: (port: number) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    const connection = new AgentConnection();
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      for (const event of connection.receive(chunk)) {
        if (event.kind !== 'notify') continue;
        const silent = decodeMessages(event.payload).some(({ name }) => name === 'silent');
        if (!silent) connection.ack(event.streamId, event.frameId, [ACTION]);
      }
      const output = connection.takeOutput();
      if (output !== undefined) socket.write(output);
      if (connection.closed) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  try {
    await test(address.port);
  } finally {
    server.close();
  }
}

describe('SpopClient', () => {
  it('shakes hands, asks, and says goodbye', async () => {
    await withAgent(async (port) => {
      const client = await SpopClient.connect({ port });
      expect((await client.hello()).maxFrameSize).toBe(16_380);
      const answers = await Promise.all([1, 2, 3].map(() => client.notify([{ name: 'm', args: [] }])));
      expect(answers).toMatchObject([1, 2, 3].map((streamId) => ({ streamId, actions: [ACTION] })));
      expect(await client.disconnect()).toEqual({ status: 0, message: 'bye' });
      await client.closed;
    });
  });

  it('fails what it waits for when the connection ends', async () => {
    await withAgent(async (port) => {
      const client = await SpopClient.connect({ port });
      await client.hello();
      const answer = expect(client.notify([{ name: 'silent', args: [] }])).rejects.toThrow('closed');
      client.write(new Uint8Array(4));
      expect(await client.goodbye()).toMatchObject({ status: 4 });
      await answer;
      await expect(client.next()).rejects.toThrow('closed');
    });
  });

  it('tells a refused HELLO', async () => {
    await withAgent(async (port) => {
      const client = await SpopClient.connect({ port });
      await expect(client.hello({ supportedVersions: ['3.0'] })).rejects.toThrow('HELLO was refused');
      await client.closed;
    });
  });
});
