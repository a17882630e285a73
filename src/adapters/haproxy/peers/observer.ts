/** Why a link is no more, or never was. */
export type LinkEnd =
  /** No connection. */
  | 'unreachable'
  /** A connection, but no TLS handshake: without TLS, or with a certificate that is not of our CA. */
  | 'tls'
  /** A connection, but no HELLO in time. */
  | 'no-hello'
  /** We reached ourselves. */
  | 'self'
  /** Whoever answers is no agent of ours, an old one, or one without peers. */
  | 'not-a-peer'
  /** The peer does not know the secret, or has another. */
  | 'wrong-secret'
  /** The peer broke the protocol. */
  | 'protocol'
  /** The peer said goodbye: it shuts down, or the link was idle for too long. */
  | 'goodbye'
  /** The stream ended without a goodbye. */
  | 'closed'
  /** Relays were not answered and nothing else came. */
  | 'silent'
  /** We leave. */
  | 'stopped';

/** Told what happens between agents. Must not throw. Addresses are text: `10.0.0.1:3000`, `[::1]:3000`. */
export interface PeerObserver {
  /** Messages of this instance can be relayed from now on. */
  linked?(address: string, instance: string): void;
  /** A link is no more. It is dialled again unless we stop or DNS forgot the address. */
  unlinked?(address: string, instance: string, why: LinkEnd, detail: string): void;
  /** An address cannot be linked. Told once, until that changes or the reason does. Our own address is none of it. */
  notLinked?(address: string, why: LinkEnd, detail: string): void;
  /** A name cannot be resolved; what it stood for before is kept. Told once, until it can be. */
  notResolved?(host: string, cause: unknown): void;
}
