import { noValidRules, type Ruleset, RulesetError, type RulesetIssue, type Waf } from './waf.ts';

/*
 * What runs in the WAF: the built-in ruleset (or the operator's file), and configurations that come and go while it
 * runs, from Datadog's Remote Config or from a folder. Each has a path of its own, its content is in Datadog's format:
 *
 *   ASM_DD     whole rulesets; while there is one, the built-in ruleset is out
 *   ASM        overrides, exclusions, custom rules, actions
 *   ASM_DATA   lists: blocked addresses and users, with expiry
 *
 * libddwaf forgets the former content of a path when a new one is refused, so the last good one is kept here and put
 * back: a bad configuration never harms what runs. Contexts made before a change go on with the rules they began with.
 */

export type WafProduct = 'ASM' | 'ASM_DD' | 'ASM_DATA';

export interface WafConfig {
  /** Unique; Remote Config's path, or one made up by the source. */
  readonly path: string;
  readonly product: WafProduct;
  readonly content: Ruleset;
}

export interface WafConfigChange {
  /** Paths. Taken out before anything is added. */
  readonly removed: readonly string[];
  /** New ones, and new contents of old paths. */
  readonly added: readonly WafConfig[];
}

/** What became of one path of a change. */
export interface WafConfigOutcome {
  readonly path: string;
  /** Undefined: in effect. Otherwise what libddwaf said, as Datadog reports it: JSON of part to error. */
  readonly error: string | undefined;
  /** Items that were refused inside a configuration that is otherwise in effect. */
  readonly issues: readonly RulesetIssue[];
}

/**
 * What is blocked beyond what rules and configurations say themselves: nothing, the matches of rules that the ruleset
 * tags with confidence 1, or those of all rules of the ruleset.
 */
export type ProtectLevel = 'off' | 'confident' | 'all';

const builtInPath = 'datadog/00/ASM_DD/default/config';

export class WafConfigs {
  readonly #waf: Waf;
  readonly #builtIn: Ruleset;
  readonly #protect: ProtectLevel;
  readonly #active = new Map<string, WafConfig>();
  #builtInActive = true;

  /**
   * @param waf loaded with `builtIn`, protected at the same level.
   * @param builtIn the ruleset that leaves when an ASM_DD comes, and returns when the last one goes.
   */
  constructor(waf: Waf, builtIn: Ruleset, protect: ProtectLevel) {
    this.#waf = waf;
    this.#builtIn = builtIn;
    this.#protect = protect;
  }

  /** Takes a whole change into effect. Never throws; each path of the change has its outcome. */
  apply(change: WafConfigChange): WafConfigOutcome[] {
    const outcomes = change.removed.map((path) => this.#remove(path));
    const added = [...change.added].sort((a, b) => (a.path < b.path ? -1 : 1));
    // The first ruleset of another source takes the place of the built-in one, the last one gives it back.
    if (this.#builtInActive && added.some((config) => config.product === 'ASM_DD')) this.#takeOutBuiltIn();
    for (const config of added) outcomes.push(this.#add(config));
    if (!this.#builtInActive && !this.#hasRuleset()) this.#putBackBuiltIn();
    return outcomes;
  }

  /** The active configurations, in the order in which a new one must apply them to be in the same state. */
  snapshot(): WafConfig[] {
    return [...this.#active.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #add(config: WafConfig): WafConfigOutcome {
    const { path } = config;
    const content =
      config.product === 'ASM_DD' ? protectRuleset(config.content, this.#protect) : config.content;
    const result = this.#waf.setConfig(path, content);
    // libddwaf takes `{}` as a ruleset, too: it must not put an empty one in the place of the built-in rules.
    const empty = config.product === 'ASM_DD' && result.loaded === 0;
    const error = result.error ?? (empty ? noValidRules : undefined);
    if (error === undefined) {
      this.#active.set(path, { ...config, content });
      return { path, error, issues: result.issues };
    }
    const lastGood = this.#active.get(path);
    if (lastGood !== undefined) this.#waf.setConfig(path, lastGood.content);
    else if (result.error === undefined) this.#waf.removeConfig(path);
    return { path, error, issues: result.issues };
  }

  #remove(path: string): WafConfigOutcome {
    if (this.#active.delete(path)) this.#waf.removeConfig(path);
    return { path, error: undefined, issues: [] };
  }

  #takeOutBuiltIn(): void {
    this.#waf.removeConfig(builtInPath);
    this.#builtInActive = false;
  }

  #putBackBuiltIn(): void {
    const { error } = this.#waf.setConfig(builtInPath, this.#builtIn);
    if (error !== undefined) throw new RulesetError('built in', error);
    this.#builtInActive = true;
  }

  #hasRuleset(): boolean {
    for (const config of this.#active.values()) if (config.product === 'ASM_DD') return true;
    return false;
  }
}

interface RuleShape {
  readonly tags?: Readonly<Record<string, unknown>>;
  readonly on_match?: readonly string[];
}

/**
 * The same ruleset, with `block` for the rules that the level covers and that have no action of their own. Done in the
 * ruleset and not by an override, so that every override of an operator outranks it.
 */
export function protectRuleset(ruleset: Ruleset, level: ProtectLevel): Ruleset {
  if (level === 'off' || !('rules' in ruleset) || !Array.isArray(ruleset.rules)) return ruleset;
  const rules = (ruleset.rules as readonly RuleShape[]).map((rule) => {
    const covered = level === 'all' || rule.tags?.['confidence'] === '1';
    return covered && (rule.on_match ?? []).length === 0 ? { ...rule, on_match: ['block'] } : rule;
  });
  return { ...ruleset, rules };
}
