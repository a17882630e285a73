import { Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError, type FlagValues, readConfig } from './config.ts';
import { packageVersion } from './package-info.ts';
import { type Config, type SettingName, settingNames, settings } from './settings.ts';
import { runSpoa } from './spoa.ts';

export { InvalidArgumentError };

/** The command line. `appsec-edge` alone runs the SPOA. */
export function createProgram(): Command {
  const program = new Command('appsec-edge')
    .description('A web application firewall for HAProxy, as an SPOE agent (SPOA).')
    .version(packageVersion)
    .showHelpAfterError('(appsec-edge --help lists the commands)')
    .configureHelp({ showGlobalOptions: true });

  withSettings(
    program.command('spoa', { isDefault: true }).description('Run the SPOA (the default command).'),
  ).action(async (flags: Record<string, string>) => {
    await runSpoa(configFrom(flags));
  });
  return program;
}

/** Adds a flag for each setting. Values stay text: config.ts parses flags and variables alike. */
export function withSettings(command: Command): Command {
  for (const name of settingNames) {
    const setting = settings[name];
    const fallback = setting.defaultText === '' ? '' : `, default ${setting.defaultText}`;
    const option = new Option(
      `--${setting.flag} <value>`,
      `${setting.description} (${setting.env}${fallback})`,
    );
    command.addOption(option.helpGroup(`${setting.group}:`));
  }
  return command;
}

/** @throws ConfigError */
export function configFrom(flags: Readonly<Record<string, string>>): Config {
  const values: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const value = flags[camelCase(settings[name].flag)];
    if (value !== undefined) values[name] = value;
  }
  return readConfig(values as FlagValues, process.env);
}

export { ConfigError };

/** As commander names the value of a flag. */
function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
