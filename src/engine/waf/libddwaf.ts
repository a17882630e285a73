import { createRequire } from 'node:module';
import type { WafValue } from './waf-value.ts';

/*
 * libddwaf's binding, typed as it behaves (@datadog/native-appsec 11.0.3): its own declarations call the actions a list,
 * leave out the warnings, and know neither events nor attributes. No other file loads the package.
 */

/** Goes around every call of the binding, loading it included. */
export type NativeGuard = <T>(call: () => T) => T;

let guarded: NativeGuard = (call) => call();

/** For the whole of this thread, before anything else here is used. */
export function guardLibddwaf(guard: NativeGuard): void {
  guarded = guard;
}

/** One event as libddwaf writes it; the parts that this project reads are spelled out. */
export interface WafEvent {
  readonly rule: {
    readonly id: string;
    readonly name: string;
    readonly tags: Readonly<Record<string, string>>;
    readonly on_match?: readonly string[];
  };
  readonly rule_matches: readonly {
    readonly operator: string;
    readonly operator_value?: string;
    readonly parameters: readonly {
      readonly address?: string;
      readonly key_path?: readonly string[];
      readonly value?: string;
      readonly highlight?: readonly string[];
    }[];
  }[];
  readonly security_response_id?: string;
}

/** Actions by type, for instance `block_request`, each with its parameters. */
export type WafActions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What the binding cut from the values of a run: the original sizes. Absent or 0: nothing. */
export interface Truncations {
  readonly maxTruncatedString?: number;
  readonly maxTruncatedContainerSize?: number;
  readonly maxTruncatedContainerDepth?: number;
}

export interface LibddwafResult {
  /** The time was up before every rule was evaluated. */
  readonly timeout: boolean;
  /** Nanoseconds inside libddwaf. */
  readonly duration?: number;
  readonly events?: readonly WafEvent[];
  readonly actions?: WafActions;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly metrics?: Truncations;
  /** Negative: an error. */
  readonly errorCode?: number;
  readonly keep?: boolean;
}

/** libddwaf's memory of one transaction. */
export interface LibddwafContext {
  readonly disposed: boolean;
  /**
   * @param timeout in microseconds, more than 0.
   * @throws Error when the binding cannot convert a value, or the context is disposed.
   */
  run(payload: { readonly persistent: Readonly<Record<string, WafValue>> }, timeout: number): LibddwafResult;
  dispose(): void;
}

/** Ids by reason. */
export type Refusals = Readonly<Record<string, readonly string[]>>;

/** What became of one part of a configuration. */
export type PartDiagnostics =
  | { readonly error: string }
  | {
      readonly loaded: readonly string[];
      readonly failed: readonly string[];
      readonly errors: Refusals;
      readonly warnings?: Refusals;
    };

/** What libddwaf said of the last configuration, by part (`rules`, `actions`, …); the ruleset's version is a text. */
export type Diagnostics = Readonly<Record<string, PartDiagnostics | string | undefined>>;

/** A set of rules, made of configurations with a path each. */
export interface Libddwaf {
  readonly diagnostics: Diagnostics;
  readonly knownAddresses: ReadonlySet<string>;
  /**
   * @returns whether anything of it was taken; `diagnostics` says more.
   * @throws Error when the binding cannot convert the configuration.
   */
  createOrUpdateConfig(config: object, path: string): boolean;
  removeConfig(path: string): boolean;
  createContext(): LibddwafContext;
  dispose(): void;
}

/** Regular expressions (RE2) for keys and values that libddwaf redacts in its events. */
export interface LibddwafOptions {
  readonly obfuscatorKeyRegex?: string;
  readonly obfuscatorValueRegex?: string;
}

/** @throws Error unless the configuration has at least one valid rule. */
export function createLibddwaf(config: object, path: string, options: LibddwafOptions): Libddwaf {
  return new GuardedLibddwaf(guarded(() => new (binding().DDWAF)(config, path, options)));
}

/** For instance `1.30.1`. */
export function libddwafVersion(): string {
  return guarded(() => binding().DDWAF.version());
}

/** What the binding really gives. */
interface Binding {
  readonly DDWAF: {
    new (config: object, path: string, options: LibddwafOptions): Libddwaf;
    version(): string;
  };
}

/** Not imported: its start is native code as well. */
function binding(): Binding {
  return require('@datadog/native-appsec') as Binding;
}

const require = createRequire(import.meta.url);

class GuardedLibddwaf implements Libddwaf {
  readonly #native: Libddwaf;

  constructor(native: Libddwaf) {
    this.#native = native;
  }

  get diagnostics(): Diagnostics {
    return guarded(() => this.#native.diagnostics);
  }

  get knownAddresses(): ReadonlySet<string> {
    return guarded(() => this.#native.knownAddresses);
  }

  createOrUpdateConfig(config: object, path: string): boolean {
    return guarded(() => this.#native.createOrUpdateConfig(config, path));
  }

  removeConfig(path: string): boolean {
    return guarded(() => this.#native.removeConfig(path));
  }

  createContext(): LibddwafContext {
    return new GuardedContext(guarded(() => this.#native.createContext()));
  }

  dispose(): void {
    guarded(() => this.#native.dispose());
  }
}

class GuardedContext implements LibddwafContext {
  readonly #native: LibddwafContext;

  constructor(native: LibddwafContext) {
    this.#native = native;
  }

  get disposed(): boolean {
    return guarded(() => this.#native.disposed);
  }

  run(payload: Parameters<LibddwafContext['run']>[0], timeout: number): LibddwafResult {
    return guarded(() => this.#native.run(payload, timeout));
  }

  dispose(): void {
    guarded(() => this.#native.dispose());
  }
}
