// HTTP as a test needs it: HTTP/1.1 written byte by byte over one kept connection, where nothing is added or
// normalised, and HTTP/2 without TLS with as many streams at once as wanted.
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case, in the order of arrival; repeated headers stay apart. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface RequestParts {
  readonly method?: string;
  readonly target?: string;
  /** Added to Host; a Content-Length is added when there is a body. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export function header(response: HttpResponse, name: string): string | undefined {
  return response.headers.find(([key]) => key === name)?.[1];
}

/** One HTTP/1.1 connection. Requests follow one another; `write` sends raw bytes in between. */
export class Http1Connection {
  readonly #socket: Socket;
  #pending = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true);
    this.#socket.on('data', (chunk) => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    this.#socket.on('error', end).on('close', end).on('end', end);
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  async request(parts: RequestParts = {}): Promise<HttpResponse> {
    this.write(requestBytes(parts));
    return this.response(parts.method);
  }

  /** Reads one response; interim ones (100, 103) are passed over, 101 is final. */
  async response(method = 'GET'): Promise<HttpResponse> {
    for (;;) {
      const { status, headers } = await this.head();
      if (status < 200 && status !== 101) continue;
      const bodyless = method === 'HEAD' || status === 204 || status === 304 || status === 101;
      const body = bodyless ? '' : await this.#body(headers);
      return { status, headers, body };
    }
  }

  /** Reads a status line and headers only: the body may still be on its way. */
  async head(): Promise<Omit<HttpResponse, 'body'>> {
    const text = (await this.until('\r\n\r\n')).trimEnd();
    const [statusLine = '', ...lines] = text.split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
    const headers = lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    return { status, headers };
  }

  /** Reads up to and including `mark`. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(mark);
      if (at >= 0) return this.#take(at + mark.length).toString('latin1');
      await this.#more(`"${mark}"`);
    }
  }

  /** Reads this many bytes. */
  async exactly(length: number): Promise<Buffer> {
    while (this.#pending.length < length) await this.#more(`${length} bytes`);
    return this.#take(length);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #body(headers: HttpResponse['headers']): Promise<string> {
    const value = (name: string): string | undefined => headers.find(([key]) => key === name)?.[1];
    if (value('transfer-encoding') === 'chunked') {
      let body = '';
      for (;;) {
        const size = Number.parseInt(await this.until('\r\n'), 16);
        const chunk = await this.exactly(size + 2);
        if (size === 0) return body;
        body += chunk.subarray(0, size).toString('latin1');
      }
    }
    const length = value('content-length');
    if (length !== undefined) return (await this.exactly(Number(length))).toString('latin1');
    while (!this.#ended) await this.#more('the end').catch(() => {});
    return this.#take(this.#pending.length).toString('latin1');
  }

  #take(length: number): Buffer {
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }

  async #more(wanted: string): Promise<void> {
    if (this.#ended) {
      throw new Error(`connection closed before ${wanted}, after: ${this.#pending.toString('latin1')}`);
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The bytes of one request, exactly as they are sent. */
export function requestBytes({ method = 'GET', target = '/', headers = {}, body }: RequestParts): Buffer {
  const bytes = Buffer.from(body ?? '');
  const framed = body === undefined ? {} : { 'content-length': String(bytes.length) };
  const all = { host: 'site.example', ...framed, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
    bytes,
  ]);
}

/** One request on a connection of its own. */
export async function fetchOnce(port: number, parts: RequestParts = {}): Promise<HttpResponse> {
  const connection = new Http1Connection(port);
  try {
    return await connection.request(parts);
  } finally {
    connection.close();
  }
}

/** One HTTP/2 connection with prior knowledge ("bind … proto h2"). */
export class Http2Connection {
  readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connectHttp2(`http://127.0.0.1:${port}`);
    // A request in flight reports the same error itself.
    this.session.on('error', () => {});
  }

  /** Sends one request without waiting for others. */
  async request({
    method = 'GET',
    target = '/',
    headers = {},
    body,
  }: RequestParts = {}): Promise<HttpResponse> {
    const pseudo = { ':method': method, ':path': target, ':authority': 'site.example' };
    const outgoing: OutgoingHttpHeaders = { ...pseudo, ...headers };
    const stream = this.session.request(outgoing, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const received: [string, string][] = [];
    let status = 0;
    let text = '';
    stream.setEncoding('latin1');
    stream.on('response', (incoming) => {
      status = Number(incoming[':status']);
      for (const [name, value] of Object.entries(incoming)) {
        if (!name.startsWith(':')) received.push([name, String(value)]);
      }
    });
    stream.on('data', (piece: string) => {
      text += piece;
    });
    await once(stream, 'close');
    return { status, headers: received, body: text };
  }

  close(): void {
    this.session.destroy();
  }
}
