/**
 * The two HELLO frames (SPOE.txt 3.2.4 and 3.2.5) and what follows from them: a version, a frame size and
 * capabilities that both sides can hold to.
 *
 * We speak 2.0. Announcing a major version includes its lower minors, so any "2.x" in HAProxy's list will
 * do. The frame size is the smaller of both. The only capability we ever announce is `pipelining`, and
 * only to a peer that has it: ACKs stay on their connection (no `async`), frames are never reassembled (no
 * `fragmentation`).
 *
 * Agents of ours add items of their own to both frames when one of them connects to another: who speaks, and what
 * the other side needs to be sure of it (src/adapters/haproxy/peers/proof.ts). HAProxy sends none of them and would
 * ignore them (3.2.4: unknown items may be), and so does an agent that does not know them.
 *
 * Items that we do not know are ignored; one that we know is refused when it appears twice or has the
 * wrong type. Any of the four integer types will do for max-frame-size, as for HAProxy.
 */
import type { Buffer } from 'node:buffer';
import { ByteWriter } from './byte-writer.ts';
import { FrameType, MIN_FRAME_SIZE, writeFrame } from './frame.ts';
import { type KvItem, readKvList, writeKvList } from './kv-list.ts';
import { SpopError, type SpopErrorCode } from './spop-error.ts';
import { type TypedData, typedText } from './typed-data.ts';

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

/** What an agent of ours says when it connects to another: items `appsec-edge-peer` and `appsec-edge-nonce`. */
export interface PeerGreeting {
  /** The process that connects: 16 hexadecimal digits, new at each of its starts. */
  readonly instance: string;
  /** 32 hexadecimal digits, drawn for this connection. */
  readonly nonce: string;
}

/** What the other answers: items `appsec-edge-instance` and `appsec-edge-proof`. */
export interface PeerAnswer {
  readonly instance: string;
  /** 64 hexadecimal digits, from an agent that has a secret. */
  readonly proof: string | undefined;
}

const INSTANCE_DIGITS = 16;
const NONCE_DIGITS = 32;
const PROOF_DIGITS = 64;

/** @throws SpopError with status 4 to 7: malformed, or one of the three mandatory items missing. */
export function decodeHaproxyHello(payload: Buffer): HaproxyHello {
  const items = readKvList(payload, [
    'supported-versions',
    'max-frame-size',
    'capabilities',
    'healthcheck',
    'engine-id',
    'appsec-edge-peer',
    'appsec-edge-nonce',
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
    peer: greetingOf(items.get('appsec-edge-peer'), items.get('appsec-edge-nonce')),
  };
}

/** @throws SpopError as `decodeHaproxyHello` does. */
export function decodeAgentHello(payload: Buffer): AgentHello {
  const items = readKvList(payload, [
    'version',
    'max-frame-size',
    'capabilities',
    'appsec-edge-instance',
    'appsec-edge-proof',
  ]);
  const version = required(items, 'version', 'SPOP_NO_VERSION');
  const maxFrameSize = required(items, 'max-frame-size', 'SPOP_NO_MAX_FRAME_SIZE');
  const capabilities = required(items, 'capabilities', 'SPOP_NO_CAPABILITIES');
  return {
    version: stringOf(version, 'version').trim(),
    maxFrameSize: sizeOf(maxFrameSize),
    capabilities: listOf(capabilities, 'capabilities'),
    peer: answerOf(items.get('appsec-edge-instance'), items.get('appsec-edge-proof')),
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
    text('version', hello.version),
    { name: 'max-frame-size', value: { type: 'uint32', value: hello.maxFrameSize } },
    text('capabilities', hello.capabilities.join(',')),
  ];
  if (hello.peer !== undefined) {
    items.push(text('appsec-edge-instance', hello.peer.instance));
    if (hello.peer.proof !== undefined) items.push(text('appsec-edge-proof', hello.peer.proof));
  }
  return encodeHello(FrameType.AGENT_HELLO, items);
}

/** A whole HAPROXY-HELLO frame, length included. */
export function encodeHaproxyHello(hello: HaproxyHello): Buffer {
  const items: KvItem[] = [
    text('supported-versions', hello.supportedVersions.join(',')),
    { name: 'max-frame-size', value: { type: 'uint32', value: hello.maxFrameSize } },
    text('capabilities', hello.capabilities.join(',')),
  ];
  if (hello.healthcheck) items.push({ name: 'healthcheck', value: { type: 'boolean', value: true } });
  if (hello.engineId !== undefined) items.push(text('engine-id', hello.engineId));
  if (hello.peer !== undefined) {
    items.push(text('appsec-edge-peer', hello.peer.instance), text('appsec-edge-nonce', hello.peer.nonce));
  }
  return encodeHello(FrameType.HAPROXY_HELLO, items);
}

function text(name: string, value: string): KvItem {
  return { name, value: { type: 'string', value } };
}

function greetingOf(instance: TypedData | undefined, nonce: TypedData | undefined): PeerGreeting | undefined {
  if (instance === undefined) return undefined;
  return {
    instance: digitsOf(instance, 'appsec-edge-peer', INSTANCE_DIGITS),
    nonce: digitsOf(nonce, 'appsec-edge-nonce', NONCE_DIGITS),
  };
}

function answerOf(instance: TypedData | undefined, proof: TypedData | undefined): PeerAnswer | undefined {
  if (instance === undefined) return undefined;
  return {
    instance: digitsOf(instance, 'appsec-edge-instance', INSTANCE_DIGITS),
    proof: proof && digitsOf(proof, 'appsec-edge-proof', PROOF_DIGITS),
  };
}

/** Hexadecimal digits, in lower case, and exactly so many: they are compared, logged, and go into a proof. */
function digitsOf(data: TypedData | undefined, name: string, count: number): string {
  const digits = data === undefined ? '' : stringOf(data, name);
  if (digits.length !== count || !/^[0-9a-f]+$/.test(digits)) {
    throw new SpopError('SPOP_BAD_ITEM', `item ${name} is not ${count} hexadecimal digits`);
  }
  return digits;
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

function stringOf(data: TypedData, name: string): string {
  const text = data.type === 'string' ? typedText(data) : undefined;
  if (text === undefined)
    throw new SpopError('SPOP_BAD_ITEM', `item ${name} is ${data.type}, expected string`);
  return text;
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
