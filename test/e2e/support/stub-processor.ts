// A scripted external processor: what it receives can be looked at, and a test says what it answers. It tests Envoy
// and the shipped Envoy files without the daemon, and can say things that the daemon never would. Its protobuf is its
// own and as small as possible, so that a mistake in src/ cannot hide behind itself.
//
// Not for bad input: it trusts Envoy to send whole, valid messages.
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import {
  bytes,
  type Fields,
  grpcFrame,
  grpcFrames,
  integer,
  nested,
  readFields,
  text,
} from './stub-protobuf.ts';

export type MessageKind = keyof typeof kinds;

export interface StubProcessorMessage {
  readonly kind: MessageKind;
  /** Of header kinds: in the order of arrival, values as latin1. */
  readonly headers: readonly (readonly [string, string])[];
  /** Of body kinds. */
  readonly body: Buffer;
  readonly endOfStream: boolean;
  readonly observability: boolean;
  /** Envoy's attributes that are texts, `source.address` for instance. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Metadata of the gRPC stream: `initial_metadata` of the filter. */
  readonly stream: Readonly<Record<string, unknown>>;
  /** Which stream brought it, counted from 0; and which connection. */
  readonly streamNumber: number;
  readonly connection: number;
}

export type BodyMode = keyof typeof bodyModes;

/** CONTINUE unless it blocks. */
export interface StubProcessorAnswer {
  readonly requestBody?: BodyMode;
  readonly responseBody?: BodyMode;
  readonly setHeaders?: Readonly<Record<string, string>>;
  /** Texts below one namespace. */
  readonly metadata?: { readonly namespace: string; readonly values: Readonly<Record<string, string>> };
  readonly block?: { readonly status: number; readonly body?: string; readonly details?: string };
}

/** 'silence' lets Envoy run into `message_timeout`, 'end' ends the stream with OK, a number with this status. */
export type StubProcessorScript = (
  message: StubProcessorMessage,
) => StubProcessorAnswer | 'silence' | 'end' | number;

const kinds = {
  requestHeaders: 2,
  responseHeaders: 3,
  requestBody: 4,
  responseBody: 5,
  requestTrailers: 6,
  responseTrailers: 7,
} as const;
const bodyModes = {
  NONE: 0,
  STREAMED: 1,
  BUFFERED: 2,
  BUFFERED_PARTIAL: 3,
  FULL_DUPLEX_STREAMED: 4,
} as const;
/** The answer to message n is field n - 1. */
const answerNumber = (kind: MessageKind): number => kinds[kind] - 1;
const ok = 0;

export interface StubTls {
  readonly key: string;
  readonly cert: string;
}

export class StubProcessor {
  readonly messages: StubProcessorMessage[] = [];
  script: StubProcessorScript;
  /** What `grpc.health.v1.Health/Check` says. */
  serving = true;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  #connections = 0;
  #streams = 0;

  constructor(script: StubProcessorScript, tls?: StubTls) {
    this.script = script;
    // Envoy ends every stream with a reset, of which Node's default allows few (docs: streamResetBurst).
    const limits = { streamResetBurst: 1e9, streamResetRate: 1e9 };
    this.#server = tls === undefined ? createServer(limits) : createSecureServer({ ...limits, ...tls });
    this.#server.on('session', (session: ServerHttp2Session) => {
      const connection = this.#connections++;
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session)).on('error', () => {});
      session.on('stream', (stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>) =>
        this.#serve(stream, headers, connection),
      );
    });
    this.#server.on('sessionError', () => {});
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', () => resolve()));
  }

  /** The messages of one kind, oldest first. */
  ofKind(kind: MessageKind): StubProcessorMessage[] {
    return this.messages.filter((message) => message.kind === kind);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const session of this.#sessions) session.destroy();
    await closed;
  }

  #serve(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>, connection: number): void {
    const streamNumber = this.#streams++;
    // A reset is how Envoy ends a stream.
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    let status = ok;
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
    const isHealth = headers[':path'] === '/grpc.health.v1.Health/Check';
    grpcFrames(stream, (payload) => {
      if (stream.writableEnded) return;
      if (isHealth) {
        stream.end(grpcFrame(integer(1, this.serving ? 1 : 2)));
        return;
      }
      const message = { ...decodeMessage(payload), stream: headers, streamNumber, connection };
      this.messages.push(message);
      const answer = this.script(message);
      if (answer === 'silence') return;
      if (answer === 'end' || typeof answer === 'number') {
        status = answer === 'end' ? ok : answer;
        stream.end();
      } else if (!message.observability) stream.write(grpcFrame(encodeAnswer(message.kind, answer)));
    });
    stream.on('end', () => stream.end());
  }
}

/** One that lets everything pass until a test gives it another `script`. */
export async function startStubProcessor(
  script: StubProcessorScript = () => ({}),
  tls?: StubTls,
): Promise<StubProcessor> {
  const processor = new StubProcessor(script, tls);
  await processor.listen();
  return processor;
}

function decodeMessage(
  payload: Buffer,
): Omit<StubProcessorMessage, 'stream' | 'streamNumber' | 'connection'> {
  const fields = readFields(payload);
  const [kind, number] = Object.entries(kinds).find(([, wanted]) => fields.has(wanted)) ?? [];
  if (kind === undefined || number === undefined) throw new Error('a message of no known kind');
  const content = readFields(first(fields, number));
  const isBody = number === kinds.requestBody || number === kinds.responseBody;
  const isTrailers = number === kinds.requestTrailers || number === kinds.responseTrailers;
  return {
    kind: kind as MessageKind,
    headers: isBody ? [] : decodeHeaders(first(content, 1)),
    body: isBody ? first(content, 1) : Buffer.alloc(0),
    endOfStream: isTrailers || content.get(isBody ? 2 : 3)?.[0] === 1,
    observability: fields.get(10)?.[0] === 1,
    attributes: decodeAttributes(fields),
  };
}

function decodeHeaders(map: Buffer): [string, string][] {
  return all(readFields(map), 1).map((pair) => {
    const parts = readFields(pair);
    const value = parts.has(3) ? first(parts, 3) : first(parts, 2);
    return [first(parts, 1).toString('latin1'), value.toString('latin1')];
  });
}

/** `attributes` is a map of Structs, and of a Value only the text is looked at. */
function decodeAttributes(fields: Fields): Map<string, string> {
  const structs = all(fields, 9).map((entry) => readFields(first(readFields(entry), 2)));
  const entries = structs.flatMap((struct) => all(struct, 1)).map(readFields);
  return new Map(
    entries.map((entry) => [first(entry, 1).toString(), first(readFields(first(entry, 2)), 3).toString()]),
  );
}

function encodeAnswer(kind: MessageKind, answer: StubProcessorAnswer): Buffer {
  const { block, metadata, requestBody, responseBody, setHeaders = {} } = answer;
  const mutation = Object.entries(setHeaders).map(([name, value]) =>
    nested(1, nested(1, text(1, name), bytes(3, Buffer.from(value)))),
  );
  const common = nested(1, nested(2, ...mutation));
  const parts = [block === undefined ? nested(answerNumber(kind), common) : encodeBlock(block)];
  if (metadata !== undefined) {
    const { namespace, values } = metadata;
    const entries = Object.entries(values).map(([key, value]) =>
      nested(1, text(1, key), nested(2, text(3, value))),
    );
    parts.push(nested(8, nested(1, text(1, namespace), nested(2, nested(5, ...entries)))));
  }
  if (requestBody !== undefined || responseBody !== undefined) {
    const modes = [requestBody ?? 'NONE', responseBody ?? 'NONE'] as const;
    parts.push(nested(9, integer(3, bodyModes[modes[0]]), integer(4, bodyModes[modes[1]])));
  }
  return Buffer.concat(parts);
}

function encodeBlock({ status, body = '', details = '' }: NonNullable<StubProcessorAnswer['block']>): Buffer {
  return nested(7, nested(1, integer(1, status)), bytes(3, Buffer.from(body)), text(5, details));
}

function all(fields: Fields, number: number): Buffer[] {
  return (fields.get(number) ?? []).filter((value) => Buffer.isBuffer(value));
}

function first(fields: Fields, number: number): Buffer {
  return all(fields, number)[0] ?? Buffer.alloc(0);
}
