import { severalOf } from '../config/parsers.ts';
import { readConfig as readTable, type SettingTexts as TextsOf } from '../config/read-config.ts';
import { type AnySetting, type ConfigOf, withDefault } from '../config/setting.ts';
import { type DoorName, doorNames, doorSettings, doors } from '../doors.ts';
import type { DoorDefinition, HealthHost, ProcessSettingName } from './door.ts';
import { processSettings } from './process-settings.ts';

const doorsSetting = {
  doors: withDefault(severalOf(...doorNames), 'haproxy', {
    env: 'APPSEC_EDGE_DOORS',
    flag: 'doors',
    group: 'Process',
    description: `Doors to open, separated by commas: ${doorNames.join(', ')}. Each door also has a command that opens only that door.`,
  }),
};

/** All settings: those of the process, and those of every door. A flag wins over its variable. */
export const settings = { ...doorsSetting, ...doorSettings, ...withAliasesOfDoors(processSettings) };

export type SettingName = keyof typeof settings;
export const settingNames = Object.keys(settings) as SettingName[];

/** The values of all settings. */
export type Config = ConfigOf<typeof settings>;

/** Values of settings as text. */
export type SettingTexts = TextsOf<typeof settings>;

/** A door, whatever its settings. */
export type AnyDoor = DoorDefinition<Config>;

export function doorsOf(names: readonly DoorName[]): AnyDoor[] {
  return names.map((name) => doors[name]);
}

/** As `readConfig` of config/, for all settings. */
export function readConfig(
  flags: SettingTexts,
  environment: NodeJS.ProcessEnv,
  defaults: SettingTexts = {},
): Config {
  return readTable(settings, flags, environment, defaults);
}

/**
 * As `readConfig`, for a process that opens doors: where one alone is open, the process has that door's defaults.
 * @param door opened alone; undefined: those that the setting `doors` names.
 */
export function readConfigOfDoors(
  door: DoorName | undefined,
  flags: SettingTexts,
  environment: NodeJS.ProcessEnv,
): Config {
  const names = door === undefined ? readConfig(flags, environment).doors : [door];
  const [first, ...others] = doorsOf(names);
  const defaults = others.length === 0 ? first?.processDefaults : undefined;
  return { ...readConfig(flags, environment, defaults), doors: names };
}

/** The host that the health port listens on: that of the first door, unless a setting says it. */
export function healthHost(config: Config): HealthHost {
  const { healthcheckHost: host } = config;
  const [first] = doorsOf(config.doors);
  if (host === undefined && first !== undefined) return first.healthHost(config);
  return { host: host ?? '0.0.0.0', variable: settings.healthcheckHost.env };
}

/** Name of the process as a service in Datadog: that of the first door, unless a setting says it. */
export function serviceOf(config: Config): string {
  return config.service ?? doorsOf(config.doors)[0]?.traits(config).defaultService ?? 'appsec-edge';
}

function withAliasesOfDoors<T extends Readonly<Record<ProcessSettingName, AnySetting>>>(table: T): T {
  const entries = (Object.keys(table) as ProcessSettingName[]).map((name): [string, AnySetting] => {
    const more = doorsOf(doorNames).flatMap(({ processAliases }) => processAliases?.[name] ?? []);
    const setting = table[name];
    return [
      name,
      more.length === 0 ? setting : { ...setting, aliases: [...(setting.aliases ?? []), ...more] },
    ];
  });
  return Object.fromEntries(entries) as T;
}
