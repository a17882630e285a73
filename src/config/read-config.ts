import { type Config, type Setting, type SettingName, settingNames, settings } from '../daemon/settings.ts';

/** A setting has a value that is not allowed. The message names it, the value (but for a secret) and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Values of settings as text. */
export type SettingTexts = Readonly<Partial<Record<SettingName, string>>>;

/**
 * Flags win over the environment; an empty variable counts as unset.
 * @param defaults of a command that needs others than the table has.
 * @throws ConfigError for the first value that is not allowed.
 */
export function readConfig(
  flags: SettingTexts,
  environment: NodeJS.ProcessEnv,
  defaults: SettingTexts = {},
): Config {
  const entries = settingNames.map((name) => {
    const setting: Setting<unknown, unknown> = settings[name];
    const flag = flags[name];
    if (flag !== undefined) return [name, parsed(setting, flag, `--${setting.flag}`)];
    const variable = environment[setting.env];
    if (variable !== undefined && variable !== '') return [name, parsed(setting, variable, setting.env)];
    const fallback = defaults[name];
    if (fallback !== undefined) return [name, parsed(setting, fallback, `default of ${setting.env}`)];
    return [name, setting.defaultValue];
  });
  return Object.freeze(Object.fromEntries(entries)) as Config;
}

function parsed(setting: Setting<unknown, unknown>, value: string, givenAs: string): unknown {
  const result = setting.parser.parse(value);
  if (result === undefined) {
    const named = setting.parser.confidential ? 'its value' : `'${value}'`;
    throw new ConfigError(`${givenAs}: ${named} is not allowed; it must be ${setting.parser.allowed}`);
  }
  return result;
}
