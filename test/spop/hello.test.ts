import type { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteWriter,
  decodeAgentHello,
  decodeFrame,
  decodeHaproxyHello,
  encodeAgentHello,
  encodeHaproxyHello,
  type HaproxyHello,
  negotiate,
  type TypedDataInput,
} from '../../src/spop/index.ts';
import { type KvItem, writeKvList } from '../../src/spop/kv-list.ts';
import { typedData } from './arbitraries.ts';
import { CAPTURES } from './fixtures.ts';

const string = (value: string): TypedDataInput => ({ type: 'string', value });
const uint32 = (value: number): TypedDataInput => ({ type: 'uint32', value });

const COMPLETE: readonly KvItem[] = [
  { name: 'supported-versions', value: string('2.0') },
  { name: 'max-frame-size', value: uint32(16_380) },
  { name: 'capabilities', value: string('pipelining') },
];

function payload(items: readonly KvItem[]): Buffer {
  const writer = new ByteWriter();
  writeKvList(writer, items);
  return writer.take();
}
const changed = (name: string, value: TypedDataInput) =>
  payload(COMPLETE.map((item) => (item.name === name ? { name, value } : item)));
const without = (name: string) => payload(COMPLETE.filter((item) => item.name !== name));
const withMore = (...items: KvItem[]) => payload([...COMPLETE, ...items]);

function payloadOf(frame: Buffer): Buffer {
  const decoded = decodeFrame(frame);
  if (decoded.kind === 'unknown') throw new Error('expected a known frame');
  return decoded.payload;
}

const HELLO: HaproxyHello = {
  supportedVersions: ['2.0'],
  maxFrameSize: 16_380,
  capabilities: ['pipelining', 'async'],
  healthcheck: false,
  engineId: undefined,
};

describe('HAPROXY-HELLO', () => {
  it.each(CAPTURES)('of HAProxy $version is understood', (capture) => {
    expect(decodeHaproxyHello(payloadOf(capture.hello))).toEqual({
      supportedVersions: ['2.0'],
      maxFrameSize: 16_380,
      capabilities: capture.helloCapabilities,
      healthcheck: false,
      engineId: capture.helloEngineId,
    });
  });

  it.each(CAPTURES)('of a health check of HAProxy $version is understood', (capture) => {
    expect(decodeHaproxyHello(payloadOf(capture.healthcheckHello))).toEqual({
      supportedVersions: ['2.0'],
      maxFrameSize: 16_380,
      capabilities: [],
      healthcheck: true,
      engineId: undefined,
    });
  });

  it.each(CAPTURES)('is encoded to the very bytes of HAProxy $version', ({ hello, healthcheckHello }) => {
    for (const frame of [hello, healthcheckHello]) {
      const encoded = encodeHaproxyHello(decodeHaproxyHello(payloadOf(frame)));
      expect(encoded.subarray(4).toString('hex')).toBe(frame.toString('hex'));
    }
  });

  it('has lists in which spaces do not count', () => {
    const hello = decodeHaproxyHello(
      payload([
        { name: 'supported-versions', value: string(' 1.0 ,  2.0') },
        { name: 'max-frame-size', value: uint32(256) },
        { name: 'capabilities', value: string('pipelining , async,') },
      ]),
    );
    expect(hello).toMatchObject({ supportedVersions: ['1.0', '2.0'], capabilities: ['pipelining', 'async'] });
  });

  it('may hold items that nobody knows, of any type', () => {
    fc.assert(
      fc.property(typedData, (value) => {
        const hello = decodeHaproxyHello(withMore({ name: 'x-future', value }, { name: 'x-future', value }));
        expect(hello.maxFrameSize).toBe(16_380);
      }),
    );
  });

  it.each([
    ['supported-versions', 'SPOP_NO_VERSION', 5],
    ['max-frame-size', 'SPOP_NO_MAX_FRAME_SIZE', 6],
    ['capabilities', 'SPOP_NO_CAPABILITIES', 7],
  ])('without %s is refused with its own code', (name, code, status) => {
    expect(() => decodeHaproxyHello(without(name))).toThrow(expect.objectContaining({ code, status }));
  });

  it.each<[string, TypedDataInput]>([
    ['supported-versions', uint32(2)],
    ['supported-versions', { type: 'binary', value: new Uint8Array([50]) }],
    ['max-frame-size', string('16380')],
    ['max-frame-size', { type: 'boolean', value: true }],
    ['capabilities', { type: 'null', value: null }],
  ])('with %s as %o is refused', (name, value) => {
    expect(() => decodeHaproxyHello(changed(name, value))).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_ITEM', status: 4 }),
    );
  });

  it.each<KvItem>([
    { name: 'healthcheck', value: string('true') },
    { name: 'engine-id', value: uint32(1) },
    { name: 'capabilities', value: string('pipelining') },
  ])('with a second or odd $name is refused', (item) => {
    expect(() => decodeHaproxyHello(withMore(item))).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_ITEM', status: 4 }),
    );
  });

  it.each(['int32', 'uint32', 'int64', 'uint64'] as const)('may have its max-frame-size as %s', (type) => {
    expect(decodeHaproxyHello(changed('max-frame-size', { type, value: 1_000 })).maxFrameSize).toBe(1_000);
  });

  it('with healthcheck = false is a normal one', () => {
    const hello = decodeHaproxyHello(
      withMore({ name: 'healthcheck', value: { type: 'boolean', value: false } }),
    );
    expect(hello.healthcheck).toBe(false);
  });
});

describe('negotiation', () => {
  it.each([
    [['2.0']],
    [['1.0', '2.0']],
    [['2.0', '1.5']],
    [['2.7']],
    [['3.0', '2.0']],
    [['nonsense', '2.0']],
  ])('answers 2.0 to %j', (supportedVersions) => {
    expect(negotiate({ ...HELLO, supportedVersions }, 16_384).version).toBe('2.0');
  });

  it.each([[['1.0']], [['3.0']], [['1.0', '3.0']], [[]], [['2']], [['20.0']], [['2.x']], [['-2.0']]])(
    'refuses %j with status 8',
    (supportedVersions) => {
      expect(() => negotiate({ ...HELLO, supportedVersions }, 16_384)).toThrow(
        expect.objectContaining({ code: 'SPOP_UNSUPPORTED_VERSION', status: 8 }),
      );
    },
  );

  it.each([
    [16_380, 131_072, 16_380],
    [131_084, 16_384, 131_084],
    [256, 16_384, 256],
    [2 ** 32 - 1, 16_384, 2 ** 28],
  ])(
    'gives HAProxy the frames of %i bytes that it offers, with %i of our own: %i',
    (theirs, ours, expected) => {
      expect(negotiate({ ...HELLO, maxFrameSize: theirs }, ours).maxFrameSize).toBe(expected);
    },
  );

  it.each([
    [16_380, 131_072, 16_380],
    [131_084, 16_384, 16_384],
  ])('settles frames of %i that another agent offers and %i of our own on %i', (theirs, ours, expected) => {
    const peer = { instance: '0'.repeat(16), nonce: '0'.repeat(32) };
    expect(negotiate({ ...HELLO, maxFrameSize: theirs, peer }, ours).maxFrameSize).toBe(expected);
  });

  it.each([255, 1, 0, -1])('refuses frames of %i bytes with status 9', (maxFrameSize) => {
    expect(() => negotiate({ ...HELLO, maxFrameSize }, 16_384)).toThrow(
      expect.objectContaining({ code: 'SPOP_BAD_MAX_FRAME_SIZE', status: 9 }),
    );
  });

  it('refuses a max-frame-size beyond 2^53 with status 9 too', () => {
    const huge = changed('max-frame-size', { type: 'uint64', value: 2n ** 60n });
    expect(() => decodeHaproxyHello(huge)).toThrow(expect.objectContaining({ status: 9 }));
  });

  it.each([
    [['pipelining', 'async', 'fragmentation'], ['pipelining']],
    [['pipelining'], ['pipelining']],
    [['async'], []],
    [[], []],
  ])('of capabilities %j announces %j', (capabilities, expected) => {
    expect(negotiate({ ...HELLO, capabilities }, 16_384).capabilities).toEqual(expected);
  });
});

describe('AGENT-HELLO', () => {
  it('comes back as it was said', () => {
    const hello = { version: '2.0', maxFrameSize: 16_380, capabilities: ['pipelining'] };
    expect(decodeAgentHello(payloadOf(encodeAgentHello(hello).subarray(4)))).toEqual(hello);
  });

  it.each([
    ['version', 5],
    ['max-frame-size', 6],
    ['capabilities', 7],
  ])('without %s is refused with status %i', (name, status) => {
    const items = [{ name: 'version', value: string('2.0') }, ...COMPLETE.slice(1)];
    expect(() => decodeAgentHello(payload(items.filter((item) => item.name !== name)))).toThrow(
      expect.objectContaining({ status }),
    );
  });
});
