import { readConfig as readTable, type SettingTexts as TextsOf } from '../config/read-config.ts';
import type { ConfigOf } from '../config/setting.ts';
import { doorSettings } from '../doors.ts';
import { processSettings } from './process-settings.ts';

/** All settings: those of the process, and those of every door. A flag wins over its variable. */
export const settings = { ...doorSettings, ...processSettings };

export type SettingName = keyof typeof settings;
export const settingNames = Object.keys(settings) as SettingName[];

/** The values of all settings. */
export type Config = ConfigOf<typeof settings>;

/** Values of settings as text. */
export type SettingTexts = TextsOf<typeof settings>;

/** As `readConfig` of config/, for all settings. */
export function readConfig(
  flags: SettingTexts,
  environment: NodeJS.ProcessEnv,
  defaults: SettingTexts = {},
): Config {
  return readTable(settings, flags, environment, defaults);
}
