import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  type Action,
  AgentConnection,
  type AgentEvent,
  encodeActions,
  encodeAgentHello,
  encodeHaproxyDisconnect,
  encodeHaproxyHello,
  encodeNotify,
  SpopError,
} from '../../src/spop/index.ts';
import { decodeAgentFrames, HEALTHCHECK_HELLO, TYPICAL_HELLO } from '../support/spop-client.ts';
import { CAPTURES, IDLE_DISCONNECT, onTheWire } from './fixtures.ts';

const HELLO = encodeHaproxyHello(TYPICAL_HELLO);
const ACTION: Action = { kind: 'set-var', scope: 'txn', name: 'n', value: { type: 'boolean', value: true } };
const notify = (streamId: number | bigint, frameId: number | bigint) => encodeNotify(streamId, frameId, []);

/** A frame written out by hand: type, flags, ids, nothing more. */
const bare = (hex: string) => onTheWire(Buffer.from(hex, 'hex'));

/** A connection after its HELLO, whose answer was taken. */
function open(options?: ConstructorParameters<typeof AgentConnection>[0], hello = HELLO): AgentConnection {
  const connection = new AgentConnection(options);
  expect(connection.receive(hello)).toMatchObject([{ kind: 'hello' }]);
  connection.takeOutput();
  return connection;
}

function sent(connection: AgentConnection) {
  return decodeAgentFrames(connection.takeOutput() ?? Buffer.alloc(0));
}

const kinds = (events: readonly AgentEvent[]) => events.map((event) => event.kind);
const refusal = (code: string, status: number) => [{ kind: 'error', error: { code, status } }];
const goodbye = (status: number) => [{ kind: 'agent-disconnect', disconnect: { status } }];

describe('handshake', () => {
  it.each(CAPTURES)('is completed with HAProxy $version', ({ hello, helloEngineId }) => {
    const connection = new AgentConnection({ maxFrameSize: 131_072 });
    expect(connection.receive(onTheWire(hello))).toMatchObject([
      { kind: 'hello', hello: { engineId: helloEngineId }, negotiated: { maxFrameSize: 16_380 } },
    ]);
    expect(sent(connection)).toEqual([
      { kind: 'agent-hello', hello: { version: '2.0', maxFrameSize: 16_380, capabilities: ['pipelining'] } },
    ]);
    expect(connection.open).toBe(true);
  });

  it.each(CAPTURES)('of a health check of HAProxy $version gets AGENT-HELLO and the end', (capture) => {
    const connection = new AgentConnection();
    expect(connection.receive(onTheWire(capture.healthcheckHello))).toEqual([
      { kind: 'healthcheck', refused: false },
    ]);
    // Any buffer of HAProxy holds a frame of 256 bytes; the size offered does not tell how large it is.
    const hello = { capabilities: [], maxFrameSize: 256 };
    expect(sent(connection)).toMatchObject([{ kind: 'agent-hello', hello }]);
    expect(connection.closed).toBe(true);
  });

  it('of a health check is refused while draining, and a normal one is not', () => {
    const connection = new AgentConnection({ refuseHealthchecks: true });
    expect(connection.receive(encodeHaproxyHello(HEALTHCHECK_HELLO))).toEqual([
      { kind: 'healthcheck', refused: true },
    ]);
    expect(sent(connection)).toEqual([
      { kind: 'agent-disconnect', disconnect: { status: 13, message: 'draining' } },
    ]);
    expect(open({ refuseHealthchecks: true }).open).toBe(true);
  });

  it('can be told to refuse health checks after the connection was made', () => {
    const connection = new AgentConnection();
    connection.refuseHealthchecks = true;
    expect(connection.receive(encodeHaproxyHello(HEALTHCHECK_HELLO))).toMatchObject([{ refused: true }]);
  });

  it.each([
    ['without a common version', { supportedVersions: ['3.0'] }, 'SPOP_UNSUPPORTED_VERSION', 8],
    ['with frames too small', { maxFrameSize: 255 }, 'SPOP_BAD_MAX_FRAME_SIZE', 9],
  ])('%s ends with its status', (_, changes, code, status) => {
    const connection = new AgentConnection();
    const events = connection.receive(encodeHaproxyHello({ ...TYPICAL_HELLO, ...changes }));
    expect(events).toMatchObject(refusal(code, status));
    expect(sent(connection)).toMatchObject(goodbye(status));
    expect(connection.closed).toBe(true);
  });

  it.each([
    ['NOTIFY', notify(1, 1), 'SPOP_HELLO_EXPECTED', 4],
    [
      'AGENT-HELLO',
      encodeAgentHello({ version: '2.0', maxFrameSize: 256, capabilities: [] }),
      'SPOP_HELLO_EXPECTED',
      4,
    ],
    ['UNSET', bare('00000000010101'), 'SPOP_HELLO_EXPECTED', 4],
    ['an unknown type', bare('2a'), 'SPOP_HELLO_EXPECTED', 4],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'SPOP_FRAME_TOO_BIG', 3],
    ['TLS', Buffer.from('16030100f8010000f40303', 'hex'), 'SPOP_FRAME_TOO_BIG', 3],
    ['an empty HELLO', bare('01000000010000'), 'SPOP_NO_VERSION', 5],
    ['HELLO without FIN', bare('01000000000000'), 'SPOP_FRAGMENTED', 10],
    ['HELLO with a stream-id', bare('01000000010100'), 'SPOP_BAD_FRAME_IDS', 4],
    ['HELLO with a frame-id', bare('01000000010001'), 'SPOP_BAD_FRAME_IDS', 4],
  ])('that begins with %s is refused', (_, bytes, code, status) => {
    const connection = new AgentConnection();
    expect(connection.receive(bytes)).toMatchObject(refusal(code, status));
    expect(sent(connection)).toMatchObject(goodbye(status));
    expect(connection.closed).toBe(true);
  });

  it('that begins with a goodbye is answered with one', () => {
    const connection = new AgentConnection();
    expect(kinds(connection.receive(encodeHaproxyDisconnect(0, 'normal')))).toEqual(['disconnect']);
    expect(sent(connection)).toMatchObject(goodbye(0));
  });

  it('leaves in one piece together with an answer to what followed in the same read', () => {
    const connection = new AgentConnection();
    connection.receive(Buffer.concat([HELLO, notify(1, 1)]));
    connection.ack(1, 1, [ACTION]);
    expect(sent(connection).map((frame) => frame.kind)).toEqual(['agent-hello', 'ack']);
    expect(connection.takeOutput()).toBeUndefined();
  });

  it('is no time for large frames: a HELLO has some hundred bytes', () => {
    const connection = new AgentConnection({ maxFrameSize: 2 ** 24 });
    expect(connection.receive(Buffer.from([0, 0, 0x40, 1]))).toMatchObject(refusal('SPOP_FRAME_TOO_BIG', 3));
  });

  it('cannot be set up with frames that SPOP does not allow', () => {
    for (const maxFrameSize of [255, 0, -1, 1.5, Number.NaN, 2 ** 24 + 1]) {
      expect(() => new AgentConnection({ maxFrameSize })).toThrow(RangeError);
    }
  });
});

describe('after the handshake', () => {
  it.each([
    ['a second HELLO', HELLO, 'SPOP_HELLO_REPEATED', 4],
    ['AGENT-HELLO', bare('65000000010000'), 'SPOP_WRONG_DIRECTION', 4],
    ['AGENT-DISCONNECT', bare('66000000010000'), 'SPOP_WRONG_DIRECTION', 4],
    ['ACK', bare('67000000010101'), 'SPOP_WRONG_DIRECTION', 4],
    ['UNSET', bare('00000000010101'), 'SPOP_FRAGMENTED', 10],
    ['NOTIFY without FIN', bare('03000000000101'), 'SPOP_FRAGMENTED', 10],
    ['NOTIFY with ABORT and no FIN', bare('03000000020101'), 'SPOP_FRAGMENTED', 10],
    ['NOTIFY with frame-id 0', notify(1, 0), 'SPOP_BAD_FRAME_IDS', 4],
    ['NOTIFY cut off in its ids', bare('030000000101'), 'SPOP_OUT_OF_BYTES', 4],
    ['a stream-id over 64 bits', bare(`0300000001${'ff'.repeat(10)}`), 'SPOP_BAD_VARINT', 4],
    ['DISCONNECT with a stream-id', bare('02000000010100'), 'SPOP_BAD_FRAME_IDS', 4],
    ['DISCONNECT without FIN', bare('02000000000000'), 'SPOP_FRAGMENTED', 10],
    ['a malformed DISCONNECT', bare('0200000001000005'), 'SPOP_OUT_OF_BYTES', 4],
    ['a frame of no bytes', Buffer.alloc(4), 'SPOP_FRAME_EMPTY', 4],
    ['a frame over the limit', Buffer.from([0, 0, 0x40, 1]), 'SPOP_FRAME_TOO_BIG', 3],
  ])('%s is refused, and the peer is told why', (_, bytes, code, status) => {
    const connection = open();
    const events = connection.receive(bytes);
    expect(events).toMatchObject(refusal(code, status));
    const [event] = events;
    const message = event?.kind === 'error' ? event.error.message : undefined;
    expect(sent(connection)).toEqual([{ kind: 'agent-disconnect', disconnect: { status, message } }]);
    expect(connection.closed).toBe(true);
  });

  it.each(['2a', '04', 'c8ffffffff'])('a frame of unknown type (%s) is skipped (SPOE.txt 3.2.2)', (hex) => {
    const connection = open();
    expect(kinds(connection.receive(Buffer.concat([bare(hex), notify(7, 1)])))).toEqual(['notify']);
  });

  it('a NOTIFY is handed on with its ids and payload, ABORT or not', () => {
    expect(open().receive(bare('0300000001f0000100aa'))).toEqual([
      {
        kind: 'notify',
        streamId: 240,
        frameId: 1,
        maxActionsBytes: 16_380 - 8,
        payload: Buffer.from([0, 0xaa]),
      },
    ]);
    expect(open().receive(bare('03000000030101'))).toMatchObject([{ kind: 'notify' }]);
  });

  it.each(CAPTURES)(
    'the first NOTIFY of HAProxy $version is accepted, whose stream-id may be 0',
    (capture) => {
      const connection = open();
      expect(connection.receive(onTheWire(capture.notify))).toMatchObject([
        { kind: 'notify', streamId: capture.notifyStreamId, frameId: 1 },
      ]);
      expect(connection.ack(capture.notifyStreamId, 1, [ACTION])).toBe(true);
    },
  );

  it('ids of 64 bits come back exactly in the ACK', () => {
    const connection = open();
    const [streamId, frameId] = [2n ** 64n - 1n, 2n ** 53n + 1n];
    connection.receive(notify(streamId, frameId));
    connection.ack(streamId, frameId, [ACTION]);
    expect(sent(connection)).toMatchObject([{ kind: 'ack', streamId, frameId }]);
  });

  describe('a NOTIFY with the ids of an earlier one, as HAProxy 3.0 sends it when it gave up on that', () => {
    const other: Action = { ...ACTION, name: 'other' };
    const received = (connection: AgentConnection, bytes: Buffer) =>
      connection.receive(bytes).filter((event) => event.kind === 'notify');

    it('replaces it: only the newer is awaited, and counted', () => {
      const connection = open();
      const [older, newer] = received(connection, Buffer.concat([notify(1, 1), notify(1, 1), notify(2, 1)]));
      if (older === undefined || newer === undefined) throw new Error('not received');
      expect([older, newer].map((one) => connection.isAwaited(one))).toEqual([false, true]);
      expect(connection.inFlight).toBe(2);
      connection.ack(1, 1, [ACTION]);
      expect([older, newer].map((one) => connection.isAwaited(one))).toEqual([false, false]);
    });

    it('takes back the ACK of the older that has not left yet, and nothing else', () => {
      const connection = open();
      connection.receive(Buffer.concat([notify(5, 1), notify(1, 1), notify(2, 1), notify(3, 1)]));
      for (const streamId of [5, 1, 2]) connection.ack(streamId, 1, [ACTION]);
      connection.receive(Buffer.concat([notify(1, 1), notify(2, 1)]));
      connection.ack(3, 1, [ACTION]);
      connection.ack(1, 1, [other]);
      expect(sent(connection)).toMatchObject([
        { kind: 'ack', streamId: 5, actions: [ACTION] },
        { kind: 'ack', streamId: 3, actions: [ACTION] },
        { kind: 'ack', streamId: 1, actions: [other] },
      ]);
      expect(connection.inFlight).toBe(1);
    });

    it('is answered for itself when the ACK of the older has left', () => {
      const connection = open();
      connection.receive(notify(1, 1));
      connection.ack(1, 1, [ACTION]);
      expect(sent(connection)).toMatchObject([{ actions: [ACTION] }]);
      connection.receive(notify(1, 1));
      connection.ack(1, 1, [other]);
      expect(sent(connection)).toMatchObject([{ actions: [other] }]);
    });
  });

  it('a NOTIFY that HAProxy gave up on is not in flight any more, and its ids are free for the next', () => {
    const connection = open();
    const [older] = connection.receive(notify(1, 1));
    if (older?.kind !== 'notify') throw new Error('not received');
    connection.giveUp(older);
    expect([connection.inFlight, connection.isAwaited(older)]).toEqual([0, false]);
    connection.receive(notify(1, 1));
    connection.giveUp(older);
    expect(connection.inFlight).toBe(1);
  });

  it('a NOTIFY over the negotiated size but within our own is accepted: HAProxy 3.1 sends them', () => {
    const small = encodeHaproxyHello({ ...TYPICAL_HELLO, maxFrameSize: 256 });
    const connection = open({ maxFrameSize: 4_096 }, small);
    const large = encodeNotify(1, 1, [
      { name: 'm', args: [{ name: 'a', value: { type: 'binary', value: Buffer.alloc(4_000) } }] },
    ]);
    expect(kinds(connection.receive(large))).toEqual(['notify']);
  });

  it('a NOTIFY over our own size that HAProxy offered is told without its end, and answered as any other', () => {
    const connection = open({ maxFrameSize: 256 });
    const large = encodeNotify(7, 3, [
      { name: 'm', args: [{ name: 'a', value: { type: 'binary', value: Buffer.alloc(16_000) } }] },
    ]);
    for (const cut of [1, 300, large.length]) {
      const events = [large.subarray(0, cut), large.subarray(cut)].flatMap((bytes) =>
        connection.receive(bytes),
      );
      const [event] = events;
      if (event?.kind !== 'notify') throw new Error(`not a NOTIFY: ${event?.kind}`);
      expect(event).toMatchObject({ streamId: 7, frameId: 3 });
      expect(event.payload.subarray(0, 2)).toEqual(Buffer.from([1, 109]));
      expect(7 + event.payload.length + (event.missingBytes ?? 0)).toBe(large.length - 4);
      expect(connection.ack(7, 3, [ACTION])).toBe(true);
    }
    expect(kinds(connection.receive(notify(1, 1)))).toEqual(['notify']);
  });

  it('any other frame over our own size is refused, though HAProxy offered it', () => {
    const connection = open({ maxFrameSize: 256 });
    const goodbye = onTheWire(Buffer.concat([Buffer.from('02000000010000', 'hex'), Buffer.alloc(2000)]));
    expect(connection.receive(goodbye)).toMatchObject(refusal('SPOP_FRAME_TOO_BIG', 3));
  });

  it('what came before a violation in the same read is still handed on', () => {
    const events = open().receive(Buffer.concat([notify(1, 1), Buffer.alloc(4), notify(2, 1)]));
    expect(kinds(events)).toEqual(['notify', 'error']);
  });

  it('HAProxy’s goodbye is told with its status and answered with 0', () => {
    const connection = open();
    expect(connection.receive(onTheWire(IDLE_DISCONNECT))).toEqual([
      { kind: 'disconnect', status: 2, message: 'a timeout occurred' },
    ]);
    expect(sent(connection)).toMatchObject(goodbye(0));
    expect(connection.closed).toBe(true);
  });

  it('nothing is read or written once closed', () => {
    const connection = open();
    connection.receive(notify(1, 1));
    connection.disconnect(0, 'bye');
    expect(sent(connection)).toEqual([
      { kind: 'agent-disconnect', disconnect: { status: 0, message: 'bye' } },
    ]);
    expect(connection.receive(notify(2, 1))).toEqual([]);
    expect(connection.ack(1, 1, [ACTION])).toBe(false);
    connection.disconnect(4, 'again');
    expect(connection.takeOutput()).toBeUndefined();
  });
});

describe('a closed connection', () => {
  it('has nothing in flight and keeps no more bytes', () => {
    const connection = open();
    connection.receive(notify(1, 1));
    connection.disconnect();
    expect(connection.inFlight).toBe(0);
    connection.receive(Buffer.alloc(1_000));
    expect(connection.end().pendingBytes).toBe(0);
  });
});

function roomOf([event]: readonly AgentEvent[]): number {
  if (event?.kind !== 'notify') throw new Error('expected a NOTIFY');
  return event.maxActionsBytes;
}

describe('ACK', () => {
  it('counts down what is in flight', () => {
    const connection = open();
    connection.receive(Buffer.concat([notify(1, 1), notify(2, 1)]));
    expect(connection.inFlight).toBe(2);
    connection.ack(2, 1, [ACTION]);
    expect(connection.inFlight).toBe(1);
  });

  it('may come in any order, and all of them leave in one piece', () => {
    const connection = open();
    connection.receive(Buffer.concat([notify(1, 1), notify(2, 1), notify(3, 1)]));
    for (const streamId of [3, 1, 2]) connection.ack(streamId, 1, [ACTION]);
    expect(sent(connection)).toMatchObject([{ streamId: 3 }, { streamId: 1 }, { streamId: 2 }]);
  });

  it('takes actions that were encoded elsewhere', () => {
    const connection = open();
    connection.receive(notify(1, 1));
    connection.ack(1, 1, new Uint8Array(encodeActions([ACTION])));
    expect(sent(connection)).toMatchObject([{ kind: 'ack', actions: [ACTION] }]);
  });

  it.each([
    ['no actions', []],
    ['no bytes', new Uint8Array()],
  ])('of %s is refused: HAProxy 3.1.0 stalls', (_, none) => {
    const connection = open();
    connection.receive(notify(1, 1));
    expect(() => connection.ack(1, 1, none)).toThrow(expect.objectContaining({ code: 'SPOP_ACK_EMPTY' }));
    expect(connection.takeOutput()).toBeUndefined();
    expect(connection.inFlight).toBe(1);
  });

  it.each([
    [1, 1],
    [240, 2_288],
    [0, 2n ** 64n - 1n],
  ])(
    'of ids %s and %s fits to the last byte that the NOTIFY promises, and not one more',
    (streamId, frameId) => {
      const connection = open({}, encodeHaproxyHello({ ...TYPICAL_HELLO, maxFrameSize: 300 }));
      const room = roomOf(connection.receive(notify(streamId, frameId)));
      expect(() => connection.ack(streamId, frameId, Buffer.alloc(room + 1, 1))).toThrow(
        expect.objectContaining({ code: 'SPOP_ACK_TOO_BIG', status: 3 }),
      );
      expect(connection.takeOutput()).toBeUndefined();
      expect(connection.ack(streamId, frameId, Buffer.alloc(room, 1))).toBe(true);
      expect(connection.takeOutput()).toHaveLength(304);
    },
  );

  it('that is too large leaves what was queued before it untouched', () => {
    const connection = open();
    connection.receive(Buffer.concat([notify(1, 1), notify(2, 1)]));
    connection.ack(1, 1, [ACTION]);
    const huge: Action = { ...ACTION, value: { type: 'binary', value: Buffer.alloc(20_000) } };
    expect(() => connection.ack(2, 1, [huge])).toThrow(SpopError);
    expect(sent(connection)).toMatchObject([{ kind: 'ack', streamId: 1 }]);
  });

  it('that cannot be encoded leaves nothing behind either', () => {
    const connection = open();
    connection.receive(notify(1, 1));
    expect(() => connection.ack(1, 1, [ACTION, { ...ACTION, name: '€' }])).toThrow(RangeError);
    expect(connection.takeOutput()).toBeUndefined();
    expect(connection.inFlight).toBe(1);
  });

  it.each([
    [1, 2],
    [2, 1],
  ])('of ids %i and %i that nobody sent is refused, as is a second one', (streamId, frameId) => {
    const unknown = expect.objectContaining({ code: 'SPOP_ACK_UNKNOWN_FRAME', status: 12 });
    const connection = open();
    connection.receive(notify(1, 1));
    expect(() => connection.ack(streamId, frameId, [ACTION])).toThrow(unknown);
    connection.ack(1, 1, [ACTION]);
    expect(() => connection.ack(1, 1, [ACTION])).toThrow(unknown);
  });

  it('is refused before HELLO', () => {
    const connection = new AgentConnection();
    expect(() => connection.ack(1, 1, [ACTION])).toThrow(SpopError);
  });
});

describe('end of the stream', () => {
  it('between two frames is a goodbye', () => {
    const connection = open();
    connection.receive(notify(1, 1));
    expect(connection.end()).toEqual({ truncated: false, pendingBytes: 0, inFlight: 1 });
    expect(connection.closed).toBe(true);
    expect(connection.takeOutput()).toBeUndefined();
  });

  it('inside a frame is told with what was there of it', () => {
    const connection = open();
    connection.receive(notify(1, 1).subarray(0, 6));
    expect(connection.end()).toEqual({ truncated: true, pendingBytes: 6, inFlight: 0 });
  });

  it('after the connection was closed is nothing new', () => {
    const connection = open();
    connection.receive(notify(1, 1).subarray(0, 6));
    connection.disconnect();
    expect(connection.end().truncated).toBe(false);
  });
});
