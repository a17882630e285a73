/** What two agents of ours say to each other in their HELLOs, and that it is nothing to anybody else. */
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  AgentConnection,
  ByteWriter,
  decodeAgentHello,
  decodeFrame,
  decodeHaproxyHello,
  encodeAgentHello,
  encodeHaproxyHello,
  encodeNotify,
  type PeerAnswer,
  type TypedDataInput,
} from '../../src/spop/index.ts';
import { writeKvList } from '../../src/spop/kv-list.ts';
import { decodeAgentFrames, HEALTHCHECK_HELLO, TYPICAL_HELLO } from '../support/spop-client.ts';
import { CAPTURES, onTheWire } from './fixtures.ts';

const INSTANCE = '0123456789abcdef';
const NONCE = '00112233445566778899aabbccddeeff';
const GREETING = { instance: INSTANCE, nonce: NONCE };
const ANSWER: PeerAnswer = { instance: 'fedcba9876543210', proof: 'ab'.repeat(32) };
const PEER_HELLO = encodeHaproxyHello({ ...TYPICAL_HELLO, peer: GREETING });

function payloadOf(frame: Buffer): Buffer {
  const decoded = decodeFrame(frame.subarray(4));
  if (decoded.kind === 'unknown') throw new Error('expected a known frame');
  return decoded.payload;
}

function haproxyHello(items: readonly (readonly [name: string, value: TypedDataInput])[]): Buffer {
  const writer = new ByteWriter();
  writer.bytes(payloadOf(encodeHaproxyHello(TYPICAL_HELLO)));
  writeKvList(
    writer,
    items.map(([name, value]) => ({ name, value })),
  );
  return writer.take();
}

const string = (value: string): TypedDataInput => ({ type: 'string', value });

describe('the HELLOs of agents', () => {
  it('come back as they were said', () => {
    expect(decodeHaproxyHello(payloadOf(PEER_HELLO)).peer).toEqual(GREETING);
    for (const peer of [ANSWER, { ...ANSWER, proof: undefined }]) {
      const frame = encodeAgentHello({ version: '2.0', maxFrameSize: 256, capabilities: [], peer });
      expect(decodeAgentHello(payloadOf(frame)).peer).toEqual(peer);
    }
  });

  it.each([
    ['an instance too short', [['appsec-edge-peer', string('0123456789abcde')]]],
    ['an instance in upper case', [['appsec-edge-peer', string('0123456789ABCDEF')]]],
    ['an instance with a line end', [['appsec-edge-peer', string('0123456789abcde\n')]]],
    ['an instance of another type', [['appsec-edge-peer', { type: 'uint32', value: 1 }]]],
    ['an instance without a nonce', [['appsec-edge-peer', string(INSTANCE)]]],
    [
      'a nonce too long',
      [
        ['appsec-edge-peer', string(INSTANCE)],
        ['appsec-edge-nonce', string(`${NONCE}0`)],
      ],
    ],
    [
      'an instance twice',
      [
        ['appsec-edge-peer', string(INSTANCE)],
        ['appsec-edge-peer', string(INSTANCE)],
      ],
    ],
  ] as const)('are refused with %s', (_, items) => {
    expect(() => decodeHaproxyHello(haproxyHello(items))).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_ITEM' }),
    );
  });
});

describe('an agent', () => {
  it('knows a peer by its HELLO, and answers it', () => {
    const asked: unknown[] = [];
    const connection = new AgentConnection({
      answerPeer: (greeting) => {
        asked.push(greeting);
        return ANSWER;
      },
    });
    connection.receive(PEER_HELLO);
    expect(asked).toEqual([GREETING]);
    expect(connection.hello?.peer).toEqual(GREETING);
    const output = connection.takeOutput();
    expect(output && decodeAgentFrames(output)).toMatchObject([{ hello: { peer: ANSWER } }]);
  });

  it('without peers of its own still knows one, and says nothing', () => {
    const connection = new AgentConnection();
    connection.receive(PEER_HELLO);
    expect(connection.hello?.peer).toEqual(GREETING);
    const plain = new AgentConnection();
    plain.receive(encodeHaproxyHello(TYPICAL_HELLO));
    expect(connection.takeOutput()).toEqual(plain.takeOutput());
  });

  it.each(CAPTURES)('with peers answers HAProxy $version as one without', ({ hello, healthcheckHello }) => {
    for (const frame of [hello, healthcheckHello]) {
      const withPeers = new AgentConnection({ answerPeer: () => ANSWER });
      const without = new AgentConnection();
      expect(withPeers.receive(onTheWire(frame))).toEqual(without.receive(onTheWire(frame)));
      expect(withPeers.hello?.peer).toBeUndefined();
      expect(withPeers.takeOutput()).toEqual(without.takeOutput());
    }
  });

  it('refuses the health check of a peer while draining, as any', () => {
    const connection = new AgentConnection({ refuseHealthchecks: true, answerPeer: () => ANSWER });
    const events = connection.receive(encodeHaproxyHello({ ...HEALTHCHECK_HELLO, peer: GREETING }));
    expect(events).toEqual([{ kind: 'healthcheck', refused: true }]);
  });
});

describe('the room for the answer to a relayed NOTIFY', () => {
  function roomFor(frameId: number | bigint, hello: Buffer): number {
    const connection = new AgentConnection();
    const notify = connection.receive(Buffer.concat([hello, encodeNotify(1, frameId, [])])).at(-1);
    if (notify?.kind !== 'notify') throw new Error('expected a NOTIFY');
    return notify.maxActionsBytes;
  }

  it('is the frame-id, which a peer sets to what HAProxy can take', () => {
    expect(roomFor(1000, PEER_HELLO)).toBe(1000);
  });

  it('is never more than the frame agreed on with the peer has', () => {
    const fitting = roomFor(60_000, encodeHaproxyHello(TYPICAL_HELLO));
    expect(roomFor(60_000, PEER_HELLO)).toBe(fitting);
    expect(roomFor(2n ** 63n, PEER_HELLO)).toBeLessThan(fitting);
  });

  it('is never less than the smallest frame of HAProxy has', () => {
    expect(roomFor(1, PEER_HELLO)).toBe(256 - 5 - 20);
  });

  it('has nothing to do with the frame-id of HAProxy', () => {
    expect(roomFor(300, encodeHaproxyHello(TYPICAL_HELLO))).toBe(16_380 - 5 - 1 - 2);
  });
});
