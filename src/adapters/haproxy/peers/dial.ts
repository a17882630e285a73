import { connect, type Socket } from 'node:net';
import { type SecureContext, connect as tlsConnect } from 'node:tls';
import type { PeerAddress } from './address.ts';

/** Without a relay, a machine that is gone is noticed after this and ten seconds of probes. */
const keepAliveMs = 10_000;

/**
 * @param secureContext our certificate, and the CA that the one of the peer must be of. Addresses are dialled, not
 *   names, and that CA is the operator's own: a certificate of it is enough, whatever name is in it. Undefined: no TLS.
 * @param reached told with TLS only: the port is open, the handshake begins
 * @param connected what is written from now on goes to the peer, and to nobody else
 */
export function dialPeer(
  { host, port }: PeerAddress,
  secureContext: SecureContext | undefined,
  { reached, connected }: { readonly reached: () => void; readonly connected: () => void },
): Socket {
  const options = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  if (secureContext === undefined) return connect(options).once('connect', connected);
  const socket = tlsConnect({ ...options, secureContext, checkServerIdentity: () => undefined });
  return socket.once('connect', reached).once('secureConnect', () => {
    socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    connected();
  });
}
