import { type Logger, pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { LineOutput, openWithoutBlocking } from './line-output.ts';

export type { Logger } from 'pino';

/** Where lines go, one JSON object each. */
export interface LogDestination {
  write(line: string): void;
}

/** One that may lose lines. */
export interface LossyDestination extends LogDestination {
  /** Lines lost so far. */
  readonly lost: number;
}

/**
 * Standard output: one JSON object per line, or readable text on a terminal. It never blocks the process: if it is blocked
 * itself, lines are dropped after a while, and a line says how many.
 */
export function standardOutput(format: 'auto' | 'json' | 'pretty'): LossyDestination {
  const output = new LineOutput(openWithoutBlocking(), (lost) => rendered(lossNote(lost)));
  process.once('exit', () => output.finish());
  const forPeople = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  const prettify = prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' });
  const rendered = (line: string): string => (forPeople ? prettify(line) : line);
  return {
    write: (line) => output.write(rendered(line)),
    get lost() {
      return output.lost;
    },
  };
}

function lossNote(lost: number): string {
  let note = '';
  createLogger('warn', {
    write(line) {
      note = line;
    },
  }).warn({ lost }, 'log lines lost: standard output was blocked');
  return note;
}

export function createLogger(level: string, destination: LogDestination): Logger {
  const options = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination);
}

/** Writes at most once per `intervalMs`, with the number of calls held back since. */
export function throttled(intervalMs: number, write: (heldBack: number) => void): () => void {
  let openAtMs = 0;
  let heldBack = 0;
  return () => {
    const nowMs = performance.now();
    if (nowMs < openAtMs) {
      heldBack += 1;
      return;
    }
    openAtMs = nowMs + intervalMs;
    write(heldBack);
    heldBack = 0;
  };
}
