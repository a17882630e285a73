import { explainListen } from '../../config/listen-error.ts';
import type { Door, DoorServices, Listening } from '../../daemon/door.ts';
import type { ListenAddress } from '../../net/address.ts';
import { parseAllowList } from '../../net/allow-list.ts';
import { observePeers, observeRouter, observeServer } from './observers.ts';
import { PeerNetwork } from './peers/network.ts';
import { peerAnswerer } from './peers/proof.ts';
import { NotifyRouter } from './router.ts';
import { SpopServer } from './server.ts';
import { type HaproxyConfig, haproxySettings } from './settings.ts';
import { HaproxyTls } from './tls-renewal.ts';

/** The SPOP server, the router behind it, and the links to other daemons. */
export function createDoor(config: HaproxyConfig, services: DoorServices): Door {
  return new HaproxyDoor(config, services);
}

class HaproxyDoor implements Door {
  readonly #config: HaproxyConfig;
  readonly #services: DoorServices;
  readonly #tls: HaproxyTls;
  readonly #peers: PeerNetwork | undefined;
  readonly #server: SpopServer;

  constructor(config: HaproxyConfig, services: DoorServices) {
    this.#config = config;
    this.#services = services;
    this.#tls = new HaproxyTls(config, services.logger);
    this.#peers = this.#createPeers();
    this.#server = this.#createServer();
    this.#addGauges();
  }

  async listen(): Promise<Listening> {
    const { host, port, socketPath } = this.#config;
    const address: ListenAddress = socketPath === undefined ? { host, port } : { socketPath };
    try {
      const listening = await this.#server.listen(address);
      this.#peers?.start();
      return { address: listening, tls: this.#tls.identity !== undefined };
    } catch (cause) {
      const { host, port, socketPath: socket } = haproxySettings;
      const variables = { host: host.env, port: port.env, socket: socket.env };
      throw explainListen(cause, address, variables, this.#services.takenPorts);
    }
  }

  async drain(graceMs: number, deadlineMs: number): Promise<void> {
    await this.#server.drain(graceMs, deadlineMs, () => this.#services.engines.liveTransactions > 0);
    this.#peers?.stop();
  }

  reload(): void {
    this.#tls.renew((identity) => this.#server.renewTls(identity));
  }

  #createPeers(): PeerNetwork | undefined {
    const { peers, peerSecret: secret, maxFrameSizeBytes } = this.#config;
    const { instance, logger } = this.#services;
    if (peers === undefined) return undefined;
    const secureContext = (): ReturnType<HaproxyTls['secureContext']> => this.#tls.secureContext();
    return new PeerNetwork(
      { peers, instance, secret, maxFrameSizeBytes, secureContext },
      observePeers(logger),
    );
  }

  #createServer(): SpopServer {
    const { maxFrameSizeBytes, maxFramesInFlight, maxConnections, helloTimeoutMs, idleTimeoutMs } =
      this.#config;
    const { allowed, socketMode, processingTimeoutMs, peerSecret } = this.#config;
    const { engines, instance, logger, metrics } = this.#services;
    const router = new NotifyRouter(
      engines,
      { instance, processingTimeoutMs, peers: this.#peers },
      observeRouter(logger, metrics),
    );
    return new SpopServer(
      {
        maxFrameSizeBytes,
        maxFramesInFlight,
        maxConnections,
        helloTimeoutMs,
        idleTimeoutMs,
        socketMode,
        allowed: allowed && parseAllowList(allowed),
        tls: this.#tls.identity,
        answerPeer: peerAnswerer(instance, peerSecret),
      },
      router,
      observeServer(logger, metrics, (peer) => this.#peers?.heardOf(peer)),
    );
  }

  #addGauges(): void {
    const { metrics } = this.#services;
    metrics.gauge(
      'peers_linked',
      'Other agents that messages can be passed on to.',
      () => this.#peers?.instances.length ?? 0,
    );
    metrics.gauge('spop_connections', 'Open SPOP connections.', () => this.#server.connections);
    metrics.gauge(
      'spop_frames_in_flight',
      'NOTIFY frames that wait for their ACK.',
      () => this.#server.inFlight,
    );
  }
}
