/**
 * The other agents behind the same HAProxy backend, and how a message reaches the one that owns its transaction.
 *
 *     HAProxy ──NOTIFY──► this agent ──the same NOTIFY──► owner
 *             ◄──ACK────             ◄──ACK──────────────
 *
 * An agent connects to the configured addresses and to nothing else: no message can make it connect anywhere. Names
 * are resolved again every few seconds, all their addresses are dialled (of a headless Kubernetes service: every
 * agent, ourselves included), and the HELLO says which process is there. So nobody has to know beforehand who is who,
 * and a process that restarts is found under its new instance.
 *
 * Each agent dials each other one: two agents have two links, and each relays on its own. A link costs a socket; at
 * most 256 addresses are dialled.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { describePeerAddress, type PeerAddress } from './address.ts';
import { PeerDialer } from './dialer.ts';
import type { LinkOptions, PeerLink, RelayDone } from './link.ts';
import type { PeerObserver } from './observer.ts';
import { defaultTimings, type PeerTimings } from './timings.ts';

export interface PeerNetworkOptions {
  readonly peers: readonly PeerAddress[];
  /** Our own: 16 hexadecimal digits, drawn at each start. */
  readonly instance: string;
  /** Only who knows it gets a message; undefined: whoever answers at a configured address and names an instance. */
  readonly secret: string | undefined;
  readonly maxFrameSizeBytes: number;
  readonly secureContext?: NonNullable<LinkOptions['secureContext']>;
  /** All addresses of a name. Default: as the system resolves it, search domains and /etc/hosts included. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly timings?: Partial<PeerTimings>;
}

const maxAddresses = 256;

/** The links to the other agents: dials them, keeps them, and hands NOTIFYs on to the one that owns the transaction. */
export class PeerNetwork {
  readonly #options: PeerNetworkOptions;
  readonly #linkOptions: LinkOptions;
  readonly #observer: PeerObserver;
  readonly #timings: PeerTimings;
  readonly #resolve: (host: string) => Promise<readonly string[]>;
  /** By address, as text. */
  readonly #dialers = new Map<string, PeerDialer>();
  /** Living links of an instance: several if it has several addresses. */
  readonly #links = new Map<string, PeerLink[]>();
  /** What each name stood for when it was last resolved. */
  readonly #resolved = new Map<string, readonly string[]>();
  readonly #resolving = new Set<string>();
  readonly #unresolved = new Set<string>();
  #running = false;
  #resolveTimer: NodeJS.Timeout | undefined;
  #heardOfTimer: NodeJS.Timeout | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: PeerNetworkOptions, observer: PeerObserver = {}) {
    this.#options = options;
    this.#observer = observer;
    this.#timings = { ...defaultTimings, ...options.timings };
    this.#linkOptions = { ...options, timings: this.#timings };
    this.#resolve = options.resolve ?? allAddresses;
  }

  /** Instances that messages can be relayed to. */
  get instances(): readonly string[] {
    return [...this.#links.keys()];
  }

  /** Relays that wait for an answer. */
  get pending(): number {
    let relays = 0;
    for (const links of this.#links.values()) for (const link of links) relays += link.pending;
    return relays;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#look();
    this.#resolveLater();
  }

  /** Says goodbye to all; relays under way are answered with undefined. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#resolveTimer);
    clearTimeout(this.#heardOfTimer);
    this.#heardOfTimer = undefined;
    for (const dialer of this.#dialers.values()) dialer.stop();
    this.#dialers.clear();
  }

  /** Whether there is a living link to that instance. */
  knows(instance: string): boolean {
    return this.#links.has(instance);
  }

  /**
   * Hands the payload of a NOTIFY to the instance that owns its transaction.
   * @param payload the messages, as HAProxy sent them; copied
   * @param maxActionsBytes what fits into the ACK to HAProxy: its frames may be smaller than those between agents, so
   *   the peer is told
   * @param done is called exactly once, perhaps before this returns: with the encoded actions, at least one and no more
   *   bytes than `maxActionsBytes`; or with undefined when the peer is not linked, cannot take it now, ends, or does
   *   not answer in time. Then whatever the caller does by itself is right: the peer may still have worked on it.
   *   Must not throw.
   */
  relay(
    instance: string,
    payload: Uint8Array,
    maxActionsBytes: number,
    timeoutMs: number,
    done: RelayDone,
  ): void {
    for (const link of this.#links.get(instance) ?? []) {
      if (link.relay(payload, maxActionsBytes, timeoutMs, done)) return;
    }
    done(undefined);
  }

  /**
   * Somebody named this instance: the HELLO of a peer, or the identity in a message. If it is not linked, names are
   * resolved and addresses without a link are dialled at once; not more often than once in `heardOfMs`.
   */
  heardOf(instance: string): void {
    if (!this.#running || instance === this.#options.instance || this.knows(instance)) return;
    if (this.#heardOfTimer !== undefined) return;
    const waitMs = this.#lookedAtMs + this.#timings.heardOfMs - performance.now();
    if (waitMs <= 0) this.#lookNow();
    else this.#heardOfTimer = setTimeout(() => this.#lookNow(), waitMs).unref();
  }

  #lookNow(): void {
    this.#heardOfTimer = undefined;
    this.#lookedAtMs = performance.now();
    for (const dialer of this.#dialers.values()) dialer.dialNow();
    this.#look();
  }

  /** At random up to a fifth earlier: agents started together do not ask DNS together for ever. */
  #resolveLater(): void {
    const waitMs = this.#timings.resolveMs * (1 - Math.random() / 5);
    this.#resolveTimer = setTimeout(() => {
      this.#look();
      this.#resolveLater();
    }, waitMs).unref();
  }

  #look(): void {
    const names = new Set(this.#options.peers.map(({ host }) => host).filter((host) => isIP(host) === 0));
    for (const name of names) void this.#lookUp(name);
    this.#reconcile();
  }

  async #lookUp(name: string): Promise<void> {
    if (this.#resolving.has(name)) return;
    this.#resolving.add(name);
    try {
      const addresses = await this.#resolve(name);
      this.#resolved.set(name, addresses);
      this.#unresolved.delete(name);
      if (this.#running) this.#reconcile();
    } catch (cause) {
      // A DNS that is down must not cut what works: the last answer stands.
      if (!this.#unresolved.has(name)) this.#observer.notResolved?.(name, cause);
      this.#unresolved.add(name);
    } finally {
      this.#resolving.delete(name);
    }
  }

  /** Dials what is new and forgets what is gone. */
  #reconcile(): void {
    const wanted = this.#wanted();
    for (const [key, dialer] of this.#dialers) {
      if (wanted.has(key)) dialer.remember();
      else dialer.forget();
      if (dialer.done) this.#dialers.delete(key);
    }
    for (const [key, address] of wanted) {
      if (this.#dialers.has(key)) continue;
      const handlers = {
        opened: (link: PeerLink) => this.#opened(link),
        ended: (link: PeerLink) => this.#ended(link),
      };
      this.#dialers.set(key, new PeerDialer(address, this.#linkOptions, handlers, this.#observer));
    }
  }

  #wanted(): Map<string, PeerAddress> {
    const wanted = new Map<string, PeerAddress>();
    for (const { host, port } of this.#options.peers) {
      for (const address of isIP(host) === 0 ? (this.#resolved.get(host) ?? []) : [host]) {
        if (wanted.size === maxAddresses) return wanted;
        wanted.set(describePeerAddress({ host: address, port }), { host: address, port });
      }
    }
    return wanted;
  }

  #opened(link: PeerLink): void {
    if (link.instance === undefined) return;
    this.#links.set(link.instance, [...(this.#links.get(link.instance) ?? []), link]);
  }

  #ended(link: PeerLink): void {
    if (link.instance === undefined) return;
    const left = (this.#links.get(link.instance) ?? []).filter((other) => other !== link);
    if (left.length === 0) this.#links.delete(link.instance);
    else this.#links.set(link.instance, left);
  }
}

async function allAddresses(host: string): Promise<string[]> {
  const addresses = await lookup(host, { all: true });
  return addresses.map(({ address }) => address);
}
