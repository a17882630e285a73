import { messageOf } from '../../message-of.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { createLibddwaf, type Diagnostics, type Libddwaf } from './libddwaf.ts';
import { addressesReadByRules } from './rule-addresses.ts';

/*
 * A libddwaf instance under construction, which is not used yet. Every change of the rules builds a new one, because
 * libddwaf keeps traces of earlier rules (sizes and orders of its tables, types of removed lists) in an instance that is
 * changed.
 */

/** A ruleset or another configuration as JSON: libddwaf decides what in it is valid. */
export type Ruleset = object;

/** What libddwaf refused inside a configuration that otherwise loaded. */
export interface RulesetIssue {
  /** The part of the configuration: `rules`, `processors`, `exclusions`, … */
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
  /** Ids that libddwaf took, by part; items without one are `index:0` and so on. Empty when it was refused. */
  readonly loadedIds: Readonly<Record<string, readonly string[]>>;
  readonly rulesetVersion: string | undefined;
}

export interface WafOptions {
  /** Regular expressions (RE2) for keys and values that libddwaf must redact in its events. */
  readonly obfuscatorKeyRegex?: string | undefined;
  readonly obfuscatorValueRegex?: string | undefined;
}

/** What Datadog's own libraries say of a ruleset with nothing in it. */
export const noValidRules = 'no valid rules or processors';

/** Rules that are ready for use. */
export interface BuiltWaf {
  readonly ddwaf: Libddwaf;
  /** Addresses that any part of the configurations reads; other values would be converted for nothing. */
  readonly addresses: ReadonlySet<string>;
  /** Those among them that are read even if no schema is requested. */
  readonly addressesWithoutSchemas: ReadonlySet<string>;
}

/** Builds an instance, configuration by configuration. Ends with `finish` or `discard`. */
export class WafBuild {
  readonly #ddwaf: Libddwaf;
  /** What was taken, by path. */
  readonly #contents = new Map<string, Ruleset>();

  constructor(options: WafOptions) {
    const config: { obfuscatorKeyRegex?: string; obfuscatorValueRegex?: string } = {};
    if (options.obfuscatorKeyRegex !== undefined) config.obfuscatorKeyRegex = options.obfuscatorKeyRegex;
    if (options.obfuscatorValueRegex !== undefined)
      config.obfuscatorValueRegex = options.obfuscatorValueRegex;
    this.#ddwaf = createLibddwaf(groundRuleset, groundPath, config);
  }

  /** Adds a configuration, or replaces the one of the same path. A refused one leaves nothing under its path. */
  setConfig(path: string, content: Ruleset): ConfigResult {
    let accepted: boolean;
    try {
      accepted = this.#ddwaf.createOrUpdateConfig(withoutEmptyLists(content), path);
    } catch (cause) {
      return { error: messageOf(cause), issues: [], loadedIds: {}, rulesetVersion: undefined };
    }
    const diagnostics = this.#ddwaf.diagnostics;
    const issues = collectIssues(diagnostics);
    if (accepted) this.#contents.set(path, content);
    else this.#contents.delete(path);
    return accepted
      ? {
          error: undefined,
          issues,
          loadedIds: collectLoaded(diagnostics),
          rulesetVersion: rulesetVersionIn(diagnostics),
        }
      : { error: datadogErrorOf(issues), issues, loadedIds: {}, rulesetVersion: undefined };
  }

  removeConfig(path: string): void {
    this.#ddwaf.removeConfig(path);
    this.#contents.delete(path);
  }

  /** The build must not be used any more. */
  finish(): BuiltWaf {
    const addresses = this.#ddwaf.knownAddresses;
    const read = addressesReadByRules([...this.#contents.values()]);
    const addressesWithoutSchemas = new Set([...addresses].filter((address) => read.has(address)));
    return { ddwaf: this.#ddwaf, addresses, addressesWithoutSchemas };
  }

  discard(): void {
    this.#ddwaf.dispose();
  }
}

export function describeIssue({ part, reason, ids }: RulesetIssue): string {
  return `${part}: ${reason}${ids.length === 0 ? '' : ` (${ids.join(', ')})`}`;
}

/**
 * A rule that never matches. An instance needs a valid rule from the start, and libddwaf refuses to build one in which
 * overrides switch all rules off: it would keep the rules it had.
 */
const groundRuleset = {
  version: '2.2',
  rules: [
    {
      id: 'appsec-edge-ground',
      name: 'nothing',
      tags: { type: 'appsec-edge-ground' },
      conditions: [{ operator: 'exists', parameters: { inputs: [{ address: 'appsec-edge.ground' }] } }],
    },
  ],
};
const groundPath = 'appsec-edge/ground';

/** libddwaf reads past the end of an empty list and crashes the process; a list that is absent matches nothing. */
function withoutEmptyLists(content: Ruleset): Ruleset {
  const loose: JsonObject = { ...content };
  const changed: Record<string, unknown> = {};
  for (const part of ['rules_data', 'exclusion_data']) {
    const lists = loose[part];
    if (!Array.isArray(lists)) continue;
    changed[part] = (lists as unknown[]).filter(
      (list) => !(isJsonObject(list) && Array.isArray(list['data']) && list['data'].length === 0),
    );
  }
  return { ...content, ...changed };
}

function collectIssues(diagnostics: Diagnostics): RulesetIssue[] {
  const issues: RulesetIssue[] = [];
  for (const [part, result] of Object.entries(diagnostics)) {
    if (typeof result !== 'object') continue;
    if ('error' in result) issues.push({ part, reason: result.error, ids: [] });
    else {
      // Unknown operators, transformers and generators are only warnings to libddwaf; the item is left out all the same.
      const { errors, warnings = {} } = result;
      for (const refusals of [errors, warnings])
        for (const [reason, ids] of Object.entries(refusals)) issues.push({ part, reason, ids });
    }
  }
  return issues;
}

function rulesetVersionIn({ ruleset_version: version }: Diagnostics): string | undefined {
  return typeof version === 'string' ? version : undefined;
}

function collectLoaded(diagnostics: Diagnostics): Record<string, readonly string[]> {
  const loaded: Record<string, readonly string[]> = {};
  for (const [part, result] of Object.entries(diagnostics)) {
    if (typeof result === 'object' && 'loaded' in result) loaded[part] = result.loaded;
  }
  return loaded;
}

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
