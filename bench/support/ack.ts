// The least that the generator must know of an ACK. Trusts the daemon: the tests are what checks its frames.
import { FrameType } from '../../src/spop/index.ts';

/** One object for all: valid until the next call. */
export interface Ack {
  streamId: number;
  requestBody: boolean;
  responseBody: boolean;
  blocked: boolean;
  /** Let through without analysis, because there was too much to do. */
  skipped: boolean;
  failed: boolean;
  identity: Buffer | undefined;
}

const ack: Ack = {
  streamId: 0,
  requestBody: false,
  responseBody: false,
  blocked: false,
  skipped: false,
  failed: false,
  identity: undefined,
};

const ackHeadBytes = 5;
const setVarHeadBytes = 3;
const trueByte = 0x11;
let position = 0;

/** @throws when the frame is anything but an ACK: the daemon said goodbye. */
export function readAck(frame: Buffer): Ack {
  if (frame[0] !== FrameType.ACK) throw new Error(`a frame of type ${frame[0]} in place of an ACK`);
  position = ackHeadBytes;
  ack.streamId = varint(frame);
  varint(frame);
  ack.requestBody = ack.responseBody = ack.blocked = ack.skipped = ack.failed = false;
  ack.identity = undefined;
  while (position < frame.length) readAction(frame);
  return ack;
}

function readAction(frame: Buffer): void {
  position += setVarHeadBytes;
  const nameBytes = varint(frame);
  const name = frame.toString('latin1', position, position + nameBytes);
  position += nameBytes;
  const type = frame[position] ?? 0;
  position += 1;
  switch (type & 0x0f) {
    case 0:
      return;
    case 1:
      setFlag(name, type === trueByte);
      return;
    case 8:
    case 9: {
      const length = varint(frame);
      setText(name, frame, position + length);
      position += length;
      return;
    }
    default:
      varint(frame);
  }
}

function setFlag(name: string, value: boolean): void {
  if (name === 'request_body') ack.requestBody = value;
  else if (name === 'response_body') ack.responseBody = value;
  else if (name === 'blocked') ack.blocked = value;
}

function setText(name: string, frame: Buffer, end: number): void {
  if (name === 'span_id') {
    // A copy: the read buffer does not live as long as the transaction.
    ack.identity = Buffer.from(frame.subarray(position, end));
  } else if (name === 'verdict') {
    const verdict = frame.toString('latin1', position, end);
    ack.skipped = verdict === 'skipped';
    ack.failed = verdict === 'error';
  }
}

/** As HAProxy's decode_varint reads it. */
function varint(frame: Buffer): number {
  let value = frame[position] ?? 0;
  position += 1;
  if (value < 240) return value;
  for (let factor = 16; ; factor *= 128) {
    const byte = frame[position] ?? 0;
    position += 1;
    value += byte * factor;
    if (byte < 128) return value;
  }
}
