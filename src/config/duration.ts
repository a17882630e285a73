/*
 * HAProxy's own way to write durations (configuration manual, 2.5 "Time format"): a whole number and one of
 * us, ms, s, m, h, d; without a unit, milliseconds.
 */

const unitMs = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const pattern = /^(\d+)(us|ms|s|m|h|d)?$/;

/** Milliseconds, or undefined when `text` is not a duration of HAProxy's. */
export function parseHaproxyTime(text: string): number | undefined {
  const match = pattern.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? 'ms') as keyof typeof unitMs;
  const durationMs = Number(match[1]) * unitMs[unit];
  return Number.isFinite(durationMs) ? durationMs : undefined;
}
