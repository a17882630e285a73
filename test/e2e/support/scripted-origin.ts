// An origin that answers each exchange of the door suite as that says, and keeps what it got of it.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange, OriginResponse } from '../../adapters/door-driver.ts';

/** Names the exchange to the origin. */
export const exchangeHeader = 'x-exchange';

const page: OriginResponse = { headers: { 'content-type': 'text/html' }, body: '<p>page</p>' };

export class ScriptedOrigin {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #exchanges = new Map<string, Exchange>();
  readonly #received = new Map<string, string>();
  readonly #held = new Map<string, ServerResponse>();

  constructor() {
    this.#server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout: 30_000 }, (request, response) =>
      this.#answer(request, response).catch(() => response.destroy()),
    );
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the origin has no port');
    return address.port;
  }

  expect(id: string, exchange: Exchange): void {
    this.#exchanges.set(id, exchange);
  }

  /** The body that came with it; undefined: nothing came. */
  received(id: string): string | undefined {
    return this.#received.get(id);
  }

  /** Answers at last what was never to be answered. */
  release(id: string): void {
    this.#held.get(id)?.end('late');
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = String(request.headers[exchangeHeader]);
    const { response: wanted = page } = this.#exchanges.get(id) ?? {};
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.#received.set(id, Buffer.concat(chunks).toString());
    if (wanted === 'never') {
      this.#held.set(id, response);
      return;
    }
    const { status = 200, headers = {}, body = '' } = wanted;
    const length = status === 304 ? {} : { 'content-length': Buffer.byteLength(body) };
    response.writeHead(status, { ...length, ...headers }).end(body);
  }
}
