import type { Command } from 'commander';
import { healthcheckSettings, printReadiness, waitMsFrom } from './quick-healthcheck.ts';
import { configOfDoors, withSettings } from './setting-flags.ts';

export function addHealthcheckCommand(program: Command): void {
  const command = program
    .command('healthcheck')
    .description('Ask a running appsec-edge on this machine whether it is ready. Exit code 0 (ready) or 1.')
    .option(
      '--wait <time>',
      "keep asking for so long until it is ready, for instance '30s' (default: ask once)",
    );
  withSettings(command, healthcheckSettings).action(async (flags: Record<string, string>) => {
    await printReadiness(configOfDoors(flags, undefined), waitMsFrom(flags['wait']));
  });
}
