import type { Counter } from 'prom-client';
import type { EngineErrorKind, Metrics } from './metrics.ts';

/** Metrics as one door counts them: each with the door's name as the label `door`. */
export class DoorMetrics {
  readonly #metrics: Metrics;
  readonly #door: string;
  readonly #knownMessages: ReadonlySet<string>;

  /** @param knownMessages names of the door's messages: all others are counted as `unknown` */
  constructor(metrics: Metrics, door: string, knownMessages: readonly string[]) {
    this.#metrics = metrics;
    this.#door = door;
    this.#knownMessages = new Set(knownMessages);
  }

  connectionAccepted(): void {
    this.#metrics.connections.inc({ door: this.#door });
  }

  connectionRefused(reason: string): void {
    this.#metrics.connectionsRefused.inc({ door: this.#door, reason });
  }

  /** Names come from the client: unknown ones share one label, so that they cannot fill the memory. */
  message(name: string): void {
    const message = this.#knownMessages.has(name) ? name : 'unknown';
    this.#metrics.messages.inc({ door: this.#door, message });
  }

  /** A message was let through without analysis. */
  skipped(reason: string): void {
    this.#metrics.skipped.inc({ door: this.#door, reason });
  }

  /** An error of the door's own kinds `K`, or of those that every door has. */
  error<const K extends string = never>(kind: K | EngineErrorKind): void {
    this.#metrics.errors.inc({ door: this.#door, kind });
  }

  /** A counter of the door's own. Its name ends in `_total`. */
  counter<const T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return this.#metrics.counter(name, help, labelNames);
  }

  /** A gauge of the door's own. */
  gauge(name: string, help: string, value: () => number): void {
    this.#metrics.gauge(name, help, value);
  }
}
