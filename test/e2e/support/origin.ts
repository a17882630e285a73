// The site behind HAProxy: one route per behaviour that the shipped files must leave alone, and a record of
// what really arrived.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What the origin received: what a blocked request must not appear in. */
export interface OriginRequest {
  readonly method: string;
  /** The request target as it arrived. */
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  /** Its headers, on `performance.now()`'s clock. */
  readonly receivedAtMs: number;
}

/** @param goOn resolves when the test says so, for routes with `?held`: at once for all others. */
type Route = (
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
  goOn: () => Promise<void>,
) => void;

/** Milliseconds between two pieces of the routes that send slowly. */
export const pieceIntervalMs = 200;
/** `/slow-json` needs this long: more than the second after which other configurations give up. */
export const slowJsonMs = 2_500;

export class Origin {
  readonly requests: OriginRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];

  constructor() {
    // As large a head as HAProxy lets in; Node's own limit is 16 KiB.
    this.#server = createServer({ maxHeaderSize: 65_536 }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#beforeBody(request, response),
    );
    this.#server.keepAliveTimeout = 30_000;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
      this.#record(request);
      acceptWebSocket(request, socket);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  /** Lets the responses of routes with `?held` go on: they stop behind the head and the first piece. */
  goOn(): void {
    for (const resume of this.#held.splice(0)) resume();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #record(request: IncomingMessage): void {
    const { method = '', url: target = '', headers } = request;
    this.requests.push({ method, target, headers, receivedAtMs: performance.now() });
  }

  /** The origin's own word about `Expect: 100-continue`: `/no-upload` is refused before its body. */
  #beforeBody(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '/no-upload') {
      this.#record(request);
      response.writeHead(417, { 'content-length': 0, connection: 'close' }).end();
      return;
    }
    response.writeContinue();
    this.#answer(request, response);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request);
    response.on('error', () => response.destroy());
    // Absolute targets and "*" are answered like "/": what matters is that they arrive.
    const url = new URL((request.url ?? '/').replace(/^\/+/, '/'), 'http://origin');
    const status = /^\/status\/(\d{3})$/.exec(url.pathname)?.[1];
    if (status !== undefined) {
      response.writeHead(Number(status), { 'content-type': 'text/plain' }).end(`status ${status}`);
      return;
    }
    const route = routes[url.pathname] ?? page;
    const goOn = (): Promise<void> =>
      url.searchParams.has('held') ? new Promise((resolve) => this.#held.push(resolve)) : Promise.resolve();
    route(request, response, url.searchParams, goOn);
  }
}

export async function startOrigin(): Promise<Origin> {
  const origin = new Origin();
  await origin.listen();
  return origin;
}

const page: Route = (_request, response) => {
  const html = '<!doctype html><title>origin</title><p>Hello from the origin.</p>';
  response.writeHead(200, { 'content-type': 'text/html', 'content-length': html.length }).end(html);
};

const json: Route = (_request, response, query) => {
  const text = JSON.stringify({ hello: 'world', filler: 'x'.repeat(Number(query.get('size') ?? 0)) });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
};

const slowJson: Route = (_request, response, _query, goOn) => {
  const text = JSON.stringify({ slow: true, filler: 'y'.repeat(1_000) });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  const pieces = Math.ceil(slowJsonMs / pieceIntervalMs) + 1;
  void inPieces(response, cut(text, pieces), goOn, () => response.end());
};

const chunkedJson: Route = (_request, response, _query, goOn) => {
  const text = JSON.stringify({ chunked: true, list: Array.from({ length: 20 }, (_, index) => index) });
  response.writeHead(200, { 'content-type': 'application/json' });
  void inPieces(response, cut(text, 5), goOn, () => response.end());
};

const events: Route = async (_request, response, _query, goOn) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let sent = 0;
  const send = (): void => {
    response.write(`data: event ${sent++}\n\n`);
  };
  send();
  await goOn();
  if (response.destroyed) return;
  const timer = setInterval(send, pieceIntervalMs);
  response.on('close', () => clearInterval(timer));
};

/** Headers at once, the body when there is something to say: the shape of a long poll. */
const longPoll: Route = async (_request, response, _query, goOn) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  await goOn();
  response.end('{"news":true}');
};

const echo: Route = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const digest = createHash('sha256').update(body).digest('hex');
    const headers = { 'content-type': 'application/octet-stream', 'content-length': body.length };
    response
      .writeHead(200, { ...headers, 'x-body-size': String(body.length), 'x-body-sha256': digest })
      .end(body);
  });
};

/** Answers each piece of the request as it comes, before the next one is sent. */
const conversation: Route = (request, response) => {
  response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'text/plain' });
  response.flushHeaders();
  request.on('data', (chunk: Buffer) => response.write(`<heard ${chunk.length}>`));
  request.on('end', () => response.end('<over>'));
};

const receivedHeaders: Route = (request, response) => {
  const text = JSON.stringify(request.headers);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
};

/** A response made to order: `?header=` goes into X-Leak, `?leak=` into a JSON body, `?type=` says another type. */
const say: Route = (_request, response, query) => {
  const text = JSON.stringify({ origin: 'page that a block must hide', leak: query.get('leak') ?? '' });
  const type = query.get('type') ?? 'application/json';
  response.writeHead(Number(query.get('status') ?? 200), {
    ...{ 'content-type': type, 'content-length': Buffer.byteLength(text) },
    'x-leak': query.get('header') ?? 'none',
  });
  response.end(text);
};

const routes: Readonly<Record<string, Route>> = {
  '/json': json,
  '/slow-json': slowJson,
  '/chunked-json': chunkedJson,
  '/sse': events,
  '/long-poll': longPoll,
  '/echo': echo,
  '/conversation': conversation,
  '/headers': receivedHeaders,
  '/say': say,
};

/** A WebSocket in name only: after the handshake every byte comes back as it is. */
function acceptWebSocket(request: IncomingMessage, socket: Socket): void {
  const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}${guid}`).digest('base64');
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${[...lines, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}

function cut(text: string, pieces: number): string[] {
  const size = Math.ceil(text.length / pieces);
  return Array.from({ length: pieces }, (_, index) => text.slice(index * size, (index + 1) * size));
}

async function inPieces(
  response: ServerResponse,
  pieces: readonly string[],
  goOn: () => Promise<void>,
  done: () => void,
): Promise<void> {
  const rest = [...pieces];
  response.write(rest.shift() ?? '');
  await goOn();
  if (response.destroyed) return;
  const timer = setInterval(() => {
    const next = rest.shift();
    if (next !== undefined) {
      response.write(next);
      return;
    }
    clearInterval(timer);
    done();
  }, pieceIntervalMs);
  response.on('close', () => clearInterval(timer));
}
