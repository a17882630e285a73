// The output of a child process as lines, and a way to wait for one without sleeping.
import type { Readable } from 'node:stream';
import { patienceMs } from './patience.ts';

export class LineLog {
  readonly lines: string[] = [];
  readonly #waiting = new Set<(line: string) => void>();

  readFrom(stream: Readable | null): void {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.add(line);
    });
  }

  /** Every line from now on. */
  follow(listener: (line: string) => void): void {
    this.#waiting.add(listener);
  }

  add(line: string): void {
    this.lines.push(line);
    for (const waiter of this.#waiting) waiter(line);
  }

  /** The first line, past or future, that matches. Rejects after `timeoutMs` with all lines seen. */
  waitFor(pattern: RegExp, timeoutMs = patienceMs): Promise<string> {
    const seen = this.lines.find((line) => pattern.test(line));
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve, reject) => {
      const waiter = (line: string): void => {
        if (!pattern.test(line)) return;
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        resolve(line);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiter);
        reject(new Error(`no line matched ${pattern} in ${timeoutMs} ms:\n${this.lines.join('\n')}`));
      }, timeoutMs);
      this.#waiting.add(waiter);
    });
  }
}
