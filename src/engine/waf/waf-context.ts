import type { LibddwafContext } from './libddwaf.ts';
import { reshapeForWaf } from './reshape-for-waf.ts';
import { suspiciousFirstAbove, suspiciousPart } from './suspicious-values.ts';
import { exhaustedResult, failedResult, joinedResult, resultOf, type WafResult } from './waf-result.ts';
import type { WafValue } from './waf-value.ts';

/** Values by WAF address, for instance `server.request.query`; those that take work are made when they are read. */
export type WafInput = Readonly<Record<string, WafValue | undefined | (() => WafValue | undefined)>>;

interface ReshapedInput {
  readonly persistent: Record<string, WafValue>;
  /** How many of them, containers included. */
  readonly values: number;
  readonly truncated: boolean;
}

/**
 * libddwaf's view of one transaction: it remembers every value given to it, so that a rule can combine a
 * path of the request with the status of the response. A run never throws; errors are part of the result.
 *
 * The time budget is the transaction's, not the run's: what one run used is missing from the next. But a message that
 * used it up must not blind the later ones: each run has a fifth of the budget at least. Of very many values, those that
 * may be an attack have a run of their own before all of them have (suspicious-values.ts).
 */
export class WafContext {
  readonly #native: LibddwafContext;
  readonly #addresses: ReadonlySet<string>;
  #budgetUs: number;
  readonly #reserveUs: number;

  constructor(native: LibddwafContext, addresses: ReadonlySet<string>, budgetUs: number) {
    this.#native = native;
    this.#addresses = addresses;
    this.#budgetUs = budgetUs;
    this.#reserveUs = Math.ceil(budgetUs / 5);
  }

  /** Whether any rule reads this address. */
  reads(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Returns undefined when no rule reads any of the addresses, or the context is already disposed. */
  run(input: WafInput): WafResult | undefined {
    if (this.#native.disposed) return undefined;
    const startedAt = process.hrtime.bigint();
    let reshaped: ReshapedInput | undefined;
    try {
      reshaped = this.#reshapeKnown(input);
    } catch (cause) {
      return failedResult(cause, false, elapsedUs(startedAt));
    }
    if (reshaped === undefined) return undefined;
    const { persistent, truncated } = reshaped;
    if (reshaped.values <= suspiciousFirstAbove) return this.#runOnce(persistent, truncated, startedAt);
    const first = this.#runOnce(suspiciousPart(persistent), truncated, startedAt);
    if (first.timeout || Object.keys(first.actions).length > 0) return first;
    return joinedResult(first, this.#runOnce(persistent, truncated, process.hrtime.bigint()));
  }

  #runOnce(persistent: Record<string, WafValue>, truncated: boolean, startedAt: bigint): WafResult {
    const timeoutUs = Math.max(this.#budgetUs, this.#reserveUs);
    if (timeoutUs <= 0) return exhaustedResult(truncated);
    try {
      const native = this.#native.run({ persistent }, timeoutUs);
      const result = resultOf(native, truncated, elapsedUs(startedAt));
      this.#budgetUs = Math.floor(this.#budgetUs - result.durationUs);
      return result;
    } catch (cause) {
      return failedResult(cause, truncated, elapsedUs(startedAt));
    }
  }

  #reshapeKnown(input: WafInput): ReshapedInput | undefined {
    const persistent: Record<string, WafValue> = {};
    let values = 0;
    let truncated = false;
    for (const address in input) {
      if (!this.#addresses.has(address)) continue;
      const given = input[address];
      const value = typeof given === 'function' ? given() : given;
      if (value === undefined) continue;
      const reshaped = reshapeForWaf(value);
      values += reshaped.values;
      persistent[address] = reshaped.value;
      truncated ||= reshaped.truncated;
    }
    return values === 0 ? undefined : { persistent, values, truncated };
  }

  dispose(): void {
    if (!this.#native.disposed) this.#native.dispose();
  }
}

function elapsedUs(startedAt: bigint): number {
  return Number(process.hrtime.bigint() - startedAt) / 1000;
}
