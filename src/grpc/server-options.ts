import type { ListenerOptions, RefusalReason } from '../net/listener.ts';
import type { CallEnd, GrpcMethod } from './method.ts';
import type { CallTrouble } from './trouble.ts';

/**
 * `maxConnections`, `allowed`, `tls`; `helloTimeoutMs` is for the TLS handshake, once more for the HTTP/2 preface, and for
 * the first message of each call.
 */
export interface GrpcServerOptions extends Omit<ListenerOptions, 'alpnProtocols'> {
  /** By path, for instance `/envoy.service.ext_proc.v3.ExternalProcessor/Process`. `grpc.health.v1` comes by itself. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Names that can be asked for in health checks; besides "", which is the whole server. */
  readonly services: readonly string[];
  /** Of a unix socket; that which the process gives to its files if there is none. */
  readonly socketMode?: number | undefined;
  /** The largest message taken, without its prefix. */
  readonly maxMessageBytes: number;
  /** For messages that came in part, what paused calls may receive, and answers that wait to be read, of all calls together. */
  readonly maxHeldBytes: number;
  /** Open at a time on one connection. */
  readonly maxConcurrentStreams: number;
  /** Open at a time on all connections; beyond it, a connection keeps its share. */
  readonly maxCalls: number;
  /** A connection without a stream is said goodbye to after so long; one with streams has to answer a PING then. */
  readonly idleTimeoutMs: number;
  /**
   * A connection is said goodbye to after so long, or up to a tenth more or less, so that load spreads. Undefined: never.
   * What a client sends before it has read the goodbye is refused. A client that can be told to end its connections itself
   * loses nothing: Envoy by `max_connection_duration` of the cluster.
   */
  readonly maxConnectionAgeMs?: number | undefined;
}

/** Told what happens on the sockets. Must not throw. */
export interface GrpcServerObserver {
  connected?(): void;
  /** Closed unread: more connections than allowed, or an address that is not. */
  refused?(reason: RefusalReason, address: string | undefined): void;
  /** It never got as far as HTTP/2. */
  handshakeFailed?(cause: Error, address: string | undefined): void;
  /** Of a socket, or of the listening one. */
  socketError?(cause: Error): void;
  /** The peer broke HTTP/2, or flooded us: its connection was ended. */
  protocolError?(cause: Error, address: string | undefined): void;
  timedOut?(which: 'hello' | 'idle', address: string | undefined): void;
  /** Every call of a method, once. */
  callEnded?(path: string, how: CallEnd): void;
  /** A call ended so. `detail` is for people. */
  callTroubled?(path: string, trouble: CallTrouble, detail: string): void;
  /** Our mistake, contained. */
  methodFailed?(path: string, cause: unknown): void;
}
