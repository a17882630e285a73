// A daemon with the mirror door, an origin that takes anything, and clients that write their requests byte by byte.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { RequestReader } from '../../../src/http1/index.ts';
import { Daemon, type DaemonOptions } from './daemon.ts';
import { freePort } from './free-port.ts';

export interface MirrorDaemon {
  readonly daemon: Daemon;
  readonly port: number;
  readonly healthPort: number;
}

/** A daemon that opens the mirror door alone; not started yet. */
export async function mirrorDaemon(options: DaemonOptions = {}): Promise<MirrorDaemon> {
  const [port, healthPort] = [await freePort(), await freePort()];
  const daemon = new Daemon(
    {
      ...options,
      flags: ['mirror', ...(options.flags ?? [])],
      env: {
        DD_REQUEST_MIRROR_LISTEN_ADDR: `127.0.0.1:${port}`,
        DD_REQUEST_MIRROR_HEALTHCHECK_ADDR: `127.0.0.1:${healthPort}`,
        ...options.env,
      },
    },
    await freePort(),
    await freePort(),
  );
  return { daemon, port, healthPort };
}

/** What the origin was asked, in the order of arrival. */
export class TolerantOrigin {
  readonly targets: string[] = [];
  /** Bytes of bodies. */
  bodyBytes = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const reader = new RequestReader(4 * 1024 * 1024);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const event of reader.receive(bytes)) {
        if (event.kind === 'head') {
          this.targets.push(event.head.target);
          if (event.framing.expectsContinue) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        } else if (event.kind === 'body') this.bodyBytes += event.bytes.length;
        else if (event.kind === 'end') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
      if (reader.closed) socket.end();
    });
  }
}

/** Sends the bytes on a connection of their own, and resolves with the status of the answer; 0 when none came. */
export function sendRaw(
  port: number,
  bytes: string | Buffer,
  { localAddress = '127.0.0.1', timeoutMs = 5000 } = {},
): Promise<number> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(
        Number(/^HTTP\/1\.[01] (\d{3})/m.exec(text.replace(/^HTTP\/1\.1 100.*?\r\n\r\n/s, ''))?.[1] ?? 0),
      );
    };
    const timer = setTimeout(finish, timeoutMs);
    socket.on('error', finish).on('close', finish);
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1');
      if (/^HTTP\/1\.[01] (?!100)\d{3}.*?\r\n\r\n/ms.test(text)) finish();
    });
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}
