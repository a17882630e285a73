import type { DDWAF } from '@datadog/native-appsec';
import nativeAppsec from '@datadog/native-appsec';
import { WafContext } from './waf-context.ts';

/** A ruleset as JSON: libddwaf decides what in it is valid. */
export type Ruleset = object;

/** Why no WAF could be made. `source` names the ruleset: a file, or where it came from. */
export class RulesetError extends Error {
  override readonly name = 'RulesetError';
  readonly source: string;

  constructor(source: string, reason: string, options?: ErrorOptions) {
    super(`ruleset ${source}: ${reason}`, options);
    this.source = source;
  }
}

/** What libddwaf refused inside a ruleset that otherwise loaded. */
export interface RulesetIssue {
  /** The part of the ruleset: `rules`, `processors`, `exclusions`, … */
  readonly part: string;
  readonly reason: string;
  /** Ids of the items concerned; empty when the whole part failed. */
  readonly ids: readonly string[];
}

/** Whether libddwaf took a configuration. */
export interface ConfigResult {
  /** Undefined: taken. Otherwise JSON of part to `error` or `errors`, as Datadog's backend reads it. */
  readonly error: string | undefined;
  readonly issues: readonly RulesetIssue[];
  /** Rules and processors in it that libddwaf took; overrides, lists and the like do not count. */
  readonly loaded: number;
}

export interface WafOptions {
  /** Regular expressions (RE2) for keys and values that libddwaf must redact in its events. */
  readonly obfuscatorKeyRegex?: string | undefined;
  readonly obfuscatorValueRegex?: string | undefined;
}

/** libddwaf keeps each configuration under a path; Datadog's own default has this one. */
const defaultRulesetPath = 'datadog/00/ASM_DD/default/config';

/** One loaded ruleset. Makes contexts; each context outlives the `Waf` it came from safely. */
export class Waf {
  readonly #ddwaf: DDWAF;
  /** Counts changes of the rules. */
  generation = 0;
  /** Of the ruleset loaded last. */
  rulesetVersion: string;
  readonly issues: readonly RulesetIssue[];
  readonly loadedRules: number;

  private constructor(ddwaf: DDWAF) {
    this.#ddwaf = ddwaf;
    const diagnostics = ddwaf.diagnostics;
    this.rulesetVersion = diagnostics.ruleset_version ?? 'unknown';
    this.issues = collectIssues(diagnostics);
    this.loadedRules = countLoaded(diagnostics.rules) + countLoaded(diagnostics.custom_rules);
  }

  /**
   * @param source named in errors: the file that the ruleset was read from.
   * @throws RulesetError when libddwaf takes none of it.
   */
  static load(ruleset: Ruleset, source: string, options: WafOptions = {}): Waf {
    const config: { obfuscatorKeyRegex?: string; obfuscatorValueRegex?: string } = {};
    if (options.obfuscatorKeyRegex !== undefined) config.obfuscatorKeyRegex = options.obfuscatorKeyRegex;
    if (options.obfuscatorValueRegex !== undefined)
      config.obfuscatorValueRegex = options.obfuscatorValueRegex;
    let ddwaf: DDWAF;
    try {
      ddwaf = new nativeAppsec.DDWAF(ruleset, defaultRulesetPath, config);
    } catch (cause) {
      throw new RulesetError(source, `libddwaf refused it: ${refusalOf(ruleset) ?? messageOf(cause)}`, {
        cause,
      });
    }
    const waf = new Waf(ddwaf);
    if (waf.loadedRules === 0) {
      const reasons = waf.issues.map(describeIssue).join('; ');
      ddwaf.dispose();
      throw new RulesetError(source, `no valid rule in it${reasons === '' ? '' : ` (${reasons})`}`);
    }
    return waf;
  }

  /** The version of libddwaf, for instance `1.30.1`. */
  static get libraryVersion(): string {
    return nativeAppsec.DDWAF.version();
  }

  /** Addresses that the loaded rules read; anything else would be carried over for nothing. */
  get knownAddresses(): ReadonlySet<string> {
    return this.#ddwaf.knownAddresses;
  }

  /**
   * Adds a configuration, or replaces the one of the same path; contexts made before keep their rules. Refused ones
   * also take out what the path held: see WafConfigs, which puts it back.
   */
  setConfig(path: string, content: Ruleset): ConfigResult {
    let accepted: boolean;
    try {
      accepted = this.#ddwaf.createOrUpdateConfig(content, path);
    } catch (cause) {
      return { error: messageOf(cause), issues: [], loaded: 0 };
    }
    const diagnostics = this.#ddwaf.diagnostics;
    const issues = collectIssues(diagnostics);
    if (!accepted) return { error: datadogErrorOf(issues), issues, loaded: 0 };
    this.generation += 1;
    if (diagnostics.ruleset_version !== undefined) this.rulesetVersion = diagnostics.ruleset_version;
    const { rules, custom_rules: customRules, processors } = diagnostics;
    const loaded = countLoaded(rules) + countLoaded(customRules) + countLoaded(processors);
    return { error: undefined, issues, loaded };
  }

  removeConfig(path: string): void {
    this.#ddwaf.removeConfig(path);
    this.generation += 1;
  }

  createContext(timeoutUs: number): WafContext {
    return new WafContext(this.#ddwaf.createContext(), this.#ddwaf.knownAddresses, timeoutUs);
  }

  dispose(): void {
    this.#ddwaf.dispose();
  }
}

/** What Datadog's own libraries say of a ruleset with nothing in it. */
export const noValidRules = 'no valid rules or processors';

function datadogErrorOf(issues: readonly RulesetIssue[]): string {
  const parts: Record<string, { error?: string; errors?: Record<string, readonly string[]> }> = {};
  for (const { part, reason, ids } of issues) {
    parts[part] ??= {};
    const entry = parts[part];
    if (ids.length === 0) entry.error = reason;
    else entry.errors = { ...entry.errors, [reason]: ids };
  }
  return issues.length === 0 ? noValidRules : JSON.stringify(parts);
}

/** The constructor only says "Invalid rules"; given to a WAF that stands already, the same ruleset gets diagnostics. */
function refusalOf(ruleset: Ruleset): string | undefined {
  const ddwaf = new nativeAppsec.DDWAF(placeholderRuleset, defaultRulesetPath);
  try {
    ddwaf.createOrUpdateConfig(ruleset, `${defaultRulesetPath}/refused`);
    const issues = collectIssues(ddwaf.diagnostics);
    return issues.length === 0 ? 'no rule in it' : issues.map(describeIssue).join('; ');
  } catch {
    return undefined;
  } finally {
    ddwaf.dispose();
  }
}

const placeholderRuleset = {
  version: '2.2',
  rules: [
    {
      id: 'placeholder',
      name: 'placeholder',
      tags: { type: 'placeholder' },
      conditions: [{ operator: 'exists', parameters: { inputs: [{ address: 'placeholder' }] } }],
    },
  ],
};

function describeIssue({ part, reason, ids }: RulesetIssue): string {
  return `${part}: ${reason}${ids.length === 0 ? '' : ` (${ids.join(', ')})`}`;
}

type Diagnostics = DDWAF['diagnostics'];

function countLoaded(part: Diagnostics['rules']): number {
  return part !== undefined && 'loaded' in part ? part.loaded.length : 0;
}

function collectIssues(diagnostics: Diagnostics): RulesetIssue[] {
  const issues: RulesetIssue[] = [];
  for (const [part, result] of Object.entries(diagnostics)) {
    if (typeof result !== 'object') continue;
    if ('error' in result) issues.push({ part, reason: result.error, ids: [] });
    else for (const [reason, ids] of Object.entries(result.errors)) issues.push({ part, reason, ids });
  }
  return issues;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
