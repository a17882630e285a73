import { type Command, Option } from 'commander';
import type { AnySetting } from '../config/setting.ts';
import { processSettings } from '../daemon/process-settings.ts';
import type { SettingTexts } from '../daemon/settings.ts';
import {
  type Config,
  readConfig,
  readConfigOfDoors,
  type SettingName,
  settingNames,
  settings,
} from '../daemon/settings.ts';
import { type DoorName, doors } from '../doors.ts';

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
  return readConfig(textsOf(flags), environment, defaults);
}

/**
 * As `configFrom`, for commands that open doors.
 * @param door opened alone; without one, those that the setting `doors` names.
 * @throws ConfigError
 */
export function configOfDoors(
  flags: Readonly<Record<string, unknown>>,
  door: DoorName | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): Config {
  return readConfigOfDoors(door, textsOf(flags), environment);
}

/** Settings that concern a process in which this door alone is open. */
export function settingNamesOf(door: DoorName): SettingName[] {
  const own = new Set([...Object.keys(doors[door].settings), ...Object.keys(processSettings)]);
  return settingNames.filter((name) => own.has(name));
}

function textsOf(flags: Readonly<Record<string, unknown>>): SettingTexts {
  const values: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const value = flags[settingOption(settings[name]).attributeName()];
    if (typeof value === 'string') values[name] = value;
  }
  return values;
}

export function settingOption(setting: AnySetting): Option {
  const fallback = setting.defaultText === '' ? '' : `, default ${setting.defaultText}`;
  return new Option(`--${setting.flag} <value>`, `${setting.description} (${setting.env}${fallback})`);
}
