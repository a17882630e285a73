import type { RefusalReason } from '../../net/listener.ts';
import type { SpopError } from '../../spop/index.ts';

/** Told what happens on the sockets. Must not throw. */
export interface ServerObserver {
  connected?(): void;
  /** Closed unread: more connections than allowed, or an address that is not. */
  refused?(reason: RefusalReason, address: string | undefined): void;
  /** It never got as far as a connection. */
  handshakeFailed?(cause: Error, address: string | undefined): void;
  /** @param peer the instance of another agent that connected in the place of HAProxy */
  hello?(maxFrameSizeBytes: number, engineId: string | undefined, peer: string | undefined): void;
  disconnected?(status: number, message: string): void;
  /** The peer broke the protocol and was told. */
  protocolError?(error: SpopError): void;
  /** The stream ended inside a frame. */
  truncatedFrame?(pendingBytes: number): void;
  timedOut?(which: 'hello' | 'idle'): void;
  socketError?(cause: Error): void;
  /** Our mistake, contained: the frame was acknowledged without analysis. */
  frameFailed?(cause: unknown): void;
}
