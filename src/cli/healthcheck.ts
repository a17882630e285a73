import { get } from 'node:http';
import type { Command } from 'commander';
import type { Config } from '../daemon/settings.ts';
import { configFrom, withSettings } from './setting-flags.ts';

/** Longer than a busy process needs to answer, shorter than the time-outs of container runtimes. */
const timeoutMs = 3000;

export interface HealthcheckResult {
  readonly healthy: boolean;
  /** One line for whoever reads the container's health. */
  readonly message: string;
}

type HealthAddress = Pick<Config, 'host' | 'healthcheckPort'> & Partial<Pick<Config, 'healthcheckHost'>>;

export function addHealthcheckCommand(program: Command): void {
  withSettings(
    program
      .command('healthcheck')
      .description('Ask a running SPOA on this machine whether it is ready. Exit code 0 (ready) or 1.'),
    ['host', 'healthcheckHost', 'healthcheckPort'],
  ).action(async (flags: Record<string, string>) => {
    const { healthy, message } = await askReadiness(configFrom(flags));
    (healthy ? process.stdout : process.stderr).write(`${message}\n`);
    process.exitCode = healthy ? 0 : 1;
  });
}

/** Never rejects: not reachable is an answer. */
export function askReadiness(
  settings: HealthAddress,
  limitMs: number = timeoutMs,
): Promise<HealthcheckResult> {
  const url = readinessUrl(settings);
  return new Promise((resolve) => {
    const answer = (healthy: boolean, what: string): void =>
      resolve({ healthy, message: `${healthy ? 'ready' : 'not ready'}: ${url} ${what}` });
    try {
      const call = get(url, { agent: false, signal: AbortSignal.timeout(limitMs) }, (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        answer(status === 200, `answered ${status}`);
      });
      call.on('error', (cause) => {
        const slow = cause.name === 'AbortError' || cause.name === 'TimeoutError';
        answer(false, slow ? `gave no answer within ${limitMs} ms` : `cannot be asked: ${reasonOf(cause)}`);
      });
    } catch (cause) {
      answer(false, `cannot be asked: ${reasonOf(cause)}`);
    }
  });
}

/** Where a listener on `host` is reached from the same machine. */
export function readinessUrl(settings: HealthAddress): string {
  const bare = (settings.healthcheckHost ?? settings.host).replace(/^\[|\]$/g, '');
  const host = bare === '0.0.0.0' || bare === '' ? '127.0.0.1' : bare === '::' ? '::1' : bare;
  return `http://${host.includes(':') ? `[${host}]` : host}:${settings.healthcheckPort}/ready`;
}

/** An attempt on several addresses fails with an error whose own message is empty. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? cause.message : String(cause);
}
