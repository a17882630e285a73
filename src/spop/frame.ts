/**
 * The frame around every payload (SPOE.txt 3.2): a type, flags, a stream-id and a frame-id. What comes
 * before it on the wire, the four bytes of length, is frame-splitter.ts; what comes after it belongs to
 * messages.ts (NOTIFY), actions.ts (ACK), hello.ts and disconnect.ts.
 */
import type { Buffer } from 'node:buffer';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Uint64 } from './varint.ts';

/** Frame types, grouped by who sends them. */
export const FrameType = {
  UNSET: 0,
  HAPROXY_HELLO: 1,
  HAPROXY_DISCONNECT: 2,
  NOTIFY: 3,
  AGENT_HELLO: 101,
  AGENT_DISCONNECT: 102,
  ACK: 103,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** The two flags that have a meaning; the other thirty bits are reserved and ignored. */
export const FrameFlag = { FIN: 1, ABORT: 2 } as const;

/** Bytes that announce the length of a frame, and are not part of it. */
export const LENGTH_BYTES = 4;

/** No peer may ask for smaller frames (SPOE.txt 3.2). */
export const MIN_FRAME_SIZE = 256;

const KIND_OF_TYPE = {
  [FrameType.UNSET]: 'unset',
  [FrameType.HAPROXY_HELLO]: 'haproxy-hello',
  [FrameType.HAPROXY_DISCONNECT]: 'haproxy-disconnect',
  [FrameType.NOTIFY]: 'notify',
  [FrameType.AGENT_HELLO]: 'agent-hello',
  [FrameType.AGENT_DISCONNECT]: 'agent-disconnect',
  [FrameType.ACK]: 'ack',
} as const;
export type KnownFrameKind = (typeof KIND_OF_TYPE)[FrameType];

/** A frame of a type that SPOP defines. The payload is a view. */
export interface KnownFrame {
  readonly kind: KnownFrameKind;
  /** The last, or only, frame of its payload. */
  readonly fin: boolean;
  /** Ignored by this agent: it matters for fragments only. */
  readonly abort: boolean;
  readonly streamId: Uint64;
  readonly frameId: Uint64;
  readonly payload: Buffer;
}

/** A frame of any other type, of which nothing more may be assumed. */
export interface UnknownFrame {
  readonly kind: 'unknown';
  readonly type: number;
}

export type Frame = KnownFrame | UnknownFrame;

/**
 * @param bytes one frame, without the length in front of it
 * @throws SpopError if type, flags or ids are cut off or malformed
 */
export function decodeFrame(bytes: Buffer): Frame {
  const reader = new ByteReader(bytes);
  const type = reader.uint8('frame type');
  if (!isFrameType(type)) return { kind: 'unknown', type };
  const flags = reader.uint32('frame flags');
  const streamId = reader.varint('stream-id');
  const frameId = reader.varint('frame-id');
  return {
    kind: KIND_OF_TYPE[type],
    fin: (flags & FrameFlag.FIN) !== 0,
    abort: (flags & FrameFlag.ABORT) !== 0,
    streamId,
    frameId,
    payload: reader.rest(),
  };
}

/** What stands in front of a frame's payload. */
export interface FrameHeader {
  readonly type: number;
  readonly streamId: Uint64;
  readonly frameId: Uint64;
  /** Default: FIN alone. */
  readonly flags?: number;
}

/**
 * Appends one frame, length included, whose payload `writePayload` appends.
 * @returns the frame's size in bytes, without the four of its length
 */
export function writeFrame(writer: ByteWriter, header: FrameHeader, writePayload: () => void): number {
  const start = writer.length;
  writer.uint32(0);
  writer.uint8(header.type);
  writer.uint32(header.flags ?? FrameFlag.FIN);
  writer.varint(header.streamId);
  writer.varint(header.frameId);
  writePayload();
  const size = writer.length - start - LENGTH_BYTES;
  writer.patchUint32(start, size);
  return size;
}

function isFrameType(type: number): type is FrameType {
  return type in KIND_OF_TYPE;
}
