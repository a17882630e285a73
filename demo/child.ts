// A process of the demo: its output as lines, and an end that is sure to come.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as after } from 'node:timers/promises';

const killAfterMs = 5000;

export class Child {
  readonly name: string;
  /** Both outputs, in the order they came. */
  readonly lines: string[] = [];
  /** How it ended, as a person would say it. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<(line: string) => void>();

  constructor(name: string, command: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.name = name;
    // A process group of its own: Ctrl-C reaches the demo alone, which then stops its children in order.
    this.#process = spawn(command, args, {
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (cause) => resolve(`it could not be started: ${cause.message}`));
      this.#process.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        for (const listener of this.#listeners) listener(line);
      });
    }
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.add(listener);
  }

  /** The first line from number `from` on that `matches`, or undefined when none came in time. */
  lineAfter(
    from: number,
    matches: (line: string) => boolean,
    timeoutMs: number,
  ): Promise<string | undefined> {
    const seen = this.lines.slice(from).find(matches);
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve) => {
      const finish = (line?: string): void => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve(line);
      };
      const listener = (line: string): void => {
        if (matches(line)) finish(line);
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#listeners.add(listener);
    });
  }

  /**
   * Resolves once `isReady` does.
   * @throws with the last lines of its output when it ends before that, or is not ready in time.
   */
  async ready(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let end: string | undefined;
    void this.ended.then((how) => {
      end = how;
    });
    while (!(await isReady())) {
      if (end !== undefined || Date.now() > deadline) {
        const why = end ?? `not ready within ${timeoutMs / 1000} s`;
        throw new Error(`${this.name} did not start (${why}):\n${this.lines.slice(-20).join('\n')}`);
      }
      await after(20);
    }
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), killAfterMs);
    await this.ended;
    clearTimeout(timer);
  }
}
