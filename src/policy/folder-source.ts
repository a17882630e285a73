import { createHash } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { PolicyTarget } from '../engine/policy-target.ts';
import type { RulesetIssue } from '../engine/waf/waf.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome, WafProduct } from '../engine/waf/waf-configs.ts';
import { isPolicyName } from './file-names.ts';
import { FolderFindings, type KnownPolicy } from './folder-findings.ts';
import { type FileFinding, parsePolicyFile } from './policy-file.ts';

/*
 * A folder of JSON files in the formats of Remote Config, for operators without Datadog. The content decides what a file
 * is:
 *
 *   rules (with version)                     ASM_DD        a whole ruleset, in place of the built-in one
 *   rules_data, exclusion_data               ASM_DATA      lists, with expiry
 *   asm                                      ASM_FEATURES  the switch
 *   anything else (rules_override, actions,
 *   exclusions, custom_rules, …)             ASM
 *
 * The folder is watched, and also scanned every few seconds for file systems that do not report changes. If a file
 * cannot be read or is refused, its last good content stays in effect. folder-findings.ts reports parts that are in effect
 * but do nothing; this changes nothing.
 */

export interface FolderTarget extends PolicyTarget {
  /** Everything that is in effect, whatever its source. */
  inEffect(): readonly WafConfig[];
}

export interface FolderObserver {
  applied?(file: string): void;
  removed?(file: string): void;
  /** `file` is the path of the file, `problem` says what and where. */
  failed?(file: string, problem: string, details?: FailureDetails): void;
  /** Findings about files that parse, each once. */
  found?(findings: readonly FileFinding[]): void;
}

/** Details behind the message. */
export interface FailureDetails {
  readonly line?: number | undefined;
  /** The file is in effect without these. */
  readonly issues?: readonly RulesetIssue[];
}

const rescanMs = 5000;
const settleMs = 100;

interface KnownFile {
  /** Digest of the bytes last looked at, good or bad. */
  readonly digest: string;
  /** Whether the WAF was given a content of this file, in effect or not. */
  readonly offered: boolean;
  /** The value of the switch, if the file is one, or was one and is now invalid. */
  readonly enabled: boolean | undefined;
  /** The last content that parsed. */
  readonly policy: KnownPolicy | undefined;
}

export class FolderSource {
  readonly #folder: string;
  readonly #target: FolderTarget;
  readonly #observer: FolderObserver;
  readonly #known = new Map<string, KnownFile>();
  readonly #findings: FolderFindings;
  /** Names of all files, as they were looked at last. */
  #names: readonly string[] = [];
  /** Files have changed since the last check. */
  #unchecked = true;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #folderProblem = '';

  constructor(folder: string, target: FolderTarget, observer: FolderObserver) {
    this.#folder = folder;
    this.#target = target;
    this.#observer = observer;
    this.#findings = new FolderFindings(folder);
  }

  /**
   * Applies what is there, once.
   * @throws when the folder cannot be read: a typo in the path must not mean "no rules".
   */
  load(): void {
    readdirSync(this.#folder);
    this.scan();
  }

  /** Applies the folder and keeps watching it. Throws as `load` does. */
  start(): void {
    this.load();
    this.#timer = setInterval(() => this.scan(), rescanMs);
    this.#timer.unref();
    this.#watch();
  }

  stop(): void {
    this.#watcher?.close();
    clearInterval(this.#timer);
    clearTimeout(this.#settle);
  }

  /** Compares the folder with what is in effect and applies the difference, as one change. */
  scan(): void {
    let all: string[];
    try {
      all = readdirSync(this.#folder).sort();
      this.#folderProblem = '';
    } catch (cause) {
      this.#reportFolder(String(cause));
      return;
    }
    if (all.join('/') !== this.#names.join('/')) this.#unchecked = true;
    this.#names = all;
    const names = all.filter(isPolicyName);
    const removed = [...this.#known.keys()].filter((name) => !names.includes(name));
    const added: WafConfig[] = [];
    const removedPaths: string[] = [];
    for (const name of names) {
      const before = this.#known.get(name)?.offered;
      const config = this.#look(name);
      if (config !== undefined) added.push(config);
      // Rules that became the switch leave the WAF.
      if (before === true && this.#known.get(name)?.offered === false) removedPaths.push(configPath(name));
    }
    for (const name of removed) {
      if (this.#known.get(name)?.offered === true) removedPaths.push(configPath(name));
      this.#known.delete(name);
    }
    if (removedPaths.length > 0 || added.length > 0) this.#apply({ removed: removedPaths, added });
    this.#target.activate(this.#switch());
    for (const name of removed) this.#observer.removed?.(join(this.#folder, name));
    this.#check();
  }

  #apply(change: WafConfigChange): void {
    const gone = new Set(change.removed);
    this.#note(this.#target.apply(change).filter(({ path }) => !gone.has(path)));
  }

  /** Takes note of files that another source's change brought into effect or took out of it. */
  follow(outcomes: readonly WafConfigOutcome[]): void {
    this.#note(outcomes);
    this.#target.activate(this.#switch());
    this.#unchecked = true;
    this.#check();
  }

  /** Reports findings about files in effect. Must not change what is in effect. */
  #check(): void {
    if (!this.#unchecked) return;
    this.#unchecked = false;
    const policies = [...this.#known.values()].flatMap(({ policy }) => policy ?? []);
    const others = this.#target.inEffect().filter(({ path }) => !isFolderPath(path));
    try {
      const findings = this.#findings.newOnes(policies, this.#names, others);
      if (findings.length > 0) this.#observer.found?.(findings);
    } catch (cause) {
      this.#observer.failed?.(this.#folder, `cannot be checked: ${String(cause)}`);
    }
  }

  /** Paths of other sources are ignored. */
  #note(outcomes: readonly WafConfigOutcome[]): void {
    for (const { path, error, issues } of outcomes) {
      const name = nameOf(path);
      const known = name === undefined ? undefined : this.#known.get(name);
      if (name === undefined || known === undefined) continue;
      const file = join(this.#folder, name);
      if (error !== undefined) {
        this.#observer.failed?.(file, error);
        continue;
      }
      this.#known.set(name, { ...known, enabled: undefined });
      this.#observer.applied?.(file);
      if (issues.length > 0) {
        const described = issues.map(({ part, reason, ids }) => `${part}: ${reason} (${ids.join(', ')})`);
        this.#observer.failed?.(file, `in part: ${described.join('; ')}`, { issues });
      }
    }
  }

  /** Reads one file; undefined when it is unchanged, unusable, or the switch. */
  #look(name: string): WafConfig | undefined {
    const file = join(this.#folder, name);
    const known = this.#known.get(name);
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (cause) {
      if (known?.digest !== 'unreadable') this.#observer.failed?.(file, String(cause));
      this.#known.set(name, {
        offered: known?.offered ?? false,
        enabled: known?.enabled,
        digest: 'unreadable',
        policy: known?.policy,
      });
      return undefined;
    }
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (known?.digest === digest) return undefined;
    this.#unchecked = true;
    const seen = {
      ...{ offered: known?.offered ?? false, enabled: known?.enabled, digest },
      policy: known?.policy,
    };
    this.#known.set(name, seen);
    const parsed = parsePolicyFile(bytes);
    if ('problem' in parsed) {
      this.#observer.failed?.(file, parsed.problem, { line: parsed.line });
      return undefined;
    }
    const { content } = parsed;
    const policy = { ...parsed, path: configPath(name), name, digest };
    if ('asm' in content) {
      this.#takeSwitch({ ...seen, policy }, policy);
      return undefined;
    }
    this.#known.set(name, { ...seen, policy, offered: true });
    const product = productOf(content);
    return { path: configPath(name), product, content };
  }

  #takeSwitch(seen: KnownFile, policy: KnownPolicy): void {
    const { name, content } = policy;
    const { asm } = content;
    const enabled = typeof asm === 'object' && asm !== null && 'enabled' in asm ? asm.enabled : undefined;
    const file = join(this.#folder, name);
    if (typeof enabled !== 'boolean') {
      this.#known.set(name, seen);
      this.#observer.failed?.(file, '`asm.enabled` must be true or false');
      return;
    }
    this.#known.set(name, { ...seen, offered: false, enabled });
    this.#observer.applied?.(file);
  }

  /** Off wins, because inspection is switched off in an emergency. */
  #switch(): boolean | undefined {
    const switches = [...this.#known.values()].flatMap(({ enabled }) => enabled ?? []);
    return switches.length === 0 ? undefined : switches.every((enabled) => enabled);
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#folder, () => {
        clearTimeout(this.#settle);
        this.#settle = setTimeout(() => this.scan(), settleMs);
      });
      // The folder itself may go away; the rescan finds it again.
      this.#watcher.on('error', (cause) => this.#reportFolder(String(cause)));
      this.#watcher.unref();
    } catch (cause) {
      this.#reportFolder(
        `cannot be watched, so changes take up to ${rescanMs / 1000} s to be noticed: ${cause}`,
      );
    }
  }

  #reportFolder(problem: string): void {
    if (problem === this.#folderProblem) return;
    this.#folderProblem = problem;
    this.#observer.failed?.(this.#folder, problem);
  }
}

/** Depends on the name, not on the content: a file whose new content is of another kind and is refused stays what it was. */
function configPath(name: string): string {
  return `${pathPrefix}${name}`;
}

/** Undefined: the path is of another source. */
function nameOf(path: string): string | undefined {
  return isFolderPath(path) ? path.slice(pathPrefix.length) : undefined;
}

/** The path is of a file of the folder, and not of another source. */
export function isFolderPath(path: string): boolean {
  return path.startsWith(pathPrefix);
}

const pathPrefix = 'folder/';

function productOf(content: object): WafProduct {
  if ('rules' in content) return 'ASM_DD';
  if ('rules_data' in content || 'exclusion_data' in content) return 'ASM_DATA';
  return 'ASM';
}
