import type { Server } from 'node:http';
import { explainListen } from '../../config/listen-error.ts';
import type { Door, DoorServices, Listening } from '../../daemon/door.ts';
import type { ListenAddress } from '../../net/address.ts';
import { parseAllowList } from '../../net/allow-list.ts';
import { everyAddress } from './addresses.ts';
import { ArrivingMemory } from './arriving-memory.ts';
import { Backlog } from './backlog.ts';
import { createMirrorHealth } from './health.ts';
import { observeArrivals, observeBacklog, observeServer } from './observers.ts';
import { MirrorServer } from './server.ts';
import { type MirrorDoorConfig, mirrorSettings } from './settings.ts';
import { readMirrorTls, renewMirrorTls } from './tls.ts';

/** The receiver, the backlog behind it, and the port for health checks. */
export function createDoor(config: MirrorDoorConfig, services: DoorServices): Door {
  return new MirrorDoor(config, services);
}

/** Time for a TLS handshake. */
const handshakeTimeoutMs = 10_000;

class MirrorDoor implements Door {
  readonly #config: MirrorDoorConfig;
  readonly #services: DoorServices;
  readonly #backlog: Backlog;
  readonly #memory: ArrivingMemory;
  readonly #server: MirrorServer;
  readonly #health: Server;
  #leaving = false;

  constructor(config: MirrorDoorConfig, services: DoorServices) {
    const { engines, logger, metrics } = services;
    this.#config = config;
    this.#services = services;
    const { mirrorBacklogBytes: maxBytes, mirrorBacklogAgeMs: maxAgeMs } = config;
    this.#backlog = new Backlog(engines, { maxBytes, maxAgeMs }, observeBacklog(logger, metrics));
    this.#memory = new ArrivingMemory(maxBytes);
    this.#server = this.#createServer();
    this.#health = createMirrorHealth(() => this.#leaving);
    this.#addGauges();
  }

  async listen(): Promise<Listening> {
    const listening: string[] = [];
    for (const [place, { address }] of this.#config.mirrorListen.entries()) {
      const { env } = mirrorSettings.mirrorListen;
      listening.push(await this.#explained(address, env, () => this.#server.listen(address, place)));
    }
    if (this.#config.bodyLimitBytes <= 0) {
      this.#services.logger.warn(
        'bodies of mirrored requests are not inspected: DD_APPSEC_BODY_PARSING_SIZE_LIMIT is 0',
      );
    }
    const { mirrorHealthcheck: address } = this.#config;
    const { env } = mirrorSettings.mirrorHealthcheck;
    await this.#explained(address, env, () => listenHealth(this.#health, address));
    return { address: listening.join(', '), tls: this.#config.mirrorTlsCertificatePath !== undefined };
  }

  /** Copies that were sent are read, and those that were read are analysed. */
  async drain(graceMs: number, deadlineMs: number): Promise<void> {
    const deadlineAtMs = performance.now() + deadlineMs;
    this.#leaving = true;
    await this.#server.drain(graceMs, deadlineMs);
    const leftMs = deadlineAtMs - performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, leftMs));
    });
    await Promise.race([this.#backlog.emptied(), late]);
    clearTimeout(timer);
    this.#health.close();
    this.#health.closeAllConnections();
  }

  reload(): void {
    renewMirrorTls(this.#config, this.#services.logger, (identity) => this.#server.renewTls(identity));
  }

  #createServer(): MirrorServer {
    const { mirrorAllowed, mirrorMaxConnections, mirrorSocketMode, mirrorStallMs, bodyLimitBytes } =
      this.#config;
    const { logger, metrics } = this.#services;
    return new MirrorServer(
      {
        maxConnections: mirrorMaxConnections,
        helloTimeoutMs: handshakeTimeoutMs,
        allowed: mirrorAllowed && parseAllowList(mirrorAllowed),
        tls: readMirrorTls(this.#config)?.identity,
        socketMode: mirrorSocketMode,
        stallMs: mirrorStallMs,
      },
      {
        backlog: this.#backlog,
        memory: this.#memory,
        observer: observeArrivals(logger, metrics),
        bodyLimitBytes: Math.max(0, bodyLimitBytes),
      },
      observeServer(logger, metrics),
    );
  }

  #addGauges(): void {
    const { metrics } = this.#services;
    metrics.gauge(
      'mirror_connections',
      'Open connections of senders of mirrored requests.',
      () => this.#server.connections,
    );
    metrics.gauge(
      'mirror_backlog_requests',
      'Mirrored requests that wait for their analysis.',
      () => this.#backlog.messages,
    );
    metrics.gauge('mirror_backlog_bytes', 'Bytes of those.', () => this.#backlog.bytes);
    metrics.gauge(
      'mirror_arriving_bytes',
      'Bytes kept of bodies that are still arriving.',
      () => this.#memory.usedBytes,
    );
  }

  async #explained<T>(address: ListenAddress, variable: string, listen: () => Promise<T>): Promise<T> {
    try {
      return await listen();
    } catch (cause) {
      const variables = { host: variable, port: variable, socket: variable };
      throw explainListen(cause, address, variables, this.#services.takenPorts);
    }
  }
}

async function listenHealth(server: Server, address: ListenAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    // Stays: later errors, for instance of accepting without descriptors, must not end the process.
    server.on('error', reject);
    const everywhere = 'host' in address && address.host === everyAddress;
    // Without a host, node listens on IPv4 where there is no IPv6.
    server.listen(everywhere ? { port: address.port } : address, resolve);
  });
}
