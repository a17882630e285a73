/**
 * The whole run: a daemon, a neighbour that must notice nothing, and beside it rounds of hostile traffic of every kind.
 * After each round all is quiet, and the daemon must be as it was.
 */
import fc from 'fast-check';
import { conversation, converse } from './conversations.ts';
import { hostileInstance, startHostilePeer } from './hostile-peer.ts';
import { Invariants } from './invariants.ts';
import { blindSession } from './mutate.ts';
import { Neighbour } from './neighbour.ts';
import { play } from './play.ts';
import { scenes } from './scenes.ts';
import { Finding, type Session, showSession } from './session.ts';
import { structuredSession } from './sessions.ts';
import { newTally, summaryTable, type Tally } from './tally.ts';
import { startTarget, type Target } from './target.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Of hostile traffic, in all. */
  readonly seconds: number;
  /** Of one round; scenes take what they take. */
  readonly roundSeconds: number;
  /** No more than these, if time allows as many: a quick machine is not kept busy for longer. */
  readonly most?: {
    readonly rounds: number;
    /** Of each kind, in a round. */
    readonly sessions: number;
  };
  readonly say: (line: string) => void;
}

export interface FuzzReport {
  readonly findings: readonly string[];
  readonly tallies: ReadonlyMap<string, Tally>;
  /** Scenes that this machine does not allow, and how large and slow the daemon became. */
  readonly notes: readonly string[];
  readonly table: string;
}

/** Property runs side by side, of each kind. */
const lanes = 2;
/** After so many, the rest would say the same. */
const mostFindings = 10;

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const peer = await startHostilePeer();
  const target = await startTarget(peer.port);
  try {
    return await new Run(options, target).all();
  } finally {
    await target.daemon.stop('SIGKILL');
    peer.stop();
  }
}

class Run {
  readonly #options: FuzzOptions;
  readonly #target: Target;
  readonly #invariants: Invariants;
  readonly #findings: string[] = [];
  readonly #notes = new Set<string>();
  readonly #tallies = new Map<string, Tally>();
  #batch = 0;
  #slowestMs = 0;

  constructor(options: FuzzOptions, target: Target) {
    this.#options = options;
    this.#target = target;
    this.#invariants = new Invariants(target);
  }

  async all(): Promise<FuzzReport> {
    const deadline = performance.now() + this.#options.seconds * 1_000;
    let rounds = 0;
    do {
      await this.#round(Math.min(deadline, performance.now() + this.#options.roundSeconds * 1_000), rounds);
      rounds += 1;
    } while (
      performance.now() < deadline &&
      rounds < (this.#options.most?.rounds ?? Number.POSITIVE_INFINITY) &&
      this.#findings.length < mostFindings &&
      this.#target.daemon.running
    );
    this.#notes.add(`${rounds} rounds; at most ${this.#invariants.peakMegabytes} MB resident`);
    this.#notes.add(`slowest answer to the neighbour: ${Math.round(this.#slowestMs)} ms`);
    const { tallies, notes } = { tallies: this.#tallies, notes: [...this.#notes] };
    return { findings: this.#findings, tallies, notes, table: summaryTable(tallies) };
  }

  /** Fuzzing until `deadline`, and meanwhile one scene after the other; then silence. */
  async #round(deadline: number, index: number): Promise<void> {
    this.#target.uploads.allowed = index % 2 === 1;
    const neighbour = new Neighbour(this.#target.port, this.#tally('neighbour'));
    const isOver = (): boolean => performance.now() > deadline || this.#findings.length >= mostFindings;
    const neighbouring = this.#contained('neighbour', () => neighbour.run());
    await this.#contained('invariants', () => this.#invariants.check());
    const known = [hostileInstance];
    const structured = structuredSession(known);
    const lane = async (
      kind: string,
      check: (seed: number, isOver: () => boolean) => Promise<void>,
    ): Promise<void> => {
      const most = this.#tally(kind).sessions + (this.#options.most?.sessions ?? Number.POSITIVE_INFINITY);
      const isDone = (): boolean => isOver() || this.#tally(kind).sessions >= most;
      while (!isDone()) {
        this.#batch += 1;
        await this.#contained(kind, () => check(this.#options.seed + this.#batch, isDone));
      }
    };
    const work = Array.from({ length: lanes }).flatMap(() => [
      lane('structured', (seed, isDone) =>
        this.#check(structured, seed, isDone, (one) => this.#play(one, 'structured'), showSession),
      ),
      lane('blind', (seed, isDone) =>
        this.#check(blindSession, seed, isDone, (one) => this.#play(one, 'blind'), showSession),
      ),
      lane('conversation', (seed, isDone) =>
        this.#check(conversation, seed, isDone, (one) =>
          converse(one, this.#target, this.#tally('conversation')),
        ),
      ),
    ]);
    work.push(this.#playScenes(neighbour));
    await Promise.all(work);
    neighbour.stop();
    await neighbouring;
    this.#slowestMs = Math.max(this.#slowestMs, neighbour.takeSlowestMs());
    await this.#contained('silence', () => this.#invariants.checkQuiet());
    this.#options.say(this.#progress(index));
  }

  #play(session: Session, kind: string): Promise<void> {
    return play(session, this.#target, this.#tally(kind));
  }

  async #playScenes(neighbour: Neighbour): Promise<void> {
    for (const [name, scene] of scenes) {
      const note = await this.#contained(name, () =>
        scene(this.#target, this.#tally(name), neighbour.identity),
      );
      if (note !== undefined) this.#notes.add(note);
      await this.#contained('invariants', () => this.#invariants.check());
    }
  }

  /** One batch: fast-check makes what it finds small. */
  async #check<T>(
    arbitrary: fc.Arbitrary<T>,
    seed: number,
    isOver: () => boolean,
    property: (value: T) => Promise<void>,
    show: (value: T) => string = (value) => JSON.stringify(value),
  ): Promise<void> {
    const details = await fc.check(
      fc.asyncProperty(arbitrary, async (value) => {
        if (!isOver()) await property(value);
      }),
      { seed, numRuns: 200 },
    );
    if (details.failed) {
      const { seed: ofBatch, counterexamplePath, counterexample, errorInstance } = details;
      const what = counterexample === null ? 'nothing' : show(counterexample[0]);
      throw new Finding(`${errorInstance}\n  seed ${ofBatch}, path ${counterexamplePath}: ${what}`);
    }
  }

  async #contained<T>(kind: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (cause) {
      const finding = `${kind}: ${cause instanceof Finding ? cause.message : ((cause as Error).stack ?? cause)}`;
      this.#findings.push(finding);
      this.#tally(kind).findings += 1;
      this.#options.say(`FINDING ${finding}`);
      return undefined;
    }
  }

  #tally(kind: string): Tally {
    const tally = this.#tallies.get(kind) ?? newTally();
    this.#tallies.set(kind, tally);
    return tally;
  }

  #progress(round: number): string {
    const sum = (column: keyof Tally): number =>
      [...this.#tallies.values()].reduce((total, tally) => total + tally[column], 0);
    const megabytes = this.#invariants.peakMegabytes;
    const slowest = Math.round(this.#slowestMs);
    return `round ${round + 1}: ${sum('sessions')} sessions, ${sum('acks')} ACKs, ${this.#findings.length} findings, peak ${megabytes} MB, neighbour waited ${slowest} ms`;
  }
}
