/** Peers that do not keep to the protocol, or to anything: raw sockets in the place of an agent. */
import { createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { PeerNetworkOptions } from '../../../../src/adapters/haproxy/peers/network.ts';
import { peerAnswerer } from '../../../../src/adapters/haproxy/peers/proof.ts';
import {
  decodeFrame,
  decodeHaproxyHello,
  encodeAck,
  encodeAgentDisconnect,
  encodeAgentHello,
  encodeMessages,
  FrameSplitter,
  type PeerGreeting,
} from '../../../../src/spop/index.ts';
import { ask, instanceOf, startNetwork, startServer } from '../../../support/peer-agents.ts';

const [A, B, C] = [instanceOf('a'), instanceOf('b'), instanceOf('c')];
const MESSAGE = encodeMessages([{ name: 'm', args: [] }]);

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo();
});

function greetingOf(bytes: Buffer): PeerGreeting {
  const splitter = new FrameSplitter(2 ** 24);
  splitter.push(bytes);
  const frame = decodeFrame(splitter.next() ?? Buffer.alloc(0));
  if (frame.kind !== 'haproxy-hello') throw new Error('expected HAPROXY-HELLO');
  const { peer } = decodeHaproxyHello(frame.payload);
  if (peer === undefined) throw new Error('expected a peer');
  return peer;
}

const helloOf = (instance: string, proof?: string) =>
  encodeAgentHello({
    version: '2.0',
    maxFrameSize: 65_536,
    capabilities: ['pipelining'],
    peer: { instance, proof },
  });

/** A listener that does as it is told with each connection, given its first bytes. */
async function rawPeer(serve: (socket: Socket, hello: Buffer) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    cleanUp.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => serve(socket, bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function network(port: number, changes?: Partial<PeerNetworkOptions>) {
  const started = startNetwork(A, [port], changes);
  cleanUp.push(() => started.network.stop());
  return started;
}

describe('a peer that', () => {
  it('never says HELLO is given up', async () => {
    const port = await rawPeer(() => undefined);
    const { told } = network(port, { timings: { helloMs: 30 } });
    expect(await told.until('not linked')).toContain('no-hello');
  });

  it('takes relays and never answers is given up, and a relay costs nothing then', async () => {
    const port = await rawPeer((socket) => socket.write(helloOf(B)));
    const { network: a, told } = network(port, { timings: { silentMs: 60, firstPauseMs: 60_000 } });
    await told.until('linked');
    expect(await ask(a, B, MESSAGE, 20)).toBeUndefined();
    expect(await told.until('unlinked')).toContain('silent');
    // Whatever waited would wait for longer than a test may take.
    expect(await ask(a, B, MESSAGE, 600_000)).toBeUndefined();
  });

  it('owes too many answers gets no more relays, and is given up once nobody waits for them', async () => {
    const port = await rawPeer((socket) => socket.write(helloOf(B)));
    const { network: a, told } = network(port, { timings: { silentMs: 60_000 } });
    await told.until('linked');
    const answers: Promise<unknown>[] = [];
    for (let count = 0; count < 512; count += 1) answers.push(ask(a, B, MESSAGE, 100));
    expect(a.pending).toBe(512);
    answers.push(ask(a, B, MESSAGE, 100));
    expect(a.pending).toBe(512);
    expect(await told.until('unlinked')).toContain('silent');
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 513 }, () => undefined));
  });

  it('is slow but not silent stays', async () => {
    const port = await rawPeer((socket) => {
      socket.write(helloOf(B));
      let streamId = 0;
      socket.on('data', () => {
        streamId += 1;
        const answered = streamId;
        const action = { kind: 'unset-var' as const, scope: 'txn' as const, name: 'n' };
        setTimeout(() => socket.write(encodeAck(answered, 16_000, [action])), 150);
      });
    });
    const { network: a, told } = network(port, { timings: { silentMs: 1000 } });
    await told.until('linked');
    // For longer than it may be silent; and a stall of most of a second does not make it silent.
    for (let count = 0; count < 8; count += 1) {
      expect(await ask(a, B, MESSAGE, 5)).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(told.lines).toHaveLength(1);
  });

  it('never reads gets no more relays than its buffers hold, and they fail at once', async () => {
    const port = await rawPeer((socket) => {
      socket.write(helloOf(B));
      socket.pause();
    });
    const { network: a, told } = network(port, { timings: { silentMs: 60_000 } });
    await told.until('linked');
    const payload = Buffer.alloc(60_000);
    let refused = 0;
    let sent = 0;
    while (refused === 0) {
      a.relay(B, payload, 1000, 60_000, () => {
        refused += 1;
      });
      sent += 1;
      if (sent % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    // It was the socket that had enough, not the bound of 512 relays: 30 MB.
    expect(sent).toBeLessThan(512);
    expect(a.pending).toBe(sent - 1);
    a.stop();
    expect(refused).toBe(sent);
  });

  it('has the proof of another connection is not believed', async () => {
    let proof: string | undefined;
    const secret = 'a secret of ours';
    const honest = peerAnswerer(B, secret);
    const port = await rawPeer((socket, bytes) => {
      // The first connection learns a proof, the second uses it.
      const fresh = honest(greetingOf(bytes)).proof;
      if (proof === undefined) socket.destroy();
      else socket.write(helloOf(B, proof));
      proof = fresh;
    });
    const { told } = network(port, { secret });
    await told.until('wrong-secret');
    expect(told.lines.some((line) => line.startsWith('linked'))).toBe(false);
  });

  it('has our own proof of another instance is not believed', async () => {
    const secret = 'a secret of ours';
    const port = await rawPeer((socket, bytes) => {
      const { proof } = peerAnswerer(A, secret)(greetingOf(bytes));
      socket.write(helloOf(B, proof));
    });
    const { told } = network(port, { secret });
    await told.until('wrong-secret');
  });

  it('answers what was not asked is cut off', async () => {
    const port = await rawPeer((socket) => {
      socket.write(Buffer.concat([helloOf(B), encodeAck(1, 1, [])]));
    });
    const { told } = network(port);
    expect(await told.until('unlinked')).toContain('protocol');
  });

  it('says goodbye is dialled again', async () => {
    let connections = 0;
    const port = await rawPeer((socket) => {
      connections += 1;
      const hello = helloOf(connections === 1 ? B : C);
      socket.write(connections === 1 ? Buffer.concat([hello, encodeAgentDisconnect(0, 'bye')]) : hello);
    });
    const { network: a, told } = network(port);
    expect(await told.until(`unlinked ${B}`)).toContain('goodbye');
    await told.until(`linked ${C}`);
    expect(a.instances).toEqual([C]);
  });

  it('resets the connection with relays in flight has them answered with nothing', async () => {
    const port = await rawPeer((socket) => {
      socket.write(helloOf(B));
      socket.once('data', () => socket.resetAndDestroy());
    });
    const { network: a, told } = network(port);
    await told.until('linked');
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(a, B, MESSAGE, 60_000)));
    expect(answers).toEqual(Array.from({ length: 20 }, () => undefined));
  });
});

it('any bytes of a peer leave other links alone and throw nothing', async () => {
  const noise = fc.array(
    fc.oneof(
      fc.constant(helloOf(B)),
      fc.constant(encodeAck(1, 16_000, [])),
      fc.constant(encodeAgentDisconnect(0, 'bye')),
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map((array) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(array.length);
        return Buffer.concat([length, array]);
      }),
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    ),
    { maxLength: 6 },
  );
  const good = await startServer(C);
  cleanUp.push(() => good.server.close());
  let bytes: Buffer[] = [];
  const port = await rawPeer((socket) => {
    for (const part of bytes) socket.write(part);
    socket.end();
  });
  const { network: a, told } = startNetwork(A, [good.port]);
  cleanUp.push(() => a.stop());
  await told.until(`linked ${C}`);
  await fc.assert(
    fc.asyncProperty(noise, async (parts) => {
      bytes = parts;
      const hostile = startNetwork(A, [port], { timings: { firstPauseMs: 60_000, longestPauseMs: 60_000 } });
      const ended = Promise.race([hostile.told.until('unlinked'), hostile.told.until('not linked')]);
      const relayed = hostile.told.until(`linked ${B}`).then(() => ask(hostile.network, B, MESSAGE, 60_000));
      await ended;
      if (hostile.told.lines.some((line) => line.startsWith('linked'))) expect(await relayed).toBeUndefined();
      hostile.network.stop();
    }),
    { numRuns: 200 },
  );
  expect(await ask(a, C, MESSAGE)).toMatchObject({ by: C });
  expect(told.lines).toEqual([`linked ${C} at 127.0.0.1:${good.port}`]);
});
