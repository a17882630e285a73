/**
 * Everything that can be wrong with the bytes of a SPOP connection, and what the peer is told about it.
 *
 * One table, `SPOP_ERRORS`, maps a stable code to the status of AGENT-DISCONNECT and to a sentence;
 * docs/spop.md is compared with it by a test. A decoder of this folder throws `SpopError` and nothing
 * else, whatever the bytes. Any other exception on input bytes is our bug. (Values that *we* fail to
 * encode, such as an unparsable IP address, are our own mistake too, and throw RangeError.)
 */

/** The status codes of SPOE.txt 3.5, as carried by both DISCONNECT frames. */
export const StatusCode = {
  NORMAL: 0,
  IO_ERROR: 1,
  TIMEOUT: 2,
  TOO_BIG: 3,
  INVALID: 4,
  NO_VERSION: 5,
  NO_MAX_FRAME_SIZE: 6,
  NO_CAPABILITIES: 7,
  UNSUPPORTED_VERSION: 8,
  BAD_FRAME_SIZE: 9,
  FRAGMENTATION_NOT_SUPPORTED: 10,
  INTERLACED_FRAMES: 11,
  FRAME_ID_NOT_FOUND: 12,
  RESOURCE_ERROR: 13,
  UNKNOWN_ERROR: 99,
} as const;
export type StatusCode = (typeof StatusCode)[keyof typeof StatusCode];

interface SpopErrorEntry {
  readonly status: StatusCode;
  /** One sentence without the details; the message of the error itself has them. */
  readonly sentence: string;
}

/** Every code an `SpopError` can carry. Codes are stable: logs and metrics use them as labels. */
export const SPOP_ERRORS = {
  SPOP_FRAME_TOO_BIG: {
    status: StatusCode.TOO_BIG,
    sentence: 'A frame announces more bytes than the maximum frame size.',
  },
  SPOP_FRAME_EMPTY: {
    status: StatusCode.INVALID,
    sentence: 'A frame announces a length of zero.',
  },
  SPOP_OUT_OF_BYTES: {
    status: StatusCode.INVALID,
    sentence: 'A value runs past the end of what contains it.',
  },
  SPOP_BAD_VARINT: {
    status: StatusCode.INVALID,
    sentence: 'A variable-length integer does not fit 64 bits.',
  },
  SPOP_INTEGER_OUT_OF_RANGE: {
    status: StatusCode.INVALID,
    sentence: 'An integer does not fit the type it is declared with.',
  },
  SPOP_UNKNOWN_DATA_TYPE: {
    status: StatusCode.INVALID,
    sentence: 'A typed value has a type that SPOP does not define.',
  },
  SPOP_BAD_ACTION: {
    status: StatusCode.INVALID,
    sentence: 'An action has an unknown type or scope, or a wrong number of arguments.',
  },
  SPOP_BAD_ITEM: {
    status: StatusCode.INVALID,
    sentence: 'An item of a HELLO or DISCONNECT frame is repeated, or has the wrong type or form.',
  },
  SPOP_NO_VERSION: {
    status: StatusCode.NO_VERSION,
    sentence: 'A HELLO frame lacks its version item.',
  },
  SPOP_NO_MAX_FRAME_SIZE: {
    status: StatusCode.NO_MAX_FRAME_SIZE,
    sentence: 'A HELLO frame lacks its max-frame-size item.',
  },
  SPOP_NO_CAPABILITIES: {
    status: StatusCode.NO_CAPABILITIES,
    sentence: 'A HELLO frame lacks its capabilities item.',
  },
  SPOP_UNSUPPORTED_VERSION: {
    status: StatusCode.UNSUPPORTED_VERSION,
    sentence: 'The peer does not speak SPOP 2.0.',
  },
  SPOP_BAD_MAX_FRAME_SIZE: {
    status: StatusCode.BAD_FRAME_SIZE,
    sentence: 'The peer announces a max-frame-size that SPOP does not allow.',
  },
  SPOP_FRAGMENTED: {
    status: StatusCode.FRAGMENTATION_NOT_SUPPORTED,
    sentence: 'A frame is a fragment (no FIN flag, or type UNSET), and fragmentation was never announced.',
  },
  SPOP_HELLO_EXPECTED: {
    status: StatusCode.INVALID,
    sentence: 'The first frame of the connection is not the HELLO of the other side.',
  },
  SPOP_HELLO_REPEATED: {
    status: StatusCode.INVALID,
    sentence: 'A second HELLO arrives on one connection.',
  },
  SPOP_WRONG_DIRECTION: {
    status: StatusCode.INVALID,
    sentence: 'A frame arrives that only our own side sends.',
  },
  SPOP_BAD_FRAME_IDS: {
    status: StatusCode.INVALID,
    sentence:
      'A NOTIFY has a frame-id of 0, or a HELLO or DISCONNECT has a stream-id or frame-id other than 0.',
  },
  SPOP_ACK_EMPTY: {
    status: StatusCode.INVALID,
    sentence: 'An ACK would carry no action; HAProxy 3.1.0 stalls on one.',
  },
  SPOP_ACK_TOO_BIG: {
    status: StatusCode.TOO_BIG,
    sentence: 'An ACK would exceed the negotiated frame size; HAProxy 3.1 to 3.4 never recover from one.',
  },
  SPOP_ACK_UNKNOWN_FRAME: {
    status: StatusCode.FRAME_ID_NOT_FOUND,
    sentence: 'An ACK answers, or would answer, a NOTIFY that is not waiting for one.',
  },
} as const satisfies Record<string, SpopErrorEntry>;

export type SpopErrorCode = keyof typeof SPOP_ERRORS;

/** A violation of SPOP. `status` is what AGENT-DISCONNECT tells the peer, `message` the details. */
export class SpopError extends Error {
  override readonly name = 'SpopError';
  readonly code: SpopErrorCode;
  readonly status: StatusCode;

  constructor(code: SpopErrorCode, message: string) {
    super(message);
    this.code = code;
    this.status = SPOP_ERRORS[code].status;
  }
}
