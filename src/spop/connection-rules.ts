/** What both sides of a connection hold to, whichever of them we are: sizes, and frames of the connection itself. */
import { type KnownFrame, MIN_FRAME_SIZE } from './frame.ts';
import { SpopError } from './spop-error.ts';

/**
 * The largest frame kept by default. HAProxy announces `tune.bufsize - 4`: 16,380 bytes unless the
 * operator raised it. Keep this at or above HAProxy's: what is larger is not analysed.
 */
export const DEFAULT_MAX_FRAME_SIZE = 16_384;

/** The largest HELLO accepted; they have some hundred bytes. Until then nobody has said who they are. */
export const LARGEST_HELLO_SIZE = 16_384;

/** The largest maximum that can be asked for, a guard against a mistyped one. */
export const LARGEST_FRAME_SIZE = 2 ** 24;

/** @throws RangeError if `maxFrameSize` is out of range. */
export function checkedMaxFrameSize(maxFrameSize = DEFAULT_MAX_FRAME_SIZE): number {
  if (!Number.isInteger(maxFrameSize) || maxFrameSize < MIN_FRAME_SIZE || maxFrameSize > LARGEST_FRAME_SIZE) {
    throw new RangeError(
      `maxFrameSize ${maxFrameSize} is not within ${MIN_FRAME_SIZE} and ${LARGEST_FRAME_SIZE}`,
    );
  }
  return maxFrameSize;
}

/** HELLO and DISCONNECT belong to the connection, not to a stream, and come in one piece (3.2.4, 3.2.8). */
export function checkConnectionFrame(frame: KnownFrame): void {
  if (!frame.fin)
    throw new SpopError('SPOP_FRAGMENTED', `${frame.kind} without FIN; it cannot be fragmented`);
  if (frame.streamId !== 0 || frame.frameId !== 0) {
    throw new SpopError(
      'SPOP_BAD_FRAME_IDS',
      `${frame.kind} with stream-id ${frame.streamId}, frame-id ${frame.frameId}; both must be 0`,
    );
  }
}
