import type { Config, SettingName } from './settings.ts';
import { settings } from './settings.ts';

/** Below `lowest`, a setting defeats its purpose; its unit is probably wrong. */
interface Floor {
  readonly lowest: number;
  readonly unit: 'µs' | 'ms' | 'bytes';
  readonly consequence: string;
  readonly remedy: string;
}

const milliseconds = 'a number without a unit means milliseconds';

/*
 * One ordinary request takes libddwaf 150 to 700 µs (200 rules, one core of a virtual machine, the second figure from
 * a cold start): at half a millisecond rules begin to be left out.
 */
const floors = {
  wafTimeoutUs: {
    ...{ lowest: 1000, unit: 'µs' },
    consequence: 'the WAF times out on ordinary requests, skips rules and misses attacks',
    remedy: "a number without a unit means microseconds, so write ten milliseconds as '10ms'",
  },
  bodyLimitBytes: {
    ...{ lowest: 256, unit: 'bytes' },
    consequence: 'only the first few bytes of each body are inspected',
    remedy: 'the unit is bytes, so write ten megabytes as 10000000; 0 switches body inspection off',
  },
  processingTimeoutMs: {
    ...{ lowest: 10, unit: 'ms' },
    consequence: 'messages that have to wait at all are let through uninspected',
    remedy: `${milliseconds}; HAProxy's 'timeout processing' is 200ms in the shipped files`,
  },
  transactionTimeoutMs: {
    ...{ lowest: 1000, unit: 'ms' },
    consequence: 'later responses are inspected without their request',
    remedy: `${milliseconds}, so write a minute as '1m'`,
  },
  helloTimeoutMs: {
    ...{ lowest: 100, unit: 'ms' },
    consequence: 'HAProxy connections may be closed before they send HELLO',
    remedy: `${milliseconds}, so write ten seconds as '10s'`,
  },
  idleTimeoutMs: {
    ...{ lowest: 1000, unit: 'ms' },
    consequence: 'HAProxy connections are closed between two requests',
    remedy: `${milliseconds}, so write ten minutes as '10m'`,
  },
} as const satisfies Partial<Record<SettingName, Floor>>;

type FlooredName = keyof typeof floors;

/** A value that is allowed but useless. */
export interface LowValue {
  readonly what: string;
  readonly consequence: string;
  readonly remedy: string;
}

/** Those among the values given; 0 and less switch bodies off on purpose. */
export function lowValues(config: Partial<Pick<Config, FlooredName>>): LowValue[] {
  return (Object.keys(floors) as FlooredName[]).flatMap((name) => {
    const { lowest, unit, consequence, remedy }: Floor = floors[name];
    const value = config[name];
    if (value === undefined || value <= 0 || value >= lowest) return [];
    const { env, flag } = settings[name];
    return [{ what: `${env} (--${flag}) is only ${value} ${unit}`, consequence, remedy }];
  });
}

/** The same as sentences. */
export function lowValueWarnings(config: Partial<Pick<Config, FlooredName>>): string[] {
  return lowValues(config).map(({ what, consequence, remedy }) => `${what}: ${consequence}; ${remedy}`);
}
