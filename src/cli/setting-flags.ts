import { type Command, Option } from 'commander';
import type { AnySetting } from '../config/setting.ts';
import type { SettingTexts } from '../daemon/settings.ts';
import { type Config, readConfig, type SettingName, settingNames, settings } from '../daemon/settings.ts';

/** A flag for each of the settings. Values stay text: config.ts parses flags and variables alike. */
export function withSettings(command: Command, names: readonly SettingName[] = settingNames): Command {
  for (const name of names) {
    command.addOption(settingOption(settings[name]).helpGroup(`${settings[name].group}:`));
  }
  return command;
}

/**
 * @param flags as commander gives them to an action.
 * @param defaults of a command that needs others than the table has.
 * @throws ConfigError
 */
export function configFrom(
  flags: Readonly<Record<string, unknown>>,
  environment: NodeJS.ProcessEnv = process.env,
  defaults: SettingTexts = {},
): Config {
  const values: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const value = flags[settingOption(settings[name]).attributeName()];
    if (typeof value === 'string') values[name] = value;
  }
  return readConfig(values, environment, defaults);
}

export function settingOption(setting: AnySetting): Option {
  const fallback = setting.defaultText === '' ? '' : `, default ${setting.defaultText}`;
  return new Option(`--${setting.flag} <value>`, `${setting.description} (${setting.env}${fallback})`);
}
