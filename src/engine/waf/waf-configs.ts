import { isDeepStrictEqual } from 'node:util';
import { builtInPath, type Ruleset, type Waf } from './waf.ts';
import { assemble, type Decision, judgeAlone, type WafConfig } from './waf-assembly.ts';

export type { WafConfig, WafProduct } from './waf-assembly.ts';

/*
 * What runs in the WAF: the built-in ruleset (or the operator's file), and configurations that come and go while it
 * runs, from Datadog's Remote Config or from a folder.
 *
 * What is in effect depends only on the set of configurations, not on the order in which they arrived: each change rebuilds
 * the rules (waf-assembly.ts). A content that libddwaf refuses on its own changes nothing: the last good one of its path
 * stays in effect. One that only collides with another path is kept, and takes effect when the other is removed. Contexts
 * created before a change keep their rules.
 */

export interface WafConfigChange {
  /** Paths. Taken out before anything is added. */
  readonly removed: readonly string[];
  /** New ones, and new contents of old paths. */
  readonly added: readonly WafConfig[];
}

/** What became of one path. */
export interface WafConfigOutcome extends Decision {
  readonly path: string;
}

/**
 * What to block in addition to rules and configurations that block by themselves: nothing, matches of rules that the ruleset
 * tags with confidence 1, or those of all its rules.
 */
export type ProtectLevel = 'off' | 'confident' | 'all';

/** One path. */
interface Held {
  /** The last content that is valid on its own. */
  readonly config: WafConfig;
  /** Why a later content was refused. */
  readonly refusal: Decision | undefined;
  /** The last decision reported for the path; undefined if its content is new. */
  readonly told: Decision | undefined;
}

/** The configurations of one `Waf`: keeps them by path, and puts changes into effect. */
export class WafConfigs {
  readonly #waf: Waf;
  readonly #builtIn: Ruleset;
  readonly #protect: ProtectLevel;
  readonly #held = new Map<string, Held>();
  /** Rulesets and whatever else is in effect, the built-in ruleset among it when there is no other. */
  inEffect: readonly WafConfig[];

  /**
   * @param waf loaded with `builtIn`, protected at the same level.
   * @param builtIn the ruleset that leaves when an ASM_DD comes, and returns when the last one goes.
   */
  constructor(waf: Waf, builtIn: Ruleset, protect: ProtectLevel) {
    this.#waf = waf;
    this.#builtIn = builtIn;
    this.#protect = protect;
    this.inEffect = [{ path: builtInPath, product: 'ASM_DD', content: builtIn }];
  }

  /**
   * Takes a whole change into effect. Never throws. Each path of the change has its outcome, and so has every other
   * path whose outcome changed: an id may have become free, or taken by a path with higher precedence.
   */
  apply(change: WafConfigChange): WafConfigOutcome[] {
    const outcomes = new Map<string, WafConfigOutcome>();
    let changed = false;
    for (const path of change.removed) {
      if (this.#held.delete(path)) changed = true;
      outcomes.set(path, { path, error: undefined, issues: [] });
    }
    for (const config of change.added) {
      const refusal = this.#offer(config);
      if (refusal !== undefined) outcomes.set(config.path, { path: config.path, ...refusal });
      else changed = true;
    }
    if (changed) for (const outcome of this.#rebuild()) outcomes.set(outcome.path, outcome);
    return [...outcomes.values()];
  }

  /** What a fresh one has to be given, as one change, to have the same rules in effect. */
  snapshot(): WafConfig[] {
    return [...this.#held.values()].map(({ config }) => config).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Accepts a content that is valid on its own. Returns why it is not, or undefined. */
  #offer({ path, product, content: given }: WafConfig): Decision | undefined {
    const content = product === 'ASM_DD' ? protectRuleset(given, this.#protect) : given;
    const config = { path, product, content };
    const alone = this.#waf.newBuild();
    const decision = judgeAlone(alone, config);
    alone.discard();
    if (decision.error === undefined) {
      this.#held.set(path, { config, refusal: undefined, told: undefined });
      return undefined;
    }
    const before = this.#held.get(path);
    if (before !== undefined) this.#held.set(path, { ...before, refusal: decision, told: decision });
    return decision;
  }

  /** Rebuilds the rules and puts them into effect. Returns the outcomes that are new or have changed. */
  #rebuild(): WafConfigOutcome[] {
    const held = [...this.#held.values()].sort((a, b) => (a.config.path < b.config.path ? -1 : 1));
    const builtIn: WafConfig = { path: builtInPath, product: 'ASM_DD', content: this.#builtIn };
    const build = this.#waf.newBuild();
    const { inEffect, decisions, rulesetVersion } = assemble(
      build,
      held.map(({ config }) => config),
      builtIn,
    );
    this.#waf.take(build, rulesetVersion);
    this.inEffect = inEffect;
    const outcomes: WafConfigOutcome[] = [];
    for (const { config, refusal, told } of held) {
      const { path } = config;
      const decision = refusal ?? decisions.get(path);
      if (decision === undefined || isDeepStrictEqual(decision, told)) continue;
      this.#held.set(path, { config, refusal, told: decision });
      outcomes.push({ path, ...decision });
    }
    return outcomes;
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
  const rules = (ruleset.rules as readonly (RuleShape | null)[]).map((rule) => {
    if (rule === null) return rule;
    const covered = level === 'all' || rule.tags?.['confidence'] === '1';
    return covered && (rule.on_match ?? []).length === 0 ? { ...rule, on_match: ['block'] } : rule;
  });
  return { ...ruleset, rules };
}
