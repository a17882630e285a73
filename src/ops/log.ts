import { type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

/** Where lines go, one JSON object each. */
export interface LogDestination {
  write(line: string): void;
}

/** Standard output: one JSON object a line, or lines for people when that is a terminal. */
export function standardOutput(format: 'auto' | 'json' | 'pretty'): LogDestination {
  const forPeople = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  return forPeople
    ? pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true })
    : pino.destination({ fd: 1, sync: true });
}

export function createLogger(level: string, destination: LogDestination): Logger {
  const options = {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination);
}

/** Lets one message through each `intervalMs`; says how many it held back. */
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
