import type { ArrivingMemory, Holder } from './arriving-memory.ts';
import type { Backlog } from './backlog.ts';
import { type CopyHead, type CopyOrigin, CopyWriter } from './copy.ts';

/** Why a body is analysed in part. `too-large`: above the engine's limit. `memory`: too many are arriving. `cut-off`. */
export type CutReason = 'too-large' | 'memory' | 'cut-off';

export interface ArrivalObserver {
  /** A copy has arrived, whole or not. */
  arrived(): void;
  bodyCut(reason: CutReason): void;
}

/** What arrivals of all connections share. */
export interface ArrivalServices {
  readonly backlog: Backlog;
  readonly memory: ArrivingMemory;
  readonly observer: ArrivalObserver;
  /** Bytes of a body that the engine looks at; 0: none. */
  readonly bodyLimitBytes: number;
}

/**
 * A body that is larger than is looked at is read on to its end all the same, up to this much: then its connection can
 * be used again. Beyond it the answer need not wait for the end.
 */
const readOnBytes = 1024 * 1024;

/** One request on its way in. It is handed over to the engines once: whole, or as far as it came or may be kept. */
export class Arrival implements Holder {
  readonly #services: ArrivalServices;
  readonly #writer: CopyWriter;
  readonly #wantsBody: boolean;
  #seenBytes = 0;
  #handedOver = false;
  /** Told to the memory. */
  #takenBytes = 0;

  /** @param wantsBody whether the engine looks at the body. */
  constructor(services: ArrivalServices, origin: CopyOrigin, head: CopyHead, wantsBody: boolean) {
    this.#services = services;
    this.#wantsBody = wantsBody && services.bodyLimitBytes > 0;
    this.#writer = new CopyWriter(origin, head, this.#wantsBody);
    services.observer.arrived();
  }

  get keptBytes(): number {
    return this.#takenBytes;
  }

  /** So much has come that the end is not waited for. */
  get isEndless(): boolean {
    return this.#seenBytes > Math.max(this.#services.bodyLimitBytes, 0) + readOnBytes;
  }

  /** The next bytes of the body; copied. */
  body(piece: Buffer): void {
    this.#seenBytes += piece.length;
    if (this.#handedOver || !this.#wantsBody) return;
    const room = this.#services.bodyLimitBytes - this.#writer.bodyBytes;
    this.#writer.addBody(piece.subarray(0, room));
    if (piece.length > room) this.#handOver('too-large');
  }

  /** To be called when a read is over: what stays meanwhile takes memory. */
  stays(): void {
    if (this.#handedOver) return;
    const more = this.#writer.length - this.#takenBytes;
    this.#takenBytes += more;
    if (more > 0) this.#services.memory.took(this, more);
  }

  /** @param complete head and body are all there. */
  end(complete: boolean, trailers?: Buffer): void {
    if (!this.#handedOver) this.#handOver(complete ? undefined : 'cut-off', trailers);
  }

  cut(): void {
    if (!this.#handedOver) this.#handOver('memory');
  }

  #handOver(cut: CutReason | undefined, trailers?: Buffer): void {
    this.#handedOver = true;
    const { memory, backlog, observer } = this.#services;
    if (this.#takenBytes > 0) memory.gave(this, this.#takenBytes);
    this.#takenBytes = 0;
    if (cut !== undefined) observer.bodyCut(cut);
    // One byte more than there is says that there is more.
    const size = cut === undefined ? this.#seenBytes : this.#seenBytes + 1;
    backlog.add(this.#writer.finish(size, cut === undefined, trailers), this.#writer.bodyBytes > 0);
  }
}
