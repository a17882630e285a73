import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { wantsRequestBody } from '../../engine/body/body-policy.ts';
import type { Field } from '../../http1/index.ts';
import { describeAddress, type ListenAddress, removeStaleSocket } from '../../net/address.ts';
import { endAfterLastFrame } from '../../net/linger.ts';
import { Listener, type ListenerOptions, type RefusalReason } from '../../net/listener.ts';
import type { TlsIdentity } from '../../net/tls.ts';
import { everyAddress } from './addresses.ts';
import { Arrival, type ArrivalServices } from './arrival.ts';
import type { ConnectionObserver, ConnectionServices, MirrorConnection } from './connection.ts';
import type { CopyOrigin } from './copy.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';

export interface MirrorServerOptions extends ListenerOptions {
  readonly socketMode: number;
  readonly stallMs: number;
}

/** Must not throw. */
export interface MirrorServerObserver extends ConnectionObserver {
  connected(): void;
  refusedConnection(reason: RefusalReason, address: string | undefined): void;
  handshakeFailed(cause: Error, address: string | undefined): void;
}

/** What proxies let through is less: 1 MiB is Traefik's default, the largest there is. */
const maxHeadBytes = 1024 * 1024;

/** RFC 9113, 3.4: so begins a connection that speaks HTTP/2. */
const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const typeField = 'content-type';
const mostTypes = 100;

/** For connections that wait to be accepted when a receiver begins to leave. */
const acceptMs = 50;

/** What is sent on a new connection comes at once; an older one that is silent is idle. */
const firstBytesMs = 500;

/** How often a draining server looks for connections that have become idle. */
const drainPollMs = 20;

/** Takes copies, on any number of addresses; HTTP/1 and HTTP/2 on each. */
export class MirrorServer {
  readonly #options: MirrorServerOptions;
  readonly #observer: MirrorServerObserver;
  readonly #arrivals: ArrivalServices;
  readonly #services: ConnectionServices;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<MirrorConnection>();
  /** By Content-Type. Bounded, for each multipart form has one of its own. */
  readonly #wantedTypes = new Map<string, boolean>();
  #tls: TlsIdentity | undefined;
  #leaving = false;
  #everConnected = false;

  constructor(options: MirrorServerOptions, arrivals: ArrivalServices, observer: MirrorServerObserver) {
    this.#options = options;
    this.#arrivals = arrivals;
    this.#observer = observer;
    this.#tls = options.tls;
    this.#services = {
      begin: (origin, request) => this.#begin(origin, request),
      observer,
      memory: arrivals.memory,
      stallMs: options.stallMs,
      maxHeadBytes,
    };
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Resolves with where it listens. Rejects with Node's error.
   * @param place of the address in the setting.
   */
  async listen(address: ListenAddress, place: number): Promise<string> {
    if ('socketPath' in address) await removeStaleSocket(address.socketPath);
    try {
      return await this.#listen(address, place);
    } catch (cause) {
      if (!('host' in address) || address.host !== everyAddress || !isWithoutIpv6(cause)) throw cause;
      return await this.#listen({ host: '0.0.0.0', port: address.port }, place);
    }
  }

  /** For connections from now on; nothing when TLS is off. */
  renewTls(identity: TlsIdentity): void {
    this.#tls = identity;
    for (const listener of this.#listeners) listener.renewTls(identity);
  }

  /**
   * Leaves without losing a copy that was sent: answers tell senders from now on to use other connections, and new ones
   * are taken for `graceMs`; then idle connections are ended, and the others when they are. Resolves when none is left,
   * at the latest after `deadlineMs`.
   */
  async drain(graceMs: number, deadlineMs: number): Promise<void> {
    const deadlineAtMs = performance.now() + deadlineMs;
    this.#leaving = true;
    for (const connection of this.#connections) connection.leave();
    // Connections that the kernel has taken meanwhile are accepted in the next turns: closing would reset them.
    const leastMs = this.#everConnected ? Math.max(graceMs, acceptMs) : acceptMs;
    await delay(Math.min(leastMs, deadlineMs));
    for (const listener of this.#listeners) listener.close();
    while (this.#connections.size > 0 && performance.now() < deadlineAtMs) {
      for (const connection of this.#connections) connection.endIfIdle();
      await delay(drainPollMs);
    }
    this.close();
  }

  /** At once. */
  close(): void {
    for (const connection of this.#connections) connection.destroy();
    for (const listener of this.#listeners) listener.destroy();
  }

  async #listen(address: ListenAddress, place: number): Promise<string> {
    const options = { ...this.#options, tls: this.#tls, alpnProtocols: ['h2', 'http/1.1'] };
    const listener = new Listener(options, {
      accepted: (socket) => this.#accept(socket, place),
      refused: (reason, from) => this.#observer.refusedConnection(reason, from),
      handshakeFailed: (cause, from) => this.#observer.handshakeFailed(cause, from),
      failed: (cause) => this.#observer.socketError(cause),
    });
    await listener.listen(address, this.#options.socketMode);
    this.#listeners.push(listener);
    return describeAddress(listener.address());
  }

  #accept(socket: Socket, listener: number): void {
    this.#everConnected = true;
    this.#observer.connected();
    const origin = originOf(socket, listener);
    const opening = new Opening(socket, (bytes, isHttp2) => {
      this.#connections.delete(opening);
      this.#open(socket, origin, bytes, isHttp2);
    });
    socket.setNoDelay(true);
    // The other machine may go without a word.
    socket.setKeepAlive(true, 60_000);
    this.#keep(socket, opening);
  }

  #open(socket: Socket, origin: CopyOrigin, bytes: Buffer, isHttp2: boolean): void {
    try {
      if (isHttp2) {
        socket.pause();
        socket.unshift(bytes);
        this.#keep(socket, new Http2Connection(socket, origin, this.#services));
        return;
      }
      const connection = new Http1Connection(socket, origin, this.#services);
      this.#keep(socket, connection);
      connection.receive(bytes);
    } catch (cause) {
      this.#observer.failed(cause);
      socket.destroy();
    }
  }

  #keep(socket: Socket, connection: MirrorConnection): void {
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
    if (this.#leaving) connection.leave();
  }

  #begin(origin: CopyOrigin, request: Parameters<ConnectionServices['begin']>[1]): Arrival {
    const wanted = request.bodyBytes !== 0 && this.#wantsBody(request.fields);
    return new Arrival(this.#arrivals, origin, request, wanted);
  }

  /** Of what a body that comes says of itself, the engine asks its type alone. */
  #wantsBody(fields: readonly Field[]): boolean {
    const types: (readonly [string, string])[] = [];
    for (const [name, value] of fields) {
      if (name.length === typeField.length && name.toLowerCase() === typeField)
        types.push([typeField, value]);
    }
    const [first] = types;
    if (first === undefined) return true;
    const known = types.length === 1 ? this.#wantedTypes.get(first[1]) : undefined;
    if (known !== undefined) return known;
    // One byte: it is known that there is a body.
    const wanted = wantsRequestBody(types, 1, Number.POSITIVE_INFINITY);
    if (types.length === 1 && this.#wantedTypes.size < mostTypes) this.#wantedTypes.set(first[1], wanted);
    return wanted;
  }
}

/** A connection of which it is not known yet which HTTP it speaks. */
class Opening implements MirrorConnection {
  readonly busy = false;
  readonly #openedAtMs = performance.now();
  readonly #socket: Socket;
  readonly #known: (bytes: Buffer, isHttp2: boolean) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;

  /** @param known told with all that came so far. */
  constructor(socket: Socket, known: (bytes: Buffer, isHttp2: boolean) => void) {
    this.#socket = socket;
    this.#known = known;
    socket.on('data', this.#receive);
    socket.on('error', this.#ignore);
  }

  leave(): void {}

  endIfIdle(): void {
    if (this.#ended || performance.now() - this.#openedAtMs < firstBytesMs) return;
    this.#ended = true;
    endAfterLastFrame(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #receive = (piece: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
    const length = Math.min(this.#bytes.length, http2Preface.length);
    const isHttp2 = this.#bytes.compare(http2Preface, 0, length, 0, length) === 0;
    if (isHttp2 && length < http2Preface.length) return;
    this.#socket.off('data', this.#receive);
    this.#socket.off('error', this.#ignore);
    this.#known(this.#bytes, isHttp2);
  };

  /** A reset before the first byte: 'close' follows. */
  readonly #ignore = (): void => {};
}

function originOf(socket: Socket, listener: number): CopyOrigin {
  const { remoteAddress, remotePort } = socket;
  return {
    // An IPv4 address on a socket for both is one.
    peerAddress: remoteAddress?.replace(/^::ffff:(?=\d+\.)/, ''),
    peerPort: remotePort,
    listener,
    tls: socket instanceof TLSSocket,
  };
}

function isWithoutIpv6(cause: unknown): boolean {
  return (
    cause instanceof Error &&
    'code' in cause &&
    (cause.code === 'EAFNOSUPPORT' || cause.code === 'EADDRNOTAVAIL')
  );
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
