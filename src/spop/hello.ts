/**
 * The two HELLO frames (SPOE.txt 3.2.4 and 3.2.5) and what follows from them: a version, a frame size and
 * capabilities that both sides can hold to.
 *
 * We speak 2.0. Announcing a major version includes its lower minors, so any "2.x" in HAProxy's list will
 * do. The frame size is the smaller of both. The only capability we ever announce is `pipelining`, and
 * only to a peer that has it: ACKs stay on their connection (no `async`), frames are never reassembled (no
 * `fragmentation`).
 *
 * Agents of ours add items of their own to both frames when one of them connects to another: peer-extension.ts.
 *
 * Items that we do not know are ignored; one that we know is refused when it appears twice or has the
 * wrong type. Any of the four integer types will do for max-frame-size, as for HAProxy.
 */
import type { Buffer } from 'node:buffer';
import { ByteWriter } from './byte-writer.ts';
import { FrameType, MIN_FRAME_SIZE, writeFrame } from './frame.ts';
import { type KvItem, readKvList, stringItem, stringOf, writeKvList } from './kv-list.ts';
import {
  ANSWER_ITEMS,
  answerItems,
  GREETING_ITEMS,
  greetingItems,
  type PeerAnswer,
  type PeerGreeting,
  readAnswer,
  readGreeting,
} from './peer-extension.ts';
import { SpopError, type SpopErrorCode } from './spop-error.ts';
import type { TypedData } from './typed-data.ts';

/** The version we answer with. */
export const SPOP_VERSION = '2.0';

/** What HAPROXY-HELLO says. */
export interface HaproxyHello {
  /** Such as ['2.0'], in the order announced, spaces removed. */
  readonly supportedVersions: readonly string[];
  /** Bytes of a frame, without the four of its length. */
  readonly maxFrameSize: number;
  readonly capabilities: readonly string[];
  /** Sent by `option spop-check`: the connection ends with our answer. */
  readonly healthcheck: boolean;
  /** Names one engine of one HAProxy process; absent in health checks. */
  readonly engineId: string | undefined;
  /** Another agent of ours is on this connection, in the place of HAProxy. */
  readonly peer?: PeerGreeting | undefined;
}

/** What AGENT-HELLO says. */
export interface AgentHello {
  readonly version: string;
  readonly maxFrameSize: number;
  readonly capabilities: readonly string[];
  /** Who answers, if it is an agent of ours that has peers. */
  readonly peer?: PeerAnswer | undefined;
}

/** @throws SpopError with status 4 to 7: malformed, or one of the three mandatory items missing. */
export function decodeHaproxyHello(payload: Buffer): HaproxyHello {
  const items = readKvList(payload, [
    'supported-versions',
    'max-frame-size',
    'capabilities',
    'healthcheck',
    'engine-id',
    ...GREETING_ITEMS,
  ]);
  const versions = required(items, 'supported-versions', 'SPOP_NO_VERSION');
  const maxFrameSize = required(items, 'max-frame-size', 'SPOP_NO_MAX_FRAME_SIZE');
  const capabilities = required(items, 'capabilities', 'SPOP_NO_CAPABILITIES');
  const healthcheck = items.get('healthcheck');
  const engineId = items.get('engine-id');
  return {
    supportedVersions: listOf(versions, 'supported-versions'),
    maxFrameSize: sizeOf(maxFrameSize),
    capabilities: listOf(capabilities, 'capabilities'),
    healthcheck: healthcheck !== undefined && booleanOf(healthcheck, 'healthcheck'),
    engineId: engineId === undefined ? undefined : stringOf(engineId, 'engine-id'),
    peer: readGreeting(items),
  };
}

/** @throws SpopError as `decodeHaproxyHello` does. */
export function decodeAgentHello(payload: Buffer): AgentHello {
  const items = readKvList(payload, ['version', 'max-frame-size', 'capabilities', ...ANSWER_ITEMS]);
  const version = required(items, 'version', 'SPOP_NO_VERSION');
  const maxFrameSize = required(items, 'max-frame-size', 'SPOP_NO_MAX_FRAME_SIZE');
  const capabilities = required(items, 'capabilities', 'SPOP_NO_CAPABILITIES');
  return {
    version: stringOf(version, 'version').trim(),
    maxFrameSize: sizeOf(maxFrameSize),
    capabilities: listOf(capabilities, 'capabilities'),
    peer: readAnswer(items),
  };
}

/** No HAProxy has buffers of this size; above it, what looks like a length is HTTP. */
const LARGEST_AGREED_SIZE = 2 ** 28;

/**
 * Our answer to a HELLO. HAProxy gets the frame size that it offers: up to 3.0 it has no way out with a
 * message that is larger than what was agreed on, and takes its neighbours with it. What is larger than we keep is
 * not kept. Another agent offers what it keeps itself: with it the smaller counts.
 * @param ownMaxFrameSize the largest frame that we keep, in bytes
 * @throws SpopError with status 8 (no common version) or 9 (frames under 256 bytes)
 */
export function negotiate(hello: HaproxyHello, ownMaxFrameSize: number): AgentHello {
  if (!hello.supportedVersions.some((version) => /^2\.\d+$/.test(version))) {
    const offered = hello.supportedVersions.join(', ').slice(0, 60);
    throw new SpopError(
      'SPOP_UNSUPPORTED_VERSION',
      `SPOP versions offered: "${offered}"; spoken: ${SPOP_VERSION}`,
    );
  }
  if (hello.maxFrameSize < MIN_FRAME_SIZE) {
    throw new SpopError(
      'SPOP_BAD_MAX_FRAME_SIZE',
      `max-frame-size ${hello.maxFrameSize} is under the minimum of ${MIN_FRAME_SIZE} bytes`,
    );
  }
  return {
    version: SPOP_VERSION,
    maxFrameSize: Math.min(hello.maxFrameSize, hello.peer ? ownMaxFrameSize : LARGEST_AGREED_SIZE),
    capabilities: hello.capabilities.includes('pipelining') ? ['pipelining'] : [],
  };
}

/** A whole AGENT-HELLO frame, length included. */
export function encodeAgentHello(hello: AgentHello): Buffer {
  const items: KvItem[] = [
    stringItem('version', hello.version),
    { name: 'max-frame-size', value: { type: 'uint32', value: hello.maxFrameSize } },
    stringItem('capabilities', hello.capabilities.join(',')),
  ];
  if (hello.peer !== undefined) items.push(...answerItems(hello.peer));
  return encodeHello(FrameType.AGENT_HELLO, items);
}

/** A whole HAPROXY-HELLO frame, length included. */
export function encodeHaproxyHello(hello: HaproxyHello): Buffer {
  const items: KvItem[] = [
    stringItem('supported-versions', hello.supportedVersions.join(',')),
    { name: 'max-frame-size', value: { type: 'uint32', value: hello.maxFrameSize } },
    stringItem('capabilities', hello.capabilities.join(',')),
  ];
  if (hello.healthcheck) items.push({ name: 'healthcheck', value: { type: 'boolean', value: true } });
  if (hello.engineId !== undefined) items.push(stringItem('engine-id', hello.engineId));
  if (hello.peer !== undefined) items.push(...greetingItems(hello.peer));
  return encodeHello(FrameType.HAPROXY_HELLO, items);
}

function encodeHello(type: FrameType, items: readonly KvItem[]): Buffer {
  const writer = new ByteWriter();
  writeFrame(writer, { type, streamId: 0, frameId: 0 }, () => writeKvList(writer, items));
  return writer.take();
}

function required(items: ReadonlyMap<string, TypedData>, name: string, code: SpopErrorCode): TypedData {
  const value = items.get(name);
  if (value === undefined) throw new SpopError(code, `item ${name} is missing`);
  return value;
}

function sizeOf(data: TypedData): number {
  if (typeof data.value !== 'number') {
    const code = typeof data.value === 'bigint' ? 'SPOP_BAD_MAX_FRAME_SIZE' : 'SPOP_BAD_ITEM';
    throw new SpopError(code, `item max-frame-size is ${data.type}, expected a 32-bit size in bytes`);
  }
  return data.value;
}

function booleanOf(data: TypedData, name: string): boolean {
  if (data.type !== 'boolean') {
    throw new SpopError('SPOP_BAD_ITEM', `item ${name} is ${data.type}, expected boolean`);
  }
  return data.value;
}

/** The parts of a comma-separated list; spaces are ignored (SPOE.txt 3.2.4), and so are empty parts. */
function listOf(data: TypedData, name: string): string[] {
  return stringOf(data, name)
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
