/** The payload of both DISCONNECT frames (SPOE.txt 3.2.8 and 3.2.9): a status code and a sentence. */
import { Buffer } from 'node:buffer';
import { ByteWriter } from './byte-writer.ts';
import { FrameType, writeFrame } from './frame.ts';
import { readKvList, writeKvList } from './kv-list.ts';
import { SpopError, StatusCode } from './spop-error.ts';
import { typedText } from './typed-data.ts';

/**
 * Longest sentence sent, in bytes of UTF-8. With it a DISCONNECT frame stays under 256 bytes, the
 * smallest maximum a peer can have, so it fits before and after any negotiation.
 */
export const MAX_DISCONNECT_MESSAGE_BYTES = 200;

/** Why one side leaves. */
export interface Disconnect {
  /** One of SPOE.txt 3.5, or a number that the sender made up. */
  readonly status: number;
  readonly message: string;
}

/**
 * Reads why the peer leaves. It leaves in any case, so a missing item is forgiven: status 99, no sentence.
 * @throws SpopError if the payload is malformed
 */
export function decodeDisconnect(payload: Buffer): Disconnect {
  const items = readKvList(payload, ['status-code', 'message']);
  const status = items.get('status-code') ?? { type: 'uint32', value: StatusCode.UNKNOWN_ERROR };
  const message = items.get('message') ?? { type: 'string', value: Buffer.alloc(0) };
  if (typeof status.value !== 'number') throw wrongType('status-code', 'an integer', status.type);
  if (message.type !== 'string') throw wrongType('message', 'a string', message.type);
  return { status: status.value, message: typedText(message) ?? '' };
}

/** A whole AGENT-DISCONNECT frame, length included. The sentence is cut at 200 bytes. */
export function encodeAgentDisconnect(status: number, message: string): Buffer {
  return encodeDisconnect(FrameType.AGENT_DISCONNECT, status, message);
}

/** A whole HAPROXY-DISCONNECT frame, length included. The sentence is cut at 200 bytes. */
export function encodeHaproxyDisconnect(status: number, message: string): Buffer {
  return encodeDisconnect(FrameType.HAPROXY_DISCONNECT, status, message);
}

function encodeDisconnect(type: FrameType, status: number, message: string): Buffer {
  const writer = new ByteWriter();
  writeFrame(writer, { type, streamId: 0, frameId: 0 }, () =>
    writeKvList(writer, [
      { name: 'status-code', value: { type: 'uint32', value: status } },
      { name: 'message', value: { type: 'string', value: cutText(message) } },
    ]),
  );
  return writer.take();
}

function wrongType(item: string, expected: string, actual: string): SpopError {
  return new SpopError('SPOP_BAD_ITEM', `item ${item} is ${actual}, expected ${expected}`);
}

/** The first bytes of the text, without half a character at the end. */
function cutText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MAX_DISCONNECT_MESSAGE_BYTES) return bytes;
  let end = MAX_DISCONNECT_MESSAGE_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
