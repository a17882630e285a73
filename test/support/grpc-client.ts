/** A gRPC client over node:http2, for tests: calls whose messages, status and end can be awaited. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { MessageSplitter, withPrefix } from '../../src/grpc/index.ts';

export interface CallResult {
  readonly httpStatus: number | undefined;
  /** `grpc-status`, of headers or trailers; undefined when the stream ended without one. */
  readonly status: number | undefined;
  readonly message: string | undefined;
  readonly messages: readonly Buffer[];
  readonly rstCode: number | undefined;
}

export class ClientCall {
  readonly stream: ClientHttp2Stream;
  readonly messages: Buffer[] = [];
  readonly done: Promise<CallResult>;
  #headers: IncomingHttpHeaders = {};
  #trailers: IncomingHttpHeaders = {};
  #wake: () => void = () => undefined;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    const splitter = new MessageSplitter(2 ** 32);
    stream.on('error', () => undefined);
    stream.on('response', (headers) => {
      this.#headers = headers;
    });
    // As gRPC clients do: once there is a status, nothing more is sent.
    stream.on('end', () => stream.end());
    stream.on('trailers', (trailers) => {
      this.#trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      for (let message = splitter.next(); message !== undefined; message = splitter.next()) {
        this.messages.push(Buffer.from(message));
      }
      this.#wake();
    });
    this.done = new Promise((resolve) => {
      stream.once('close', () => {
        this.#wake();
        resolve(this.#result());
      });
    });
  }

  send(...messages: readonly (Uint8Array | string)[]): this {
    for (const message of messages) this.stream.write(withPrefix(Buffer.from(message)));
    return this;
  }

  end(): this {
    this.stream.end();
    return this;
  }

  /** Resolves when so many messages have come in all. */
  async received(count: number): Promise<readonly Buffer[]> {
    while (this.messages.length < count) {
      if (this.stream.closed) throw new Error(`closed after ${this.messages.length} messages of ${count}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.messages;
  }

  #result(): CallResult {
    const field = (name: string): string | undefined => {
      const value = this.#trailers[name] ?? this.#headers[name];
      return value === undefined ? undefined : String(value);
    };
    const status = field('grpc-status');
    return {
      httpStatus: this.#headers[':status'] === undefined ? undefined : Number(this.#headers[':status']),
      status: status === undefined ? undefined : Number(status),
      message: field('grpc-message'),
      messages: this.messages,
      rstCode: this.stream.rstCode,
    };
  }
}

export class GrpcClient {
  readonly session: ClientHttp2Session;
  readonly closed: Promise<void>;
  /** Codes of GOAWAY, in order. */
  readonly goaways: number[] = [];

  constructor(session: ClientHttp2Session) {
    this.session = session;
    this.closed = new Promise((resolve) => session.once('close', resolve));
    session.on('error', () => undefined);
    session.on('goaway', (code) => this.goaways.push(code));
  }

  static async connect(
    target: { readonly port: number } | { readonly path: string },
    options: SecureClientSessionOptions & { readonly tls?: boolean } = {},
  ): Promise<GrpcClient> {
    const { tls, ...rest } = options;
    const session =
      'port' in target
        ? connect(`${tls === true ? 'https' : 'http'}://127.0.0.1:${target.port}`, rest)
        : connect('http://localhost', { ...rest, createConnection: () => connectSocket(target.path) });
    const client = new GrpcClient(session);
    const refused = client.closed.then(() => {
      throw new Error('closed before its SETTINGS came');
    });
    // Whoever is connected is closed one day, too.
    refused.catch(() => undefined);
    await Promise.race([once(session, 'remoteSettings'), refused]);
    return client;
  }

  call(path: string, headers: OutgoingHttpHeaders = {}): ClientCall {
    return new ClientCall(
      this.session.request(
        {
          ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
          ...headers,
        },
        { endStream: false },
      ),
    );
  }

  /** One message there, and what comes back. */
  unary(path: string, message: Uint8Array | string = ''): Promise<CallResult> {
    return this.call(path).send(message).end().done;
  }

  get socket(): Socket {
    return this.session.socket as Socket;
  }

  async close(): Promise<void> {
    this.session.destroy();
    await this.closed;
  }
}
