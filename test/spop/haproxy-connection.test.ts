import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  AgentConnection,
  type AgentHello,
  decodeActions,
  decodeDisconnect,
  decodeFrame,
  decodeHaproxyHello,
  decodeMessages,
  encodeAck,
  encodeActions,
  encodeAgentDisconnect,
  encodeAgentHello,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeMessages,
  encodeNotify,
  FrameSplitter,
  HaproxyConnection,
  type HaproxyConnectionOptions,
} from '../../src/spop/index.ts';
import { TYPICAL_HELLO } from '../support/spop-client.ts';
import { CAPTURES, onTheWire } from './fixtures.ts';

const AGENT_HELLO: AgentHello = { version: '2.0', maxFrameSize: 16_384, capabilities: ['pipelining'] };
const ACTIONS = [{ kind: 'unset-var' as const, scope: 'txn' as const, name: 'n' }];
const GREETING = { instance: '0123456789abcdef', nonce: '00112233445566778899aabbccddeeff' };

const answered = (changes: Partial<AgentHello> = {}) => encodeAgentHello({ ...AGENT_HELLO, ...changes });
const bare = (hex: string) => onTheWire(Buffer.from(hex, 'hex'));

/** A connection whose HELLO was answered, and whose output was taken. */
function open(options: HaproxyConnectionOptions = {}, changes: Partial<AgentHello> = {}): HaproxyConnection {
  const connection = new HaproxyConnection(options);
  expect(connection.receive(answered(changes))).toMatchObject([{ kind: 'hello' }]);
  connection.takeOutput();
  return connection;
}

/** The frames that a connection wants to send. */
function sent(connection: HaproxyConnection) {
  const splitter = new FrameSplitter(2 ** 24);
  splitter.push(connection.takeOutput() ?? Buffer.alloc(0));
  const frames = [];
  for (let bytes = splitter.next(); bytes !== undefined; bytes = splitter.next()) {
    const frame = decodeFrame(bytes);
    if (frame.kind === 'unknown') throw new Error('a frame of unknown type');
    frames.push(frame);
  }
  return frames;
}

describe('the handshake', () => {
  it('begins with HAPROXY-HELLO, before anything was received', () => {
    const [hello, ...rest] = sent(new HaproxyConnection({ maxFrameSize: 1000, peer: GREETING }));
    expect(rest).toEqual([]);
    expect(hello).toMatchObject({ kind: 'haproxy-hello', streamId: 0, frameId: 0, fin: true });
    expect(decodeHaproxyHello(hello?.payload ?? Buffer.alloc(0))).toEqual({
      supportedVersions: ['2.0'],
      maxFrameSize: 1000,
      capabilities: ['pipelining'],
      healthcheck: false,
      engineId: undefined,
      peer: GREETING,
    });
  });

  it('is completed by the agent’s side of this folder', () => {
    const haproxy = new HaproxyConnection({ maxFrameSize: 20_000, peer: GREETING });
    const answer = { instance: 'fedcba9876543210', proof: 'ab'.repeat(32) };
    const agent = new AgentConnection({ maxFrameSize: 10_000, answerPeer: () => answer });
    agent.receive(haproxy.takeOutput() ?? Buffer.alloc(0));
    expect(agent.hello?.peer).toEqual(GREETING);
    const events = haproxy.receive(agent.takeOutput() ?? Buffer.alloc(0));
    expect(events).toEqual([
      {
        kind: 'hello',
        hello: { version: '2.0', maxFrameSize: 10_000, capabilities: ['pipelining'], peer: answer },
      },
    ]);
    expect(haproxy.open).toBe(true);
  });

  it.each([
    ['ACK', encodeAck(1, 1, ACTIONS), 'SPOP_HELLO_EXPECTED', 4],
    ['HAPROXY-HELLO', encodeHaproxyHello(TYPICAL_HELLO), 'SPOP_HELLO_EXPECTED', 4],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'SPOP_FRAME_TOO_BIG', 3],
    ['an unknown type', bare('2a'), 'SPOP_HELLO_EXPECTED', 4],
    ['an empty HELLO', bare('650000000100' + '00'), 'SPOP_NO_VERSION', 5],
    ['a HELLO without FIN', bare('65000000000000'), 'SPOP_FRAGMENTED', 10],
    ['a HELLO with a stream-id', bare('65000000010100'), 'SPOP_BAD_FRAME_IDS', 4],
    ['another version', answered({ version: '3.0' }), 'SPOP_UNSUPPORTED_VERSION', 8],
    ['frames too small', answered({ maxFrameSize: 255 }), 'SPOP_BAD_MAX_FRAME_SIZE', 9],
    ['frames larger than offered', answered({ maxFrameSize: 16_385 }), 'SPOP_BAD_MAX_FRAME_SIZE', 9],
    [
      'an instance that is none',
      answered({ peer: { instance: 'abc', proof: undefined } }),
      'SPOP_BAD_ITEM',
      4,
    ],
  ])('that is answered with %s ends, and the agent is told why', (_, bytes, code, status) => {
    const connection = new HaproxyConnection();
    connection.takeOutput();
    expect(connection.receive(bytes)).toMatchObject([{ kind: 'error', error: { code, status } }]);
    const [goodbye] = sent(connection);
    expect(goodbye?.kind).toBe('haproxy-disconnect');
    expect(decodeDisconnect(goodbye?.payload ?? Buffer.alloc(0)).status).toBe(status);
    expect(connection.closed).toBe(true);
  });

  it('can be refused with AGENT-DISCONNECT', () => {
    const connection = new HaproxyConnection();
    connection.takeOutput();
    expect(connection.receive(encodeAgentDisconnect(13, 'full'))).toEqual([
      { kind: 'disconnect', status: 13, message: 'full' },
    ]);
    expect(connection.closed).toBe(true);
    expect(connection.takeOutput()).toBeUndefined();
  });
});

describe('NOTIFY', () => {
  it.each(CAPTURES)('carries the payload that HAProxy $version sent, byte for byte', ({ notify }) => {
    const frame = decodeFrame(notify);
    if (frame.kind === 'unknown') throw new Error('expected a NOTIFY');
    const connection = open();
    expect(connection.notify(frame.payload, 300)).toBe(1);
    const [relayed] = sent(connection);
    expect(relayed).toMatchObject({ kind: 'notify', streamId: 1, frameId: 300, fin: true });
    expect(relayed?.payload).toEqual(frame.payload);
    expect(decodeMessages(relayed?.payload ?? Buffer.alloc(0))).toEqual(decodeMessages(frame.payload));
  });

  it('has a stream-id of its own each time, and all since the last output leave together', () => {
    const connection = open();
    expect([connection.notify(Buffer.alloc(0)), connection.notify(Buffer.alloc(0))]).toEqual([1, 2]);
    expect(connection.inFlight).toBe(2);
    expect(connection.pendingOutputBytes).toBeGreaterThan(0);
    expect(sent(connection).map(({ streamId, frameId }) => [streamId, frameId])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(connection.pendingOutputBytes).toBe(0);
  });

  it('is not sent before HELLO or after the end', () => {
    const connection = new HaproxyConnection();
    connection.takeOutput();
    expect(connection.notify(Buffer.alloc(0))).toBeUndefined();
    connection.receive(Buffer.concat([answered(), encodeAgentDisconnect(0, 'bye')]));
    expect(connection.notify(Buffer.alloc(0))).toBeUndefined();
    expect(connection.takeOutput()).toBeUndefined();
  });

  it('is not sent when its frame exceeds the agreed size', () => {
    const connection = open({}, { maxFrameSize: 256 });
    expect(connection.notify(Buffer.alloc(250))).toBeUndefined();
    expect(connection.inFlight).toBe(0);
    expect(connection.notify(Buffer.alloc(249))).toBe(1);
  });

  it('waits for the one before it where the agent has no pipelining', () => {
    const connection = open({}, { capabilities: [] });
    expect(connection.notify(Buffer.alloc(0))).toBe(1);
    expect(connection.notify(Buffer.alloc(0))).toBeUndefined();
    connection.receive(encodeAck(1, 1, ACTIONS));
    expect(connection.notify(Buffer.alloc(0))).toBe(2);
  });

  it('is read by the agent’s side and answered through it', () => {
    const haproxy = open();
    const agent = new AgentConnection();
    agent.receive(encodeHaproxyHello({ ...TYPICAL_HELLO, peer: GREETING }));
    agent.takeOutput();
    haproxy.notify(encodeMessages([{ name: 'm', args: [] }]), 500);
    const [event] = agent.receive(haproxy.takeOutput() ?? Buffer.alloc(0));
    if (event?.kind !== 'notify') throw new Error('expected a NOTIFY');
    expect(event.maxActionsBytes).toBe(500);
    agent.ack(event.streamId, event.frameId, ACTIONS);
    const [ack] = haproxy.receive(agent.takeOutput() ?? Buffer.alloc(0));
    expect(ack).toMatchObject({ kind: 'ack', streamId: 1 });
    if (ack?.kind === 'ack') expect(decodeActions(ack.actions)).toEqual(ACTIONS);
    expect(haproxy.inFlight).toBe(0);
  });
});

describe('ACK', () => {
  it('hands out ids and actions in whatever order they come', () => {
    const connection = open();
    for (let count = 0; count < 3; count += 1) connection.notify(Buffer.alloc(0));
    const events = connection.receive(
      Buffer.concat([encodeAck(3, 1, ACTIONS), encodeAck(1, 1, []), encodeAck(2, 1, ACTIONS)]),
    );
    expect(events).toEqual([
      { kind: 'ack', streamId: 3, actions: encodeActions(ACTIONS) },
      { kind: 'ack', streamId: 1, actions: Buffer.alloc(0) },
      { kind: 'ack', streamId: 2, actions: encodeActions(ACTIONS) },
    ]);
  });

  it.each([
    ['of a stream-id that was never sent', encodeAck(2, 1, ACTIONS)],
    ['of another frame-id', encodeAck(1, 2, ACTIONS)],
    ['twice', Buffer.concat([encodeAck(1, 1, ACTIONS), encodeAck(1, 1, ACTIONS)])],
    ['of a stream-id beyond 2^53', encodeAck(2n ** 60n, 1, ACTIONS)],
  ])('%s ends the connection with 12', (_, bytes) => {
    const connection = open();
    connection.notify(Buffer.alloc(0));
    expect(connection.receive(bytes).at(-1)).toMatchObject({
      kind: 'error',
      error: { code: 'SPOP_ACK_UNKNOWN_FRAME', status: 12 },
    });
    expect(connection.closed).toBe(true);
  });
});

describe('after the handshake', () => {
  it.each([
    ['a second HELLO', answered(), 'SPOP_HELLO_REPEATED'],
    ['NOTIFY', encodeNotify(1, 1, []), 'SPOP_WRONG_DIRECTION'],
    ['HAPROXY-DISCONNECT', encodeHaproxyDisconnect(0, 'bye'), 'SPOP_WRONG_DIRECTION'],
    ['UNSET', bare('00000000010101'), 'SPOP_FRAGMENTED'],
    ['ACK without FIN', bare('67000000000101'), 'SPOP_FRAGMENTED'],
    ['a frame over the agreed size', onTheWire(Buffer.alloc(300, 0x67)), 'SPOP_FRAME_TOO_BIG'],
  ])('%s ends the connection', (_, bytes, code) => {
    const connection = open({}, { maxFrameSize: 256 });
    connection.notify(Buffer.alloc(0));
    expect(connection.receive(bytes)).toMatchObject([{ kind: 'error', error: { code } }]);
    expect(connection.closed).toBe(true);
    expect(connection.receive(answered())).toEqual([]);
  });

  it('a frame of unknown type is skipped', () => {
    const connection = open();
    expect(connection.receive(bare('2a'))).toEqual([]);
    expect(connection.open).toBe(true);
  });

  it('a goodbye of ours is sent once', () => {
    const connection = open();
    connection.disconnect(0, 'done');
    connection.disconnect(1, 'again');
    expect(sent(connection).map(({ kind }) => kind)).toEqual(['haproxy-disconnect']);
    expect(connection.closed).toBe(true);
  });
});

it('refuses a frame size that cannot be', () => {
  expect(() => new HaproxyConnection({ maxFrameSize: 255 })).toThrow(RangeError);
});
