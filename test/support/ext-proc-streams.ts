/** Streams of an Envoy that does what a test says, on the door's real handler and engine, without sockets. */
import { Buffer } from 'node:buffer';
import { HeldBytes } from '../../src/adapters/ext-proc/held-bodies.ts';
import { ObservedBodies } from '../../src/adapters/ext-proc/observed-bodies.ts';
import { type HandlerOptions, ProcessHandler } from '../../src/adapters/ext-proc/process-handler.ts';
import { ProcessStream } from '../../src/adapters/ext-proc/process-stream.ts';
import type { Engines, OpenStream } from '../../src/adapters/ext-proc/stream-host.ts';
import { BlockPages } from '../../src/engine/block-page.ts';
import type { EngineOptions } from '../../src/engine/engine.ts';
import type { DoorTraits } from '../../src/engine/transaction-view.ts';
import type { CallEnd, GrpcCall } from '../../src/grpc/index.ts';
import { ReadTime } from '../../src/net/read-time.ts';
import { sharedNowMs } from '../../src/workers/channel.ts';
import type { Dispatched } from '../../src/workers/dispatcher.ts';
import type { JobHandler } from '../../src/workers/jobs.ts';
import { decodeResponse, encodeRequest, headerMap } from './ext-proc-oracle.ts';
import { testDoor, testEngine } from './test-engine.ts';

type Fields = readonly (readonly [name: string, value: string | Buffer])[];

/** What the door did to the stream: an answer, as protobufjs reads it, or its end. */
export type Done = Record<string, unknown> | 'end';

export class FakeCall implements GrpcCall {
  readonly metadata: readonly string[];
  readonly peerAddress = '127.0.0.1';
  readonly unsentBytes = 0;
  readonly done: Done[] = [];
  isClosed = false;
  paused = false;
  status: number | undefined;

  constructor(metadata: readonly string[]) {
    this.metadata = metadata;
  }

  send(message: Uint8Array): void {
    if (this.status === undefined && !this.isClosed) this.done.push(decodeResponse(message));
  }

  end(status: number): void {
    if (this.status !== undefined) return;
    this.status = status;
    this.done.push('end');
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

/** One engine, at once; jobs can be held back, and answered with whatever a test wants. */
export class TestEngines implements Engines {
  readonly #handler: JobHandler;
  #held: (() => void)[] | undefined;
  /** Instead of an analysis. */
  refusal: Dispatched | undefined;
  deadlineMs: number | undefined;
  thread: number | undefined = 0;
  readonly notices: Buffer[] = [];

  constructor(handler: JobHandler) {
    this.#handler = handler;
  }

  engineFor(): number | undefined {
    return this.thread;
  }

  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const run of held) run();
  }

  dispatch(...[thread, job, done]: Parameters<Engines['dispatch']>): void {
    if (thread === undefined) {
      done({ kind: 'shed', reason: 'no-engine' });
      return;
    }
    if (this.refusal !== undefined) {
      done(this.refusal);
      return;
    }
    const run = (): void => {
      const deadlineMs = this.deadlineMs ?? sharedNowMs() + 60_000;
      this.#handler.handle({ ...job, deadlineMs }, (bytes) => done({ kind: 'done', bytes }));
    };
    if (this.#held === undefined) run();
    else this.#held.push(run);
  }

  skipped(_thread: number, bytes: Uint8Array): void {
    const payload = Buffer.from(bytes);
    this.notices.push(payload);
    this.#handler.skipped(payload);
  }
}

export interface SceneOptions {
  readonly engine?: Partial<EngineOptions>;
  readonly door?: DoorTraits;
  readonly handler?: Partial<HandlerOptions>;
  readonly maxHeldBytes?: number;
  readonly maxMessageTimeoutMs?: number;
}

/** What was told to logs and metrics, in order. */
export type Told = string;

export function openScene(options: SceneOptions = {}) {
  const { engine, recorder } = testEngine(options.engine, options.door ?? testDoor);
  const told: Told[] = [];
  const handler = new ProcessHandler(
    {
      inspector: engine.inspector,
      pages: new BlockPages(),
      reportOnly: options.door?.reportOnly ?? false,
      clientIpHeader: undefined,
      timeToLiveMs: 600_000,
      component: 'auto',
      isUnixSocket: false,
      inKubernetes: false,
      serviceFromRoute: false,
      maxStreams: 1000,
      ...options.handler,
    },
    {
      message: () => undefined,
      failed: (kind, cause) => told.push(`failed ${kind}: ${String(cause)}`),
      malformed: (kind) => told.push(`malformed ${kind}`),
      late: () => told.push('late'),
      bodyAskedFor: (came) => told.push(`body ${came ? 'came' : 'missing'}`),
    },
  );
  const engines = new TestEngines(handler);
  const memory = new HeldBytes(options.maxHeldBytes ?? 100_000_000);
  const streams = new Set<OpenStream>();
  let opened = 0;
  const host = {
    engines,
    memory,
    messageTimeoutMs: 60_000,
    maxMessageTimeoutMs: options.maxMessageTimeoutMs,
    observedBodies: new ObservedBodies(),
    readTime: new ReadTime(sharedNowMs),
    observer: {
      skipped: (reason: string) => told.push(`skipped ${reason}`),
      unknownMessage: () => told.push('unknown message'),
      disorder: (kind: string) => told.push(`disorder ${kind}`),
    },
    opened(stream: OpenStream) {
      streams.add(stream);
      opened += 1;
      return opened;
    },
    closed: (stream: OpenStream) => streams.delete(stream),
  };
  return {
    ...{ engine, recorder, told, handler, engines, memory, streams },
    open: (metadata: readonly string[] = []) =>
      new FakeStream(new FakeCall(metadata), (call) => new ProcessStream(call, host)),
  };
}

/** An Envoy's side of one stream. */
export class FakeStream {
  readonly call: FakeCall;
  readonly stream: ProcessStream;
  /** Said with every message. */
  observes = false;
  protocolConfig: object | undefined;

  constructor(call: FakeCall, open: (call: FakeCall) => ProcessStream) {
    this.call = call;
    this.stream = open(call);
  }

  /** Sends it; returns what the door did within the call. */
  send(message: object): Done[] {
    const before = this.call.done.length;
    const bytes = encodeRequest({
      ...message,
      ...(this.observes ? { observability_mode: true } : {}),
      ...(this.protocolConfig === undefined ? {} : { protocol_config: this.protocolConfig }),
    });
    this.protocolConfig = undefined;
    this.stream.message(bytes);
    return this.call.done.slice(before);
  }

  request(target: string, more: RequestMore = {}): Done[] {
    const { method = 'GET', headers = [], end = method === 'GET', ...rest } = more;
    const fields: Fields = [
      [':authority', 'shop.test'],
      [':path', target],
      [':method', method],
      [':scheme', 'http'],
      ...headers,
    ];
    return this.send({ request_headers: { headers: headerMap(fields), end_of_stream: end }, ...rest });
  }

  /** A request with a JSON body to follow. */
  post(target: string, headers: Fields = []): Done[] {
    return this.request(target, {
      method: 'POST',
      headers: [['content-type', 'application/json'], ...headers],
    });
  }

  requestBody(body: string | Buffer, end = true): Done[] {
    return this.send({ request_body: { body: Buffer.from(body), end_of_stream: end } });
  }

  response(status: number, headers: Fields = [], end = false): Done[] {
    const fields: Fields = [[':status', String(status)], ...headers];
    return this.send({ response_headers: { headers: headerMap(fields), end_of_stream: end } });
  }

  jsonResponse(status = 200): Done[] {
    return this.response(status, [['content-type', 'application/json']]);
  }

  responseBody(body: string | Buffer, end = true): Done[] {
    return this.send({ response_body: { body: Buffer.from(body), end_of_stream: end } });
  }

  trailers(of: 'request' | 'response'): Done[] {
    return this.send({ [`${of}_trailers`]: { trailers: headerMap([['x-checksum', '1']]) } });
  }

  close(how: CallEnd = 'reset'): void {
    this.call.isClosed = true;
    this.stream.closed(how);
  }
}

export interface RequestMore {
  readonly method?: string;
  readonly headers?: Fields;
  readonly end?: boolean;
  readonly attributes?: object;
  readonly metadata_context?: object;
}

/** `{ texts }` under the name of the filter, or of a namespace, as Envoy sends them. */
export function struct(name: string, texts: Readonly<Record<string, string>>): object {
  const fields = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, { string_value: text }]),
  );
  return { [name]: { fields } };
}
