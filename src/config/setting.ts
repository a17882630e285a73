import type { Parser } from './parsers.ts';

/*
 * What a setting is. Tables of them belong to whom they are about: src/daemon/process-settings.ts, and settings.ts of
 * each door. The command line, the environment, `--help` and docs/configuration.md come from these tables.
 */

export interface Setting<T, D extends T | undefined> {
  /** Its environment variable. */
  readonly env: string;
  /** Variables that it had before, or has in Datadog's programs. They mean the same. */
  readonly aliases?: readonly string[];
  /** The flag without its dashes. */
  readonly flag: string;
  readonly parser: Parser<T>;
  readonly defaultValue: D;
  /** The default as an operator would write it. */
  readonly defaultText: string;
  readonly description: string;
  /** Its heading in `--help` and docs. */
  readonly group: string;
}

export type AnySetting = Setting<unknown, unknown>;

/** Settings by the name that they have in a configuration. */
export type SettingTable = Readonly<Record<string, AnySetting>>;

/** The values of all settings of a table. */
export type ConfigOf<S> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T, infer D> ? T | D : never;
};

type SettingText = Pick<AnySetting, 'env' | 'aliases' | 'flag' | 'description' | 'group'>;

export function withDefault<T>(parser: Parser<T>, defaultText: string, about: SettingText): Setting<T, T> {
  const defaultValue = parser.parse(defaultText);
  if (defaultValue === undefined)
    throw new Error(`${about.env}: its own default '${defaultText}' is not allowed`);
  return { ...about, parser, defaultValue, defaultText };
}

export function optional<T>(parser: Parser<T>, about: SettingText): Setting<T, undefined> {
  return { ...about, parser, defaultValue: undefined, defaultText: '' };
}
