// HTTP/2 written frame by frame (RFC 9113), so that nothing is refused, joined or put right before it is sent, and
// read as far as the answers of HAProxy need it.
import type { Http1Connection, HttpResponse } from './http-client.ts';

/** Characters are bytes. */
export type Field = readonly [name: string, value: string];

const dataType = 0;
const headersType = 1;
const resetType = 3;
const settingsType = 4;
const pingType = 6;
const goawayType = 7;
const continuationType = 9;

const endStream = 1;
const acknowledged = 1;
const endHeaders = 4;
const padded = 8;

/** What a client says first. */
export const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(settingsType, 0, 0, Buffer.alloc(0)),
]);

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK (RFC 7541): each field as a literal, neither compressed nor remembered. */
export function literals(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map((field) => Buffer.concat([Buffer.from([0]), ...field.map(text)])));
}

/** HPACK's text: a length with a prefix of seven bits, then the bytes as they are. */
export function text(value: string): Buffer {
  const rest: number[] = [];
  for (let left = value.length - 127; left >= 0; left = left < 128 ? -1 : left >> 7) {
    rest.push((left & 127) | (left < 128 ? 0 : 128));
  }
  return Buffer.concat([Buffer.from([Math.min(value.length, 127), ...rest]), Buffer.from(value, 'latin1')]);
}

export interface FrameOptions {
  readonly isLast?: boolean;
  /** Bytes of padding, all zero. */
  readonly padding?: number;
}

/** The head of a message, or its trailer fields. A block larger than a frame may be goes on in CONTINUATIONs. */
export function headers(
  stream: number,
  block: Buffer,
  options: FrameOptions & { readonly cutAt?: number } = {},
): Buffer {
  const { isLast = false, padding = 0, cutAt = 16_000 } = options;
  const flags = isLast ? endStream : 0;
  if (block.length <= cutAt) return paddedFrame(headersType, flags | endHeaders, stream, block, padding);
  const pieces = [frame(headersType, flags, stream, block.subarray(0, cutAt))];
  for (let at = cutAt; at < block.length; at += cutAt) {
    const isEnd = at + cutAt >= block.length;
    pieces.push(frame(continuationType, isEnd ? endHeaders : 0, stream, block.subarray(at, at + cutAt)));
  }
  return Buffer.concat(pieces);
}

export function data(stream: number, content: string | Buffer, options: FrameOptions = {}): Buffer {
  const { isLast = false, padding = 0 } = options;
  return paddedFrame(dataType, isLast ? endStream : 0, stream, Buffer.from(content), padding);
}

function paddedFrame(type: number, flags: number, stream: number, payload: Buffer, padding: number): Buffer {
  if (padding === 0) return frame(type, flags, stream, payload);
  const around = Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]);
  return frame(type, flags | padded, stream, around);
}

/** Asks for a sign that everything before it was read. */
export const ping = frame(pingType, 0, 0, Buffer.alloc(8));

/** Reads up to the answer to `ping`; what comes before it is passed over. */
export async function pingAnswered(connection: Http1Connection): Promise<void> {
  for (;;) {
    const head = await connection.exactly(9);
    await connection.exactly(head.readUIntBE(0, 3));
    if (head.readUInt8(3) === pingType && (head.readUInt8(4) & acknowledged) !== 0) return;
  }
}

/**
 * Reads the answer to one stream; others are passed over. Its fields are not decoded.
 * @throws when HAProxy resets the stream or ends the connection.
 */
export async function http2Response(connection: Http1Connection, stream: number): Promise<HttpResponse> {
  let status = 0;
  let body = '';
  for (;;) {
    const head = await connection.exactly(9);
    const payload = await connection.exactly(head.readUIntBE(0, 3));
    const type = head.readUInt8(3);
    if (type === goawayType && payload.readUInt32BE(4) !== 0) {
      throw new Error(`connection ended: ${errorName(payload.readUInt32BE(4))}`);
    }
    if (head.readUInt32BE(5) !== stream) continue;
    if (type === resetType) throw new Error(`stream reset: ${errorName(payload.readUInt32BE(0))}`);
    if (type === headersType) status = statusOf(payload);
    if (type === dataType) body += payload.toString('latin1');
    if ((type === headersType || type === dataType) && (head.readUInt8(4) & endStream) !== 0) {
      return { status, headers: [], body };
    }
  }
}

/** Of HPACK's static table, from its index 8. */
const indexedStatuses: readonly number[] = [200, 204, 206, 304, 400, 404, 500];

/** `:status` is the first field, indexed or a literal with an indexed name, and never Huffman-coded by HAProxy. */
function statusOf(block: Buffer): number {
  const first = block.readUInt8(0);
  if ((first & 0x80) !== 0) return indexedStatuses[(first & 0x7f) - 8] ?? 0;
  return Number(block.toString('latin1', 2, 2 + block.readUInt8(1)));
}

const errorNames: readonly string[] = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT'],
  ...['STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR'],
  ...['CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
];

function errorName(code: number): string {
  return errorNames[code] ?? `error ${code}`;
}
