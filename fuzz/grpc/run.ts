/**
 * The whole run: a server, a neighbour that must notice nothing, and beside it dialogues, frames in any order, and one
 * scene after the other. In the end all is quiet, and the server must be as it was.
 */
import fc from 'fast-check';
import { Finding } from '../session.ts';
import { dialogue, playDialogue } from './dialogues.ts';
import { frameSession, playFrames, showFrames } from './frames.ts';
import { Neighbour } from './neighbour.ts';
import { scenes } from './scenes.ts';
import type { GrpcTarget } from './target.ts';

export interface GrpcFuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface GrpcFuzzReport {
  readonly findings: readonly string[];
  /** How often each kind was played; of `neighbour` and `answers`, messages that were answered rightly. */
  readonly played: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

/** After so many, the rest would say the same. */
const mostFindings = 10;
/** At any time, and when all is quiet, more than at the beginning. */
const [mostMegabytes, growthMegabytes] = [1_000, 400];
const quietWithinMs = 60_000;

export async function fuzzGrpc(target: GrpcTarget, options: GrpcFuzzOptions): Promise<GrpcFuzzReport> {
  return await new Run(target, options).all();
}

class Run {
  readonly #target: GrpcTarget;
  readonly #options: GrpcFuzzOptions;
  readonly #findings: string[] = [];
  readonly #played: Record<string, number> = {};
  readonly #deadlineMs: number;
  #peakMegabytes = 0;
  #batch = 0;

  constructor(target: GrpcTarget, options: GrpcFuzzOptions) {
    this.#target = target;
    this.#options = options;
    this.#deadlineMs = performance.now() + options.seconds * 1_000;
  }

  async all(): Promise<GrpcFuzzReport> {
    const { residentMegabytes: before } = await this.#target.state();
    const neighbour = new Neighbour(this.#target);
    const neighbouring = this.#contained('neighbour', () => neighbour.run());
    await Promise.all([this.#dialogues(), this.#frames(), this.#scenes(), this.#watch()]);
    neighbour.stop();
    await neighbouring;
    this.#count('neighbour', neighbour.answered);
    await this.#contained('silence', () => this.#untilQuiet(before));
    const notes = [
      `at most ${this.#peakMegabytes} MB resident, ${before} before`,
      `slowest answer to the neighbour: ${Math.round(neighbour.slowestMs)} ms`,
    ];
    return { findings: this.#findings, played: this.#played, notes };
  }

  get #isOver(): boolean {
    return performance.now() > this.#deadlineMs || this.#findings.length >= mostFindings;
  }

  async #dialogues(): Promise<void> {
    while (!this.#isOver) {
      await this.#check('dialogue', dialogue, JSON.stringify, async (calls) => {
        this.#count('answers', await playDialogue(calls, this.#target));
      });
    }
  }

  async #frames(): Promise<void> {
    const session = frameSession(this.#target.path);
    while (!this.#isOver) {
      await this.#check('frames', session, showFrames, (one) => playFrames(one, this.#target));
    }
  }

  /** All of them at least once, however short the time is. */
  async #scenes(): Promise<void> {
    let isFirst = true;
    while (isFirst || !this.#isOver) {
      for (const [name, scene] of scenes) {
        if (!isFirst && this.#isOver) return;
        this.#options.say(name);
        await this.#contained(name, () => scene(this.#target));
        await this.#contained(name, () => this.#target.check());
        this.#count(name, 1);
      }
      isFirst = false;
    }
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await this.#contained('state', async () => {
        const { residentMegabytes } = await this.#target.state();
        this.#peakMegabytes = Math.max(this.#peakMegabytes, residentMegabytes);
        if (residentMegabytes > mostMegabytes) throw new Finding(`${residentMegabytes} MB resident`);
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Nothing may be left of anybody. @throws Finding */
  async #untilQuiet(before: number): Promise<void> {
    const deadlineMs = performance.now() + quietWithinMs;
    for (;;) {
      const { connections, calls, heldBytes, residentMegabytes } = await this.#target.state();
      if (connections + calls + heldBytes === 0) {
        if (residentMegabytes <= before + growthMegabytes) return;
        throw new Finding(`memory grew from ${before} to ${residentMegabytes} MB`);
      }
      if (performance.now() > deadlineMs) {
        throw new Finding(`left behind: ${connections} connections, ${calls} calls, ${heldBytes} bytes`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** One batch: fast-check makes what it finds small. */
  async #check<T>(
    kind: string,
    arbitrary: fc.Arbitrary<T>,
    show: (value: T) => string,
    play: (value: T) => Promise<void>,
  ): Promise<void> {
    this.#batch += 1;
    const seed = this.#options.seed + this.#batch;
    await this.#contained(kind, async () => {
      const property = fc.asyncProperty(arbitrary, async (value) => {
        if (this.#isOver) return;
        this.#count(kind, 1);
        await play(value);
      });
      const details = await fc.check(property, { seed, numRuns: 100 });
      if (!details.failed) return;
      const what = details.counterexample === null ? 'nothing' : show(details.counterexample[0]);
      throw new Finding(
        `${details.errorInstance}\n  seed ${seed}, path ${details.counterexamplePath}: ${what}`,
      );
    });
  }

  async #contained(kind: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (cause) {
      const text = cause instanceof Finding ? cause.message : ((cause as Error).stack ?? String(cause));
      this.#findings.push(`${kind}: ${text}`);
      this.#options.say(`FINDING ${kind}: ${text}`);
    }
  }

  #count(kind: string, by: number): void {
    this.#played[kind] = (this.#played[kind] ?? 0) + by;
  }
}
