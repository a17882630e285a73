import { explainListen } from '../../config/listen-error.ts';
import type { Door, DoorServices, Listening } from '../../daemon/door.ts';
import { GrpcServer, GrpcStatus } from '../../grpc/index.ts';
import type { ListenAddress } from '../../net/address.ts';
import { parseAllowList } from '../../net/allow-list.ts';
import { ReadTime } from '../../net/read-time.ts';
import { sharedNowMs } from '../../workers/channel.ts';
import { methodPath, serviceName } from './contract.ts';
import { HeldBytes } from './held-bodies.ts';
import { ObservedBodies } from './observed-bodies.ts';
import { observeServer, observeStreams } from './observers.ts';
import { ProcessStream } from './process-stream.ts';
import { type ExtProcConfig, extProcSettings } from './settings.ts';
import type { OpenStream, StreamHost } from './stream-host.ts';
import { ExtProcTls } from './tls.ts';

/** Time for the TLS handshake, for the HTTP/2 preface, and for the first message of a stream. */
const helloTimeoutMs = 10_000;

/** Streams that are still open are let go of so long before the end: their ends have to arrive. */
const farewellMs = 500;

/** Envoy has a connection for each of its worker threads; by default its circuit breaker allows 1,024 requests in all. */
const maxStreamsOfConnection = 4096;

/** The gRPC server, and the streams on it. */
export function createDoor(config: ExtProcConfig, services: DoorServices): Door {
  return new ExtProcDoor(config, services);
}

class ExtProcDoor implements Door {
  readonly #config: ExtProcConfig;
  readonly #services: DoorServices;
  readonly #tls: ExtProcTls;
  readonly #memory: HeldBytes;
  readonly #streams = new Set<OpenStream>();
  readonly #server: GrpcServer;
  #opened = 0;

  constructor(config: ExtProcConfig, services: DoorServices) {
    this.#config = config;
    this.#services = services;
    this.#tls = new ExtProcTls(config, services.logger);
    this.#memory = new HeldBytes(config.extProcMaxHeldBytes);
    this.#server = this.#createServer();
    this.#addGauges();
  }

  async listen(): Promise<Listening> {
    const { extProcHost: host, extProcPort: port, extProcSocketPath: socketPath } = this.#config;
    const address: ListenAddress = socketPath === undefined ? { host, port } : { socketPath };
    try {
      const listening = await this.#server.listen(address);
      return { address: listening, tls: this.#tls.identity !== undefined };
    } catch (cause) {
      const { extProcHost, extProcPort, extProcSocketPath } = extProcSettings;
      const variables = { host: extProcHost.env, port: extProcPort.env, socket: extProcSocketPath.env };
      throw explainListen(cause, address, variables, this.#services.takenPorts);
    }
  }

  async drain(graceMs: number, deadlineMs: number): Promise<void> {
    const farewell = setTimeout(() => this.#letGo(), Math.max(0, deadlineMs - farewellMs));
    await this.#server.drain(graceMs, deadlineMs);
    clearTimeout(farewell);
  }

  reload(): void {
    this.#tls.renew((identity) => this.#server.renewTls(identity));
  }

  /** Envoy takes the loss of a connection for an error, and the end of a stream for none. */
  #letGo(): void {
    for (const stream of this.#streams) stream.letGo();
  }

  #createServer(): GrpcServer {
    const config = this.#config;
    const { logger, metrics } = this.#services;
    const host = this.#streamHost();
    const method = {
      open: (call: ConstructorParameters<typeof ProcessStream>[0]) => new ProcessStream(call, host),
      // Under `failure_mode_allow: false` any other status is an error for the client.
      statusOf: () => GrpcStatus.OK,
    };
    return new GrpcServer(
      {
        methods: new Map([[methodPath, method]]),
        services: [serviceName],
        socketMode: config.extProcSocketMode,
        maxMessageBytes: config.extProcMaxMessageBytes,
        maxHeldBytes: config.extProcMaxHeldBytes,
        maxConnections: config.extProcMaxConnections,
        maxConcurrentStreams: Math.min(config.extProcMaxStreams, maxStreamsOfConnection),
        maxCalls: config.extProcMaxStreams,
        helloTimeoutMs,
        idleTimeoutMs: config.extProcIdleTimeoutMs,
        maxConnectionAgeMs: config.extProcMaxConnectionAgeMs,
        allowed: config.extProcAllowed && parseAllowList(config.extProcAllowed),
        tls: this.#tls.identity,
      },
      observeServer(logger, metrics),
    );
  }

  #streamHost(): StreamHost {
    const { extProcMessageTimeoutMs, extProcMaxMessageTimeoutMs } = this.#config;
    const { engines, logger, metrics } = this.#services;
    return {
      engines,
      memory: this.#memory,
      messageTimeoutMs: extProcMessageTimeoutMs,
      maxMessageTimeoutMs: extProcMaxMessageTimeoutMs,
      observer: observeStreams(logger, metrics),
      observedBodies: new ObservedBodies(),
      readTime: new ReadTime(sharedNowMs),
      opened: (stream) => {
        this.#streams.add(stream);
        this.#opened += 1;
        return this.#opened;
      },
      closed: (stream) => this.#streams.delete(stream),
    };
  }

  #addGauges(): void {
    const { metrics } = this.#services;
    metrics.gauge('grpc_connections', 'Open connections of Envoys.', () => this.#server.connections);
    metrics.gauge('ext_proc_streams', 'Streams of Envoys: requests under way.', () => this.#streams.size);
    metrics.gauge(
      'ext_proc_held_bytes',
      'Bytes of bodies that are held until there is a verdict.',
      () => this.#memory.bytes,
    );
  }
}
