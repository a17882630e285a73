// The bench's side of the load generator.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Command, LoadPlan, LoadReport } from './load-plan.ts';

const mainFile = fileURLToPath(new URL('./generator-main.ts', import.meta.url));

export class Generator {
  readonly #process: ChildProcess;
  /** Rejects when the process cannot go on. */
  readonly #failed: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.#failed = new Promise((_, reject) => {
      child.on('message', (answer: Answer) => {
        if (answer.kind === 'failed') reject(new Error(`the load generator failed: ${answer.reason}`));
      });
      child.once('exit', () => reject(new Error('the load generator ended')));
    });
    this.#failed.catch(() => undefined);
  }

  /** Resolves when all loads run. */
  static async start(port: number, loads: readonly LoadPlan[]): Promise<Generator> {
    const generator = new Generator(fork(mainFile, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    await generator.#ask({ kind: 'start', port, loads });
    return generator;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What happened since the last call; one report a load, in the order of the plans. */
  async report(): Promise<readonly LoadReport[]> {
    return reportsOf(await this.#ask({ kind: 'report' }));
  }

  changeRate(load: string, perSecond: number): void {
    this.#process.send({ kind: 'rate', load, perSecond } satisfies Command);
  }

  /** Lets a load begin new transactions, or not; it runs from the start. Its streams under way end by themselves. */
  go(load: string, on: boolean): void {
    this.#process.send({ kind: 'go', load, on } satisfies Command);
  }

  async stop(): Promise<readonly LoadReport[]> {
    const gone = once(this.#process, 'exit');
    const reports = reportsOf(await this.#ask({ kind: 'stop' }));
    await gone;
    return reports;
  }

  async #ask(command: Command): Promise<Answer> {
    const answered = once(this.#process, 'message') as Promise<[Answer]>;
    this.#process.send(command);
    const [answer] = await Promise.race([this.#failed, answered]);
    return answer;
  }
}

function reportsOf(answer: Answer): readonly LoadReport[] {
  if (answer.kind !== 'report')
    throw new Error(`the load generator answered ${answer.kind} in place of a report`);
  return answer.loads;
}
