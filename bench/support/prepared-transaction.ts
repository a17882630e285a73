// The NOTIFY frames of a transaction, encoded beforehand but for stream-id, frame-id and identity.
import { configurationVersion, messageNames } from '../../src/adapters/haproxy/contract.ts';
import { encodeHdrsBin } from '../../src/adapters/haproxy/hdrs-bin.ts';
import { encodeNotify, type SpoeMessageInput, type TypedDataInput } from '../../src/spop/index.ts';
import { binary, int64, message, nothing, string } from '../../test/support/spoe-messages.ts';
import type { HttpTransaction } from './http-transactions.ts';

/** From here on to 264,431 a stream-id takes three bytes, so that it can be written over another one. */
export const firstStreamId = 2288;

/** Where a NOTIFY has its ids: after the length (4), the type (1) and the flags (4). */
const streamIdAt = 9;
const frameIdAt = 12;

/** `timeout processing` of haproxyconf/spoe.cfg. */
export const shippedTimeoutMs = 200;

const marker = '@identity';
const markerBytes = Buffer.from(marker);
const stringType = 0x08;

export interface PreparedTransaction {
  readonly requestHeaders: PreparedFrame;
  readonly requestBody: PreparedFrame | undefined;
  readonly responseHeaders: PreparedFrame;
  readonly responseBody: PreparedFrame | undefined;
}

/** As haproxyconf/spoe.cfg sends it with its defaults, but for this time-out, arguments in its order. */
export function prepare(
  transaction: HttpTransaction,
  processingTimeoutMs = shippedTimeoutMs,
): PreparedTransaction {
  const { body, responseBody } = transaction;
  const timeout = string(`${processingTimeoutMs}ms`);
  const bodyFrame = (name: string, text: string | undefined): PreparedFrame | undefined =>
    text === undefined ? undefined : new PreparedFrame(bodyMessage(name, text, timeout));
  return {
    requestHeaders: new PreparedFrame(requestHeaders(transaction, timeout)),
    requestBody: bodyFrame(messageNames.requestBody, body),
    responseHeaders: new PreparedFrame(responseHeaders(transaction, timeout)),
    responseBody: bodyFrame(messageNames.responseBody, responseBody),
  };
}

/** One NOTIFY, in the two pieces around the identity. */
export class PreparedFrame {
  readonly #before: Buffer;
  readonly #after: Buffer;
  readonly #takesIdentity: boolean;

  constructor(input: SpoeMessageInput) {
    const frame = encodeNotify(firstStreamId, 1, [input]);
    const at = frame.indexOf(markerBytes);
    this.#takesIdentity = at !== -1;
    // In front of the marker: the byte of its type and that of its length.
    this.#before = this.#takesIdentity ? frame.subarray(0, at - 2) : frame;
    this.#after = this.#takesIdentity ? frame.subarray(at + markerBytes.length) : Buffer.alloc(0);
  }

  /**
   * @param frameId below 240
   * @param identity undefined: HAProxy has no such variable and sends null
   */
  encode(streamId: number, frameId: number, identity: Buffer | undefined): Buffer {
    const identityBytes = this.#takesIdentity ? (identity === undefined ? 1 : 2 + identity.length) : 0;
    const size = this.#before.length + identityBytes + this.#after.length;
    const frame = Buffer.allocUnsafe(size);
    this.#before.copy(frame);
    frame.writeUInt32BE(size - 4, 0);
    const rest = (streamId - 240) >>> 4;
    frame[streamIdAt] = 240 | (streamId & 15);
    frame[streamIdAt + 1] = 128 | ((rest - 128) & 127);
    frame[streamIdAt + 2] = (rest - 128) >>> 7;
    frame[frameIdAt] = frameId;
    let at = this.#before.length;
    if (this.#takesIdentity) {
      frame[at] = identity === undefined ? 0 : stringType;
      if (identity !== undefined) {
        frame[at + 1] = identity.length;
        identity.copy(frame, at + 2);
      }
      at += identityBytes;
    }
    this.#after.copy(frame, at);
    return frame;
  }
}

/** What only an operator with several applications sets. */
const application = { service: nothing, env: nothing, version: nothing, mode: nothing };
const confVersion = string(configurationVersion);

function requestHeaders(
  { method, target, headers, body }: HttpTransaction,
  timeout: TypedDataInput,
): SpoeMessageInput {
  return message(messageNames.requestHeaders, {
    ip: { type: 'ipv4', value: '203.0.113.7' },
    ip_port: int64(40_000),
    method: string(method),
    path: string(target),
    headers: binary(encodeHdrsBin(headers)),
    https: { type: 'boolean', value: true },
    timeout: string('1m'),
    body_size: int64(body?.length ?? 0),
    stream: nothing,
    processing_timeout: timeout,
    ...application,
    conf_version: confVersion,
  });
}

function bodyMessage(name: string, body: string, timeout: TypedDataInput): SpoeMessageInput {
  return message(name, {
    span_id: string(marker),
    body_size: int64(body.length),
    processing_timeout: timeout,
    ...application,
    body: binary(body),
  });
}

function responseHeaders(
  { status, responseHeaders: headers, responseBody }: HttpTransaction,
  timeout: TypedDataInput,
): SpoeMessageInput {
  return message(messageNames.responseHeaders, {
    headers: binary(encodeHdrsBin(headers)),
    status: int64(status),
    span_id: string(marker),
    body_size: int64(responseBody?.length ?? 0),
    processing_timeout: timeout,
    ...application,
    conf_version: confVersion,
  });
}
