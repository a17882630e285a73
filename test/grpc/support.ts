/** A server with one method that answers every message with itself, and tells what happens. */
import {
  type CallEnd,
  type GrpcCall,
  type GrpcCallHandler,
  type GrpcMethod,
  GrpcServer,
  type GrpcServerObserver,
  type GrpcServerOptions,
  GrpcStatus,
} from '../../src/grpc/index.ts';
import type { ListenAddress } from '../../src/net/address.ts';

export const echoPath = '/test.Echo/Talk';

export const usual: GrpcServerOptions = {
  methods: new Map(),
  services: ['test.Echo'],
  maxMessageBytes: 1_000_000,
  maxHeldBytes: 8_000_000,
  maxConcurrentStreams: 1_000,
  maxCalls: 10_000,
  maxConnections: 100,
  helloTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
};

export class EchoCall implements GrpcCallHandler {
  readonly call: GrpcCall;
  readonly told: string[] = [];
  readonly ended: Promise<CallEnd>;
  #resolve: (how: CallEnd) => void = () => undefined;

  constructor(call: GrpcCall) {
    this.call = call;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  message(message: Buffer): void {
    this.told.push(message.length > 20 ? `${message.length} bytes` : message.toString());
    this.call.send(message);
  }

  halfClosed(): void {
    this.told.push('half-closed');
    this.call.end(GrpcStatus.OK);
  }

  closed(how: CallEnd): void {
    this.told.push(`closed: ${how}`);
    this.#resolve(how);
  }
}

export interface TestServer {
  readonly server: GrpcServer;
  readonly port: number;
  readonly where: string;
  /** What the observer was told, in order. */
  readonly seen: string[];
  /** All handlers opened, in order. */
  readonly calls: EchoCall[];
  /** Resolves when so many calls were opened. */
  opened(count: number): Promise<void>;
}

export async function startServer(
  changes: Partial<GrpcServerOptions> = {},
  echo: (call: GrpcCall) => EchoCall = (call) => new EchoCall(call),
  method: Omit<GrpcMethod, 'open'> = {},
  address: ListenAddress = { host: '127.0.0.1', port: 0 },
): Promise<TestServer> {
  const [seen, calls]: [string[], EchoCall[]] = [[], []];
  const waiting: (() => void)[] = [];
  const open = (call: GrpcCall): GrpcCallHandler => {
    const handler = echo(call);
    calls.push(handler);
    for (const resolve of waiting.splice(0)) resolve();
    return handler;
  };
  const observer: GrpcServerObserver = {
    connected: () => seen.push('connected'),
    refused: (reason) => seen.push(`refused: ${reason}`),
    handshakeFailed: (cause) =>
      seen.push(`handshake failed: ${'code' in cause ? cause.code : cause.message}`),
    socketError: (cause) => seen.push(`socket error: ${cause.message}`),
    protocolError: (cause) => seen.push(`protocol error: ${cause.message}`),
    timedOut: (which) => seen.push(`timed out: ${which}`),
    callEnded: (path, how) => seen.push(`${path} ${how}`),
    callTroubled: (_path, trouble, detail) => seen.push(`${trouble}: ${detail}`),
    methodFailed: (_path, cause) => seen.push(`failed: ${(cause as Error).message}`),
  };
  const server = new GrpcServer(
    { ...usual, methods: new Map([[echoPath, { ...method, open }]]), ...changes },
    observer,
  );
  const where = await server.listen(address);
  const opened = async (count: number): Promise<void> => {
    while (calls.length < count) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    }
  };
  return { server, port: Number(where.split(':').at(-1)), where, seen, calls, opened };
}
