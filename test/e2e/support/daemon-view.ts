// One daemon for all describes of a file that start it with the same settings: a start takes a second of CPU time.
import { afterAll } from 'vitest';
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

const stops: (() => Promise<unknown>)[] = [];

// This is the file's, for whoever imports this is being collected.
afterAll(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Something that several describes of a file use one after the other: from the first `get` to the end of the file. */
export class Shared<T> {
  readonly #start: () => Promise<T>;
  readonly #stop: (thing: T) => Promise<unknown>;
  #thing: Promise<T> | undefined;

  constructor(start: () => Promise<T>, stop: (thing: T) => Promise<unknown>) {
    this.#start = start;
    this.#stop = stop;
  }

  get(): Promise<T> {
    this.#thing ??= this.#begin();
    return this.#thing;
  }

  async #begin(): Promise<T> {
    const thing = await this.#start();
    stops.push(() => this.#stop(thing));
    return thing;
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
  return shared;
}
