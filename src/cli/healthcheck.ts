import type { Command } from 'commander';
import { healthcheckSettings, printReadiness, waitMsFrom } from './quick-healthcheck.ts';
import { configOfDoors, withSettings } from './setting-flags.ts';

export function addHealthcheckCommand(program: Command): void {
  const command = program
    .command('healthcheck')
    .description('Check whether an appsec-edge on this machine is ready. Exit code 0: ready; 1: not ready.')
    .option(
      '--wait <time>',
      "wait up to this long for it to become ready, for example '30s' (default: check once)",
    );
  withSettings(command, healthcheckSettings).action(async (flags: Record<string, string>) => {
    await printReadiness(configOfDoors(flags, undefined), waitMsFrom(flags['wait']));
  });
}
