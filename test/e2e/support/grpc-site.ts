// A gRPC service as an origin, and calls to it: frames by hand, for what matters is how they pass.
import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type Http2Server } from 'node:http2';

/** One message with its prefix. */
export function grpcFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

export interface GrpcOrigin {
  readonly port: number;
  /** Paths of the calls that arrived. */
  readonly calls: readonly string[];
  stop(): Promise<void>;
}

/** Sends every piece of a request back at once, and ends with status 0 when the client has. */
export async function startGrpcOrigin(): Promise<GrpcOrigin> {
  const calls: string[] = [];
  const server: Http2Server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream, headers) => {
    calls.push(String(headers[':path']));
    stream.on('error', () => undefined);
    stream.respond(
      { ':status': 200, 'content-type': String(headers['content-type']) },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('data', (piece: Buffer) => stream.write(piece));
    stream.on('end', () => stream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stop = async (): Promise<void> => {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, calls, stop };
}

export interface GrpcResult {
  readonly status: string | undefined;
  readonly message: string | undefined;
  readonly body: string;
}

export class GrpcClient {
  readonly #session: ClientHttp2Session;

  constructor(port: number) {
    this.#session = connect(`http://127.0.0.1:${port}`);
    this.#session.on('error', () => undefined);
  }

  /** Opens a call; `pieces` come as they arrive. */
  open(path: string, headers: Readonly<Record<string, string>> = {}) {
    const stream = this.#session.request({
      ...{ ':method': 'POST', ':path': path, ':authority': 'grpc.example' },
      ...{ 'content-type': 'application/grpc', te: 'trailers', ...headers },
    });
    let fields: Record<string, unknown> = {};
    let body = '';
    stream.setEncoding('latin1');
    stream.on('error', () => undefined);
    stream.on('response', (response) => {
      fields = { ...fields, ...response };
    });
    stream.on('trailers', (trailers) => {
      fields = { ...fields, ...trailers };
    });
    stream.on('data', (piece: string) => {
      body += piece;
    });
    const result = async (): Promise<GrpcResult> => {
      await once(stream, 'close');
      const text = (name: string): string | undefined =>
        fields[name] === undefined ? undefined : String(fields[name]);
      return { status: text('grpc-status'), message: text('grpc-message'), body };
    };
    return { stream, result: result(), received: () => body };
  }

  close(): void {
    this.#session.destroy();
  }
}
