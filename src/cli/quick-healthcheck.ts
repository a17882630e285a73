import { ConfigError } from '../config/errors.ts';
import { haproxyTime } from '../config/parsers.ts';
import { type Config, healthHost, readConfigOfDoors, settings } from '../daemon/settings.ts';
import { askReadiness, waitForReadiness } from './readiness.ts';

/*
 * `appsec-edge healthcheck` without the library that reads command lines. Containers ask every few seconds, each time
 * with a new process, and the library takes more memory than all the rest of it. Only simple command
 * lines are handled here; help and invalid flags are left to program.ts, which has the same command.
 */

/** What says where the health port is. */
export const healthcheckSettings = ['doors', 'host', 'healthcheckHost', 'healthcheckPort'] as const;

const flagNames = [
  ...healthcheckSettings.map((name) => [settings[name].flag, name] as const),
  ['wait', 'wait'] as const,
];

/** @returns false when this is another command, or not plain: nothing was done. */
export async function quickHealthcheck(words: readonly string[]): Promise<boolean> {
  const [command, ...rest] = words;
  if (command !== 'healthcheck') return false;
  const values = plainFlags(rest);
  if (values === undefined) return false;
  const { wait, ...given } = values;
  await printReadiness(readConfigOfDoors(undefined, given, process.env), waitMsFrom(wait));
  return true;
}

/** Prints a line and sets the exit code. */
export async function printReadiness(config: Config, waitMs: number): Promise<void> {
  const address = { host: healthHost(config).host, healthcheckPort: config.healthcheckPort };
  const { ready, message } = await (waitMs === 0 ? askReadiness(address) : waitForReadiness(address, waitMs));
  (ready ? process.stdout : process.stderr).write(`${message}\n`);
  process.exitCode = ready ? 0 : 1;
}

/** @throws ConfigError */
export function waitMsFrom(text: string | undefined): number {
  if (text === undefined) return 0;
  const waitMs = haproxyTime.parse(text);
  if (waitMs === undefined) {
    throw new ConfigError(`--wait: '${text}' is not allowed; it must be ${haproxyTime.allowed}`);
  }
  return waitMs;
}

type PlainFlags = Partial<Record<(typeof flagNames)[number][1], string>>;

/** `--flag value` and `--flag=value`, of flags that are known; undefined for anything else. */
function plainFlags(words: readonly string[]): PlainFlags | undefined {
  const values: PlainFlags = {};
  for (let index = 0; index < words.length; index++) {
    const [, flag, attached] = /^--([a-z-]+)(?:=(.*))?$/s.exec(words[index] ?? '') ?? [];
    const name = flagNames.find(([known]) => known === flag)?.[1];
    const value = attached ?? words[++index];
    if (name === undefined || value === undefined || value.startsWith('-')) return undefined;
    values[name] = value;
  }
  return values;
}
