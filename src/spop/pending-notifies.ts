/**
 * The NOTIFYs of one connection that wait for their ACK, and the ACKs that were written and have not left. Both are
 * known by stream-id and frame-id, which HAProxy up to 3.0 gives a second time: the NOTIFY that comes last with them is
 * the one that waits, and an ACK of the older that has not left is taken back.
 */
import { type Action, writeAction } from './actions.ts';
import type { NotifyEvent } from './agent-event.ts';
import type { ByteWriter } from './byte-writer.ts';
import { FrameType, writeFrame } from './frame.ts';
import { SpopError } from './spop-error.ts';
import type { Uint64 } from './varint.ts';

/** Where an ACK stands in the output. */
interface Place {
  start: number;
  end: number;
}

/** Who waits for which ACK on one connection, and where ACKs stand that can still be taken back. */
export class PendingNotifies {
  readonly #output: ByteWriter;
  readonly #waiting = new Map<string, NotifyEvent>();
  readonly #unsent = new Map<string, Place>();

  /** @param output where ACKs are written, among whatever else the connection sends */
  constructor(output: ByteWriter) {
    this.#output = output;
  }

  /** NOTIFYs that wait for their ACK. */
  get size(): number {
    return this.#waiting.size;
  }

  add(notify: NotifyEvent): void {
    const key = keyOf(notify.streamId, notify.frameId);
    this.#takeBack(key);
    this.#waiting.set(key, notify);
  }

  /** False once it was answered, given up, or replaced by another with its ids. */
  isAwaited(notify: NotifyEvent): boolean {
    return this.#waiting.get(keyOf(notify.streamId, notify.frameId)) === notify;
  }

  giveUp(notify: NotifyEvent): void {
    if (this.isAwaited(notify)) this.#waiting.delete(keyOf(notify.streamId, notify.frameId));
  }

  /**
   * Writes the ACK of the NOTIFY that waits with these ids.
   * @param actions as `Action`s or encoded
   * @param limit the largest frame, in bytes
   * @throws SpopError SPOP_ACK_EMPTY, SPOP_ACK_TOO_BIG or SPOP_ACK_UNKNOWN_FRAME, and RangeError if an action cannot be
   *   encoded, with nothing written and the NOTIFY still waiting
   */
  ack(streamId: Uint64, frameId: Uint64, actions: readonly Action[] | Uint8Array, limit: number): void {
    const key = keyOf(streamId, frameId);
    if (!this.#waiting.has(key))
      throw refusal('SPOP_ACK_UNKNOWN_FRAME', streamId, frameId, 'no NOTIFY waits for it');
    if (actions.length === 0) throw refusal('SPOP_ACK_EMPTY', streamId, frameId, 'no action');
    const start = this.#output.length;
    try {
      const size = this.#write(streamId, frameId, actions);
      if (size > limit)
        throw refusal('SPOP_ACK_TOO_BIG', streamId, frameId, `${size} bytes, negotiated ${limit}`);
    } catch (error) {
      this.#output.truncate(start);
      throw error;
    }
    this.#waiting.delete(key);
    this.#unsent.set(key, { start, end: this.#output.length });
  }

  /** All that was written has left. */
  sent(): void {
    this.#unsent.clear();
  }

  /** No NOTIFY gets an ACK any more; those that are written still leave. */
  clear(): void {
    this.#waiting.clear();
  }

  #write(streamId: Uint64, frameId: Uint64, actions: readonly Action[] | Uint8Array): number {
    return writeFrame(this.#output, { type: FrameType.ACK, streamId, frameId }, () => {
      if (actions instanceof Uint8Array) this.#output.bytes(actions);
      else for (const action of actions) writeAction(this.#output, action);
    });
  }

  #takeBack(key: string): void {
    const taken = this.#unsent.get(key);
    if (taken === undefined) return;
    this.#unsent.delete(key);
    this.#output.cut(taken.start, taken.end);
    const size = taken.end - taken.start;
    for (const later of this.#unsent.values()) {
      if (later.start < taken.end) continue;
      later.start -= size;
      later.end -= size;
    }
  }
}

function keyOf(streamId: Uint64, frameId: Uint64): string {
  return `${streamId}/${frameId}`;
}

function refusal(
  code: 'SPOP_ACK_UNKNOWN_FRAME' | 'SPOP_ACK_EMPTY' | 'SPOP_ACK_TOO_BIG',
  streamId: Uint64,
  frameId: Uint64,
  why: string,
): SpopError {
  return new SpopError(code, `ACK of stream-id ${streamId}, frame-id ${frameId}: ${why}`);
}
