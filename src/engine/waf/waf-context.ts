import type { DDWAF } from '@datadog/native-appsec';
import { fit } from './fit.ts';
import type { WafValue } from './waf-value.ts';

type NativeContext = ReturnType<DDWAF['createContext']>;

/** Values by WAF address, for instance `server.request.query`; those that take work are made when they are read. */
export type WafInput = Readonly<Record<string, WafValue | undefined | (() => WafValue | undefined)>>;

/** One event as libddwaf writes it; the parts that we read ourselves are spelled out. */
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

export interface WafResult {
  readonly events: readonly WafEvent[];
  readonly actions: WafActions;
  /** Fingerprints, schemas and other values for the span. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The run ended before every rule was looked at. */
  readonly timeout: boolean;
  /** The WAF asks that the trace be kept. */
  readonly keep: boolean;
  /** Time inside libddwaf, in microseconds. */
  readonly durationUs: number;
  /** Time including the binding, in microseconds. */
  readonly durationExtUs: number;
  /** libddwaf's error code, or −127 when the binding itself threw; undefined when all went well. */
  readonly errorCode: number | undefined;
  readonly errorMessage: string | undefined;
  /** Something was too large even after fitting and was not inspected whole. */
  readonly truncated: boolean;
  /** Original sizes of what the binding cut, by Datadog's name of the limit. */
  readonly truncations: Readonly<Record<string, number>>;
}

const bindingErrorCode = -127;
const nothing = Object.freeze({});

/**
 * libddwaf's view of one transaction: it remembers every value given to it, so that a rule can combine a
 * path of the request with the status of the response. A run never throws; errors are part of the result.
 *
 * The time budget is the transaction's, not the run's: what one run used is missing from the next. But a message that
 * used it up must not blind the later ones: each run has a fifth of the budget at least.
 */
export class WafContext {
  readonly #native: NativeContext;
  readonly #addresses: ReadonlySet<string>;
  #budgetUs: number;
  readonly #reserveUs: number;

  constructor(native: NativeContext, addresses: ReadonlySet<string>, budgetUs: number) {
    this.#native = native;
    this.#addresses = addresses;
    this.#budgetUs = budgetUs;
    this.#reserveUs = Math.ceil(budgetUs / 5);
  }

  /** Whether a value of this address would be looked at. */
  reads(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Returns undefined when no rule reads any of the addresses, or the context is already disposed. */
  run(input: WafInput): WafResult | undefined {
    if (this.#native.disposed) return undefined;
    const startedAt = process.hrtime.bigint();
    let truncated = false;
    try {
      const fitted = this.#fitKnown(input);
      if (fitted === undefined) return undefined;
      truncated = fitted.truncated;
      const timeoutUs = Math.max(this.#budgetUs, this.#reserveUs);
      if (timeoutUs <= 0) return exhausted(truncated);
      const result = this.#native.run({ persistent: fitted.persistent }, timeoutUs);
      const durationUs = (result.duration ?? 0) / 1000;
      this.#budgetUs = Math.floor(this.#budgetUs - durationUs);
      const failed = result.errorCode !== undefined && result.errorCode < 0;
      return {
        events: (result.events ?? []) as WafEvent[],
        // The binding's types call it a list; it is a record of action type to parameters.
        actions: (result.actions ?? nothing) as unknown as WafActions,
        attributes: (result.attributes ?? nothing) as Record<string, unknown>,
        timeout: result.timeout,
        keep: result.keep ?? false,
        durationUs,
        durationExtUs: elapsedUs(startedAt),
        errorCode: failed ? result.errorCode : undefined,
        errorMessage: failed ? `libddwaf returned error ${result.errorCode}` : undefined,
        truncated: truncated || (result.metrics !== undefined && Object.keys(result.metrics).length > 0),
        truncations: truncationsOf(result.metrics),
      };
    } catch (cause) {
      return {
        ...exhausted(truncated),
        timeout: false,
        durationExtUs: elapsedUs(startedAt),
        errorCode: bindingErrorCode,
        errorMessage: cause instanceof Error ? cause.message : String(cause),
      };
    }
  }

  #fitKnown(
    input: WafInput,
  ): { readonly persistent: Record<string, WafValue>; readonly truncated: boolean } | undefined {
    const persistent: Record<string, WafValue> = {};
    let truncated = false;
    let isEmpty = true;
    for (const address in input) {
      if (!this.#addresses.has(address)) continue;
      const given = input[address];
      const value = typeof given === 'function' ? given() : given;
      if (value === undefined) continue;
      isEmpty = false;
      const fitted = fit(value);
      persistent[address] = fitted.value;
      truncated ||= fitted.truncated;
    }
    return isEmpty ? undefined : { persistent, truncated };
  }

  dispose(): void {
    if (!this.#native.disposed) this.#native.dispose();
  }
}

type NativeMetrics = ReturnType<NativeContext['run']>['metrics'];

function truncationsOf(metrics: NativeMetrics): Record<string, number> {
  const sizes: Record<string, number> = {};
  if (metrics?.maxTruncatedString) sizes['string_length'] = metrics.maxTruncatedString;
  if (metrics?.maxTruncatedContainerSize) sizes['container_size'] = metrics.maxTruncatedContainerSize;
  if (metrics?.maxTruncatedContainerDepth) sizes['container_depth'] = metrics.maxTruncatedContainerDepth;
  return sizes;
}

function exhausted(truncated: boolean): WafResult {
  return {
    events: [],
    actions: nothing,
    attributes: nothing,
    timeout: true,
    keep: false,
    durationUs: 0,
    durationExtUs: 0,
    errorCode: undefined,
    errorMessage: undefined,
    truncated,
    truncations: {},
  };
}

function elapsedUs(startedAt: bigint): number {
  return Number(process.hrtime.bigint() - startedAt) / 1000;
}
