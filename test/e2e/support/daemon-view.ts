// One daemon for all describes of a file that start it with the same settings: a start takes a second of CPU time.
import { Daemon, type DaemonOptions, metricIn, startDaemon } from './daemon.ts';

/** What one describe sees of a daemon that it shares: what was said and counted since it began. It cannot stop it. */
export class DaemonView extends Daemon {
  readonly #before: string;

  private constructor(daemon: Daemon, before: string) {
    super({}, daemon.port, daemon.healthPort);
    this.#before = before;
    daemon.log.follow((line) => this.log.add(line));
  }

  static async of(daemon: Daemon): Promise<DaemonView> {
    // The threads tell what they counted after what they had to say; a turn later their lines have been read, too.
    const { body } = await daemon.health('/metrics');
    await new Promise((resolve) => setTimeout(resolve, 10));
    return new DaemonView(daemon, body);
  }

  override async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { body } = await this.health('/metrics');
    const isGauge = body.includes(`# TYPE appsec_edge_${name} gauge\n`);
    return metricIn(body, name, labels) - (isGauge ? 0 : metricIn(this.#before, name, labels));
  }

  override start(): Promise<void> {
    return Promise.reject(new Error('others share this daemon: ask for one with `ownDaemon`'));
  }

  override signal(): void {
    throw new Error('others share this daemon: ask for one with `ownDaemon`');
  }

  override stop(): Promise<number | null> {
    return Promise.reject(new Error('others share this daemon: ask for one with `ownDaemon`'));
  }
}

/** Something that several describes of a file use one after the other, from the first of them to the last. */
export class Shared<T> {
  readonly #start: () => Promise<T>;
  readonly #stop: (thing: T) => Promise<unknown>;
  #users = 0;
  #thing: Promise<T> | undefined;

  constructor(start: () => Promise<T>, stop: (thing: T) => Promise<unknown>) {
    this.#start = start;
    this.#stop = stop;
  }

  /** While the tests are collected: one more describe will `get` it and `release` it. */
  register(): this {
    this.#users += 1;
    return this;
  }

  get(): Promise<T> {
    this.#thing ??= this.#start();
    return this.#thing;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0 && this.#thing !== undefined) await this.#stop(await this.#thing);
  }
}

const daemons = new Map<string, Shared<Daemon>>();

/** The daemon of this file with these settings. */
export function sharedDaemon(options: DaemonOptions = {}): Shared<Daemon> {
  const key = JSON.stringify(options);
  const shared =
    daemons.get(key) ??
    new Shared(
      () => startDaemon(options),
      (daemon) => daemon.stop('SIGKILL'),
    );
  daemons.set(key, shared);
  return shared.register();
}
