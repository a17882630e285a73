import { ConfigError } from './errors.ts';
import type { AnySetting, ConfigOf, SettingTable } from './setting.ts';

/** Values of settings as text. */
export type SettingTexts<S extends SettingTable> = Readonly<Partial<Record<keyof S, string>>>;

/**
 * Flags win over the environment; an empty variable counts as unset.
 * @param defaults of a command that needs others than the table has.
 * @throws ConfigError for the first value that is not allowed, and for two names of one setting with different values.
 */
export function readConfig<S extends SettingTable>(
  table: S,
  flags: SettingTexts<S>,
  environment: NodeJS.ProcessEnv,
  defaults?: SettingTexts<S>,
): ConfigOf<S> {
  const entries = Object.entries(table).map(([name, setting]) => {
    const flag = flags[name];
    if (flag !== undefined) return [name, parsed(setting, flag, `--${setting.flag}`)];
    const variable = variableOf(setting, environment);
    if (variable !== undefined) return [name, parsed(setting, variable.value, variable.name)];
    const fallback = defaults?.[name];
    if (fallback !== undefined) return [name, parsed(setting, fallback, `default of ${setting.env}`)];
    return [name, setting.defaultValue];
  });
  return Object.freeze(Object.fromEntries(entries)) as ConfigOf<S>;
}

/** The variable that gives the setting its value, under whichever of its names. */
function variableOf(
  setting: AnySetting,
  environment: NodeJS.ProcessEnv,
): { readonly name: string; readonly value: string } | undefined {
  const given = [setting.env, ...(setting.aliases ?? [])].flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === '' ? [] : [{ name, value }];
  });
  const [first, ...others] = given;
  const other = others.find(({ value }) => value !== first?.value);
  if (first !== undefined && other !== undefined) {
    const values = setting.parser.confidential ? '' : ` ('${first.value}' and '${other.value}')`;
    throw new ConfigError(
      `${first.name} and ${other.name} are names of the same setting but have different values${values}; set only ${setting.env}`,
    );
  }
  return first;
}

function parsed(setting: AnySetting, value: string, givenAs: string): unknown {
  const result = setting.parser.parse(value);
  if (result === undefined) {
    const named = setting.parser.confidential ? 'its value' : `'${value}'`;
    throw new ConfigError(`${givenAs}: ${named} is not allowed; it must be ${setting.parser.allowed}`);
  }
  return result;
}
