/** A HAProxy that does everything right, on connections of its own, while others do not: it must notice nothing. */
import { SpopClient } from '../test/support/spop-client.ts';
import { Dialogue, phases, type Step } from './dialogue.ts';
import type { Tally } from './tally.ts';

/** Two transactions at a time, a clean one and one with an attack in its last message. */
const round: readonly Step[] = phases.flatMap((phase) => [
  { transaction: 0, phase, attack: false, wait: false },
  { transaction: 1, phase, attack: phase === 'response-body', wait: true },
]);

/** Idle connections end with their daemon's settings; this one is used until it is old. */
const roundsOnOneConnection = 200;
const pauseMs = 20;

export class Neighbour {
  readonly #port: number;
  readonly #tally: Tally;
  #stopped = false;
  #slowestMs = 0;
  #identity: string | undefined;

  constructor(port: number, tally: Tally) {
    this.#port = port;
    this.#tally = tally;
  }

  /** An identity of the daemon, as HAProxy would hand it back. */
  get identity(): string | undefined {
    return this.#identity;
  }

  /** Of the slowest answer since it was asked last. */
  takeSlowestMs(): number {
    const slowestMs = this.#slowestMs;
    this.#slowestMs = 0;
    return slowestMs;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves after `stop`. @throws Finding */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const client = await SpopClient.connect({ port: this.#port });
      await client.hello();
      for (let count = 0; count < roundsOnOneConnection && !this.#stopped; count += 1) {
        const dialogue = new Dialogue(client, this.#tally);
        await dialogue.take(round);
        this.#slowestMs = Math.max(this.#slowestMs, dialogue.slowestMs);
        this.#identity = dialogue.lastIdentity;
        client.frames.length = 0;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      await client.disconnect();
      this.#tally.sessions += 1;
    }
  }
}
