import { isDeepStrictEqual } from 'node:util';
import { builtInPath, type Ruleset, type Waf } from './waf.ts';
import { assemble, type Decision, judgeAlone, type WafConfig } from './waf-assembly.ts';

export type { WafConfig, WafProduct } from './waf-assembly.ts';

/*
 * What runs in the WAF: the built-in ruleset (or the operator's file), and configurations that come and go while it
 * runs, from Datadog's Remote Config or from a folder.
 *
 * What is in effect follows from the set of configurations alone, not from the order in which they came: each change
 * makes the rules anew (waf-assembly.ts). A content that libddwaf refuses by itself never harms what runs: the last
 * good one of its path stays. One that only collides with another path is kept, and comes into effect when that goes.
 * Contexts made before a change go on with the rules they began with.
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
 * What is blocked beyond what rules and configurations say themselves: nothing, the matches of rules that the ruleset
 * tags with confidence 1, or those of all rules of the ruleset.
 */
export type ProtectLevel = 'off' | 'confident' | 'all';

/** One path. */
interface Held {
  /** The last content that is good by itself. */
  readonly config: WafConfig;
  /** Why a later content was refused. */
  readonly refusal: Decision | undefined;
  /** What was said of the path last; undefined when its content is new. */
  readonly told: Decision | undefined;
}

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
   * path whose outcome is not what it was: an id may become free, or taken by a path that counts before it.
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

  /** Takes a content that is good by itself; undefined, or why it is not. */
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

  /** Makes the rules anew and takes them into effect; the outcomes that are new or other than before. */
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
