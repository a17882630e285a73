import type { Field } from '../../http1/index.ts';
import type { Arrival } from './arrival.ts';
import type { ArrivingMemory } from './arriving-memory.ts';
import type { CopyHead, CopyOrigin } from './copy.ts';

/** What both versions of HTTP need to serve one connection. */
export interface ConnectionServices {
  /** A request begins. `head` is HTTP/1's. */
  begin(origin: CopyOrigin, request: BeginningRequest): Arrival;
  readonly observer: ConnectionObserver;
  readonly memory: ArrivingMemory;
  /** A request of which nothing came for so long is given up. */
  readonly stallMs: number;
  readonly maxHeadBytes: number;
}

export interface BeginningRequest extends CopyHead {
  readonly method: string;
  readonly fields: readonly Field[];
}

/** Must not throw. */
export interface ConnectionObserver {
  /** No HTTP that can be read: what came was analysed, the connection closed. */
  refused(status: number, problem: string): void;
  stalled(): void;
  socketError(cause: Error): void;
  /** Our mistake, contained: this connection is closed, the others go on. */
  failed(cause: unknown): void;
}

/** A connection of a sender, as the server sees it. */
export interface MirrorConnection {
  /** A request is arriving. */
  readonly busy: boolean;
  /** Tells the sender, with the next answer, to use another connection. */
  leave(): void;
  /** Ends the connection if no request is arriving; what comes all the same is still analysed. */
  endIfIdle(): void;
  destroy(): void;
}
