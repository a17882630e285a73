/** What listens where the daemon looks for another agent, and is none, or is one that went mad. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  decodeFrame,
  encodeAck,
  encodeActions,
  encodeAgentDisconnect,
  encodeAgentHello,
  FrameSplitter,
  FrameType,
} from '../src/spop/index.ts';
import { frame } from './wrong.ts';

/** What it says to be: the daemon relays to it what names this instance. */
export const hostileInstance = 'f'.repeat(16);

type Id = number | bigint;
/** The answer to each relayed NOTIFY; `slow` comes late. */
type Behaviour = (socket: Socket, streamId: Id, frameId: Id) => void;

const answer = encodeActions([
  { kind: 'set-var', scope: 'txn', name: 'request_body', value: { type: 'boolean', value: false } },
  { kind: 'set-var', scope: 'txn', name: 'response_body', value: { type: 'boolean', value: false } },
]);

const behaviours: readonly Behaviour[] = [
  (socket, streamId, frameId) => socket.write(frame(FrameType.ACK, streamId, frameId, answer)),
  () => undefined,
  (socket, streamId, frameId) => socket.write(frame(FrameType.ACK, streamId, frameId, Buffer.alloc(0))),
  (socket, streamId, frameId) =>
    socket.write(frame(FrameType.ACK, streamId, frameId, Buffer.concat(Array<Buffer>(1_000).fill(answer)))),
  (socket, streamId, frameId) => {
    const ack = frame(FrameType.ACK, streamId, frameId, answer);
    socket.write(Buffer.concat([ack, ack]));
  },
  (socket, streamId) => socket.write(encodeAck(streamId, 2 ** 40, [])),
  (socket) => socket.write(Buffer.alloc(100_000, 0xff)),
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.end(),
  (socket) => socket.write(encodeAgentDisconnect(99, 'x'.repeat(200))),
  (socket, streamId, frameId) => {
    setTimeout(() => socket.write(frame(FrameType.ACK, streamId, frameId, answer)), 400).unref();
  },
];

/** The answer to HELLO; undefined: none. */
const greetings: readonly (Buffer | undefined)[] = [
  undefined,
  Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  encodeAgentHello({ version: '9.9', maxFrameSize: 16_380, capabilities: [] }),
  encodeAgentHello({ version: '2.0', maxFrameSize: 16_380, capabilities: ['pipelining'] }),
  encodeAgentDisconnect(13, 'no'),
];

export interface HostilePeer {
  readonly port: number;
  /** Relayed NOTIFYs that came. */
  readonly relayed: () => number;
  stop(): void;
}

export async function startHostilePeer(): Promise<HostilePeer> {
  const sockets = new Set<Socket>();
  let [connections, relayed] = [0, 0];
  const server = createServer((socket) => {
    const turn = connections;
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    // Mostly it is linked to, for the answers to NOTIFYs are the larger field.
    if (turn % 12 === 11) {
      const greeting = greetings[Math.floor(turn / 12) % greetings.length];
      if (greeting !== undefined) socket.write(greeting);
      return;
    }
    const behave = behaviours[turn % behaviours.length];
    const splitter = new FrameSplitter(2 ** 24);
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      for (let bytes = splitter.next(); bytes !== undefined; bytes = splitter.next()) {
        const received = decodeFrame(bytes);
        if (received.kind === 'haproxy-hello') socket.write(greetingOfAgent);
        if (received.kind !== 'notify') continue;
        relayed += 1;
        if (socket.writable) behave?.(socket, received.streamId, received.frameId);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, relayed: () => relayed, stop };
}

const greetingOfAgent = encodeAgentHello({
  version: '2.0',
  maxFrameSize: 65_536,
  capabilities: ['pipelining'],
  peer: { instance: hostileInstance, proof: undefined },
});
