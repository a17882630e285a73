/**
 * The listening socket, and who gets past it: address, number, then TLS. What comes out is a socket that a door's
 * protocol can be spoken on; nothing is read from anybody before.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { ListenAddress } from './address.ts';
import type { AllowList } from './allow-list.ts';
import { contextOptions, type TlsIdentity } from './tls.ts';

export interface ListenerOptions {
  readonly maxConnections: number;
  /** For the TLS handshake: the HELLO has the same time once more. */
  readonly helloTimeoutMs: number;
  /** Undefined: anyone who can reach the port. Does not apply to unix sockets. */
  readonly allowed?: AllowList | undefined;
  /** Undefined: connections are not encrypted. */
  readonly tls?: TlsIdentity | undefined;
  /** What is spoken on the socket, as ALPN names it. A client that names others only is refused; one may name none. */
  readonly alpnProtocols?: readonly string[] | undefined;
}

/** `limit`: more connections than allowed. `address`: not on the list. */
export type RefusalReason = 'limit' | 'address';

export interface ListenerHandlers {
  accepted(socket: Socket): void;
  /** Closed without reading. `address` is undefined if the peer had already disconnected. */
  refused(reason: RefusalReason, address: string | undefined): void;
  /** No TLS, another version, no certificate or one that does not count, or not in time. */
  handshakeFailed(cause: Error, address: string | undefined): void;
  /** An error of the listening socket, for example when no descriptors are left. Open connections continue. */
  failed(cause: Error): void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #handlers: ListenerHandlers;
  readonly #server: Server;
  /** Listens nowhere: it is given the sockets that got past the other checks. */
  readonly #tls: TlsServer | undefined;
  /** Every socket that was not refused, until it is closed: in its handshake, or handed over. */
  readonly #open = new Set<Socket>();
  #isUnix = false;

  constructor(options: ListenerOptions, handlers: ListenerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#tls = options.tls === undefined ? undefined : this.#tlsServer(options.tls);
  }

  /** Rejects with Node's error. */
  async listen(address: ListenAddress, socketMode: number | undefined): Promise<void> {
    this.#isUnix = 'socketPath' in address;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      const listening = (): void => {
        this.#server.off('error', reject);
        this.#server.on('error', (cause) => this.#handlers.failed(cause));
        resolve();
      };
      if (!('socketPath' in address)) this.#server.listen(address, listening);
      else {
        // The file is made in this very call: it never has other permissions than these.
        withMode(socketMode, () => this.#server.listen({ path: address.socketPath }, listening));
      }
    });
  }

  address(): ReturnType<Server['address']> {
    return this.#server.address();
  }

  /** Connections from now on get the new certificate and CA; those that are open stay as they are. */
  renewTls(identity: TlsIdentity): void {
    this.#tls?.setSecureContext(contextOptions(identity));
  }

  /** Accepts no new connections; handshakes in progress continue. */
  close(): void {
    this.#server.close();
  }

  /** Ends whatever is open, handshakes included. */
  destroy(): void {
    this.close();
    for (const socket of this.#open) socket.destroy();
  }

  #accept(socket: Socket): void {
    const { allowed, maxConnections } = this.#options;
    const { remoteAddress } = socket;
    if (allowed !== undefined && !this.#isUnix && !(remoteAddress !== undefined && allowed(remoteAddress))) {
      this.#refuse(socket, 'address');
    } else if (this.#open.size >= maxConnections) {
      this.#refuse(socket, 'limit');
    } else {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      if (this.#tls === undefined) this.#handlers.accepted(socket);
      else this.#tls.emit('connection', socket);
    }
  }

  #refuse(socket: Socket, reason: RefusalReason): void {
    const { remoteAddress } = socket;
    socket.destroy();
    this.#handlers.refused(reason, remoteAddress);
  }

  #tlsServer(identity: TlsIdentity): TlsServer {
    const withClients = identity.ca !== undefined;
    const { alpnProtocols } = this.#options;
    const server = new TlsServer({
      ...contextOptions(identity),
      ...(alpnProtocols !== undefined && { ALPNProtocols: [...alpnProtocols] }),
      handshakeTimeout: this.#options.helloTimeoutMs,
      requestCert: withClients,
      rejectUnauthorized: withClients,
    });
    server.on('secureConnection', (socket) => this.#handlers.accepted(socket));
    server.on('tlsClientError', (cause, socket) => {
      const { remoteAddress } = socket;
      // After a time-out Node leaves it open.
      socket.destroy();
      this.#handlers.handshakeFailed(cause, remoteAddress);
    });
    return server;
  }
}

/** What is created meanwhile has this mode at most. A process has one umask: nothing else may run between. */
function withMode(mode: number | undefined, create: () => void): void {
  if (mode === undefined) {
    create();
    return;
  }
  const before = process.umask(0o777 & ~mode);
  try {
    create();
  } finally {
    process.umask(before);
  }
}
