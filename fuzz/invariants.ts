/** What must hold of the daemon whatever it is sent: looked at while it is, and again when all is quiet. */
import { fillStore } from './fill-store.ts';
import { Finding } from './session.ts';
import { longestTimeToLiveMs, maxTransactions, residentMegabytes, type Target } from './target.ts';

/** Beyond what was there after the first round. A leak of a kilobyte a session passes it in minutes. */
const growthMegabytes = 400;
/** At any time. Ten thousand connections take some 150 MB, bodies under analysis the most. */
const mostMegabytes = 1_500;
/** Timers, lingers and sweeps come on top of the time to live. */
const quietWithinMs = longestTimeToLiveMs + 25_000;

export class Invariants {
  readonly #target: Target;
  #firstMegabytes: number | undefined;
  #linesSeen = 0;
  /** The most that was seen. */
  peakMegabytes = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** @throws Finding */
  async check(): Promise<void> {
    const { daemon } = this.#target;
    this.#checkLog();
    if (!daemon.running) throw new Finding(`the daemon ended:\n${daemon.report().slice(-4_000)}`);
    const internal = await daemon.metric('errors_total', { kind: 'internal' });
    if (internal > 0) throw new Finding(`errors_total{kind="internal"} is ${internal}`);
    const live = await daemon.metric('transactions_live');
    if (live > maxTransactions) throw new Finding(`${live} live transactions, at most ${maxTransactions}`);
    const lost = await daemon.metric('engine_threads_lost_total');
    if (lost > 0) throw new Finding(`${lost} engine threads were lost`);
    const megabytes = await residentMegabytes(daemon);
    this.peakMegabytes = Math.max(this.peakMegabytes, megabytes);
    if (megabytes > mostMegabytes) throw new Finding(`${megabytes} MB resident`);
  }

  /** When nobody is connected any more. @throws Finding */
  async checkQuiet(): Promise<void> {
    const { daemon } = this.#target;
    const deadline = performance.now() + quietWithinMs;
    const { uploads } = this.#target;
    const shrinks = async (gauge: string, to: number): Promise<void> => {
      let value = await daemon.metric(gauge);
      while (value > to) {
        if (performance.now() > deadline) throw new Finding(`${gauge} stays at ${value}, expected ${to}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
        value = await daemon.metric(gauge);
      }
    };
    await shrinks('spop_connections', 0);
    await shrinks('spop_frames_in_flight', 0);
    await shrinks('transactions_live', uploads.sent);
    // Short ones drive out what lives for ten minutes, and end.
    if (uploads.sent > 0) await fillStore(this.#target, 8);
    uploads.sent = 0;
    await shrinks('transactions_live', 0);
    await shrinks('spop_connections', 0);
    await this.check();
    const megabytes = await residentMegabytes(daemon);
    this.#firstMegabytes ??= megabytes;
    if (megabytes > this.#firstMegabytes + growthMegabytes) {
      throw new Finding(`memory grew from ${this.#firstMegabytes} to ${megabytes} MB`);
    }
  }

  /** Anything of level error, and anything that is no line of the log: Node's own last words. */
  #checkLog(): void {
    const { lines } = this.#target.daemon.log;
    for (; this.#linesSeen < lines.length; this.#linesSeen += 1) {
      const line = lines[this.#linesSeen] ?? '';
      const isOfLog = line.startsWith('{"level":"') && line.endsWith('}');
      if (!isOfLog || /^\{"level":"(error|fatal)"/.test(line))
        throw new Finding(`log: ${line.slice(0, 2_000)}`);
    }
    // Hundreds of refusals a second over half an hour would be our own leak.
    lines.length = 0;
    this.#linesSeen = 0;
  }
}
