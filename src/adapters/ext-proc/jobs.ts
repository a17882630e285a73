import { Buffer } from 'node:buffer';
import type { DoorEndReason } from '../../engine/inspector.ts';
import type { ProtocolConfig } from './wire/envelope.ts';
import { type MessageKind, messageKinds } from './wire/kinds.ts';

/*
 * What crosses between the thread that owns the streams and the engines, as bytes.
 *
 *   job:     unused, body modes, number of the stream (6 bytes), length of the metadata (2 bytes), metadata, message
 *   answer:  flags, ProcessingResponse (or nothing)
 *   notice:  what happened, kind or reason, number of the stream (6 bytes)
 */

/** What an engine has to know of the stream besides the message. */
export interface StreamFacts {
  /** Counts the streams of this process. */
  readonly stream: number;
  /** Envoy's static configuration, where Envoy tells it; `sendsBodyUnasked` does not cross. */
  readonly protocolConfig: ProtocolConfig | undefined;
  /** What of the stream's metadata counts (contract.ts), as name, value, name, value. Once per stream. */
  readonly metadata: readonly string[];
}

export interface StreamJob extends StreamFacts {
  /** A view of the payload. */
  readonly message: Buffer;
}

const headBytes = 10;
const knownModes = 0x80;

export function encodeJob({ stream, protocolConfig, metadata }: StreamFacts, message: Uint8Array): Buffer {
  const texts = metadata.length === 0 ? '' : JSON.stringify(metadata);
  const textBytes = Math.min(Buffer.byteLength(texts), 0xffff);
  const payload = Buffer.allocUnsafe(headBytes + textBytes + message.length);
  payload[0] = 0;
  payload[1] =
    protocolConfig === undefined
      ? 0
      : knownModes | ((protocolConfig.requestBodyMode & 7) << 3) | (protocolConfig.responseBodyMode & 7);
  payload.writeUIntBE(stream, 2, 6);
  payload.writeUInt16BE(textBytes, 8);
  if (textBytes > 0) payload.write(texts, headBytes, textBytes, 'utf8');
  payload.set(message, headBytes + textBytes);
  return payload;
}

export function decodeJob(payload: Buffer): StreamJob {
  const modes = payload[1] ?? 0;
  const textBytes = payload.readUInt16BE(8);
  const messageStart = headBytes + textBytes;
  return {
    stream: payload.readUIntBE(2, 6),
    protocolConfig:
      (modes & knownModes) === 0
        ? undefined
        : { requestBodyMode: (modes >> 3) & 7, responseBodyMode: modes & 7, sendsBodyUnasked: false },
    metadata: textBytes === 0 ? [] : metadataOf(payload.toString('utf8', headBytes, messageStart)),
    message: payload.subarray(messageStart),
  };
}

/** Longer than 64 kB it was cut. */
function metadataOf(text: string): string[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed.map(String) : [];
  } catch {
    return [];
  }
}

export const AnswerFlag = {
  /** More of the body that this message belongs to, or that follows it, is wanted. */
  wantsBody: 1,
  /** There is no answer yet: the bodies are held until there is a verdict (FULL_DUPLEX_STREAMED). */
  hold: 2,
  /** Nothing more is wanted of this stream; the engine has forgotten it. */
  done: 4,
  /** The answer is an ImmediateResponse: the stream is over. */
  immediate: 8,
} as const;

export function encodeAnswer(flags: number, message: Uint8Array | undefined): Buffer {
  const length = message?.length ?? 0;
  const answer = Buffer.allocUnsafe(1 + length);
  answer[0] = flags;
  if (message !== undefined) answer.set(message, 1);
  return answer;
}

export type Notice =
  /** The stream is over. */
  | { readonly kind: 'ended'; readonly stream: number; readonly reason: DoorEndReason }
  /** A message was answered without the engine. */
  | { readonly kind: 'skipped'; readonly stream: number; readonly message: MessageKind };

const endReasons = ['aborted', 'no-response', 'complete'] as const satisfies readonly DoorEndReason[];

export function encodeNotice(notice: Notice): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload[0] = notice.kind === 'ended' ? 1 : 0;
  payload[1] =
    notice.kind === 'ended' ? endReasons.indexOf(notice.reason) : messageKinds.indexOf(notice.message);
  payload.writeUIntBE(notice.stream, 2, 6);
  return payload;
}

export function decodeNotice(payload: Buffer): Notice {
  const stream = payload.readUIntBE(2, 6);
  const what = payload[1] ?? 0;
  return payload[0] === 1
    ? { kind: 'ended', stream, reason: endReasons[what] ?? 'aborted' }
    : { kind: 'skipped', stream, message: messageKinds[what] ?? 'request-headers' };
}
