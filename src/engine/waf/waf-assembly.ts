import { decideOverrides, type LoadedContent } from './rule-overrides.ts';
import {
  type ConfigResult,
  noValidRules,
  type Ruleset,
  type RulesetIssue,
  type WafBuild,
} from './waf-build.ts';

/*
 * The rules, made of all configurations. Each has a path of its own, its content is in Datadog's format:
 *
 *   ASM_DD     whole rulesets; while there is one, the built-in ruleset is out
 *   ASM        overrides, exclusions, custom rules, actions
 *   ASM_DATA   lists: blocked addresses and users, with expiry
 *
 * Rulesets come first, then everything else, both in the order of their paths. Of two items with one id the first is
 * taken and the second is refused; of two overrides of one rule the first wins (rule-overrides.ts).
 */

export type WafProduct = 'ASM' | 'ASM_DD' | 'ASM_DATA';

export interface WafConfig {
  /** Unique; Remote Config's path, or one made up by the source. */
  readonly path: string;
  readonly product: WafProduct;
  readonly content: Ruleset;
}

/** What became of one configuration. */
export interface Decision {
  /** Undefined: in effect. Otherwise what libddwaf said, as Datadog reports it: JSON of part to error. */
  readonly error: string | undefined;
  /** Items that were refused inside a configuration that is otherwise in effect. */
  readonly issues: readonly RulesetIssue[];
}

export interface Assembly {
  /** What is in effect, the ruleset that was built in among it when there is no other. */
  readonly inEffect: readonly WafConfig[];
  readonly decisions: ReadonlyMap<string, Decision>;
  /** Of several rulesets, the last one that names a version. */
  readonly rulesetVersion: string | undefined;
}

/** Not a path that Remote Config or the folder can have. */
const overridesPath = 'appsec-edge/overrides';

/**
 * @param build with nothing in it.
 * @param configs with paths of their own; their order does not matter.
 * @param builtIn goes in when no other ruleset does.
 */
export function assemble(build: WafBuild, configs: readonly WafConfig[], builtIn: WafConfig): Assembly {
  const decisions = new Map<string, Decision>();
  const loaded: LoadedConfig[] = [];
  const add = (config: WafConfig): string | undefined => {
    const { error, issues, loadedIds, rulesetVersion } = setConfig(build, config);
    decisions.set(config.path, { error, issues });
    if (error === undefined) loaded.push({ config, content: config.content, loadedIds });
    return rulesetVersion;
  };
  let rulesetVersion: string | undefined;
  const sorted = [...configs].sort((a, b) => (a.path < b.path ? -1 : 1));
  const rulesets = sorted.filter(({ product }) => product === 'ASM_DD');
  for (const ruleset of rulesets) rulesetVersion = add(ruleset) ?? rulesetVersion;
  if (loaded.length === 0) rulesetVersion = add(builtIn);
  for (const config of sorted) if (config.product !== 'ASM_DD') add(config);
  replaceOverrides(build, loaded);
  return { inEffect: loaded.map(({ config }) => config), decisions, rulesetVersion };
}

/** What libddwaf says of a configuration that meets no other one. */
export function judgeAlone(build: WafBuild, config: WafConfig): Decision {
  const { error, issues } = setConfig(build, config);
  return { error, issues };
}

interface LoadedConfig extends LoadedContent {
  readonly config: WafConfig;
}

/** Like that of the build, but an empty ruleset, which libddwaf takes, must not stand in the built-in one's place. */
function setConfig(build: WafBuild, { path, product, content }: WafConfig): ConfigResult {
  const result = build.setConfig(path, content);
  if (product !== 'ASM_DD' || result.error !== undefined) return result;
  const { loadedIds } = result;
  if (['rules', 'custom_rules', 'processors'].some((part) => (loadedIds[part]?.length ?? 0) > 0))
    return result;
  build.removeConfig(path);
  return { ...result, error: noValidRules };
}

/** Puts decided overrides in the place of those that the configurations have. */
function replaceOverrides(build: WafBuild, loaded: readonly LoadedConfig[]): void {
  const overriding = loaded.filter(({ loadedIds }) => loadedIds['rules_override'] !== undefined);
  if (overriding.length === 0) return;
  for (const { config } of overriding)
    build.setConfig(config.path, { ...config.content, rules_override: [] });
  build.setConfig(overridesPath, { rules_override: decideOverrides(loaded) });
}
