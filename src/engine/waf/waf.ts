import { libddwafVersion } from './libddwaf.ts';
import { RulesetError } from './ruleset-error.ts';
import {
  type BuiltWaf,
  describeIssue,
  type Ruleset,
  type RulesetIssue,
  WafBuild,
  type WafOptions,
} from './waf-build.ts';
import { WafContext } from './waf-context.ts';

export type { Ruleset, RulesetIssue, WafOptions } from './waf-build.ts';

/** The path of the ruleset that is loaded first; Datadog's own default has this one. */
export const builtInPath = 'datadog/00/ASM_DD/default/config';

/** The rules in effect. Makes contexts; each context outlives the rules, and the `Waf`, that it came from safely. */
export class Waf {
  readonly #options: WafOptions;
  #built: BuiltWaf;
  /** Counts changes of the rules. */
  generation = 0;
  #rulesetVersion: string;
  /** Of the ruleset loaded first. */
  readonly issues: readonly RulesetIssue[];
  readonly loadedRules: number;

  private constructor(options: WafOptions, built: BuiltWaf, loaded: LoadedRuleset) {
    this.#options = options;
    this.#built = built;
    this.#rulesetVersion = loaded.version ?? unknownVersion;
    this.issues = loaded.issues;
    this.loadedRules = loaded.rules;
  }

  /**
   * @param source named in errors: the file that the ruleset was read from.
   * @throws RulesetError when libddwaf takes none of it.
   */
  static load(ruleset: Ruleset, source: string, options: WafOptions = {}): Waf {
    const build = new WafBuild(options);
    const { error, issues, loadedIds, rulesetVersion } = build.setConfig(builtInPath, ruleset);
    const rules = (loadedIds['rules']?.length ?? 0) + (loadedIds['custom_rules']?.length ?? 0);
    if (error === undefined && rules > 0) {
      return new Waf(options, build.finish(), { version: rulesetVersion, issues, rules });
    }
    build.discard();
    const reasons = issues.map(describeIssue).join('; ');
    if (error !== undefined) {
      throw new RulesetError(source, `libddwaf refused it: ${reasons === '' ? error : reasons}`);
    }
    throw new RulesetError(source, reasons === '' ? 'no rule in it' : `no valid rule in it (${reasons})`);
  }

  /** The version of libddwaf, for instance `1.30.1`. */
  static get libraryVersion(): string {
    return libddwafVersion();
  }

  /** Of the ruleset in effect; of several, the last one that names a version. */
  get rulesetVersion(): string {
    return this.#rulesetVersion;
  }

  /**
   * Addresses whose values are carried over.
   * @param forSchema what only a schema needs is among them.
   */
  addresses(forSchema: boolean): ReadonlySet<string> {
    return forSchema ? this.#built.addresses : this.#built.addressesWithoutSchemas;
  }

  /** Other rules in the making, with the options of these. */
  newBuild(): WafBuild {
    return new WafBuild(this.#options);
  }

  /** Takes other rules into effect; contexts made before keep theirs. */
  take(build: WafBuild, rulesetVersion: string | undefined): void {
    const before = this.#built;
    this.#built = build.finish();
    this.#rulesetVersion = rulesetVersion ?? unknownVersion;
    this.generation += 1;
    before.ddwaf.dispose();
  }

  /** @param forSchema the schema of the transaction will be asked for. */
  createContext(timeoutUs: number, forSchema = false): WafContext {
    return new WafContext(this.#built.ddwaf.createContext(), this.addresses(forSchema), timeoutUs);
  }

  dispose(): void {
    this.#built.ddwaf.dispose();
  }
}

interface LoadedRuleset {
  readonly version: string | undefined;
  readonly issues: readonly RulesetIssue[];
  readonly rules: number;
}

const unknownVersion = 'unknown';
