import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

export interface LogSettings {
  readonly level: string;
  readonly format: 'auto' | 'json' | 'pretty';
}

/** Logs to standard output: one JSON object a line, or lines for people when that is a terminal. */
export function createLogger(settings: LogSettings): Logger {
  const forPeople = settings.format === 'pretty' || (settings.format === 'auto' && process.stdout.isTTY);
  const destination: DestinationStream | undefined = forPeople
    ? pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true })
    : undefined;
  const options = {
    level: settings.level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
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
