import type { TransactionServices } from './transaction-services.ts';
import type { WafContext, WafInput } from './waf/waf-context.ts';
import type { WafResult } from './waf/waf-result.ts';
import { WafSummary } from './waf-summary.ts';

/** Asks libddwaf for the schema of every value that it was given. */
const schemaRequest: WafInput = { 'waf.context.processor': { 'extract-schema': true } };

/** The WAF as one transaction uses it. Its context, and the choice whether to extract a schema, are made when needed. */
export class TransactionWaf {
  readonly summary = new WafSummary();
  readonly #services: TransactionServices;
  #context: WafContext | undefined;
  #wantsSchema: boolean | undefined;

  constructor(services: TransactionServices) {
    this.#services = services;
  }

  /** Whether this transaction was sampled for its schema. */
  get wantsSchema(): boolean {
    this.#wantsSchema ??= this.#services.sampleSchema();
    return this.#wantsSchema;
  }

  /** Whether a rule, or the schema that is wanted, reads any of these: else the values would be carried over for nothing. */
  readsAny(addresses: readonly string[]): boolean {
    const context = this.#open();
    return addresses.some((address) => context.reads(address));
  }

  /** Undefined: nothing reads any of the values. */
  run(input: WafInput): WafResult | undefined {
    return this.#summed(this.#open().run(input));
  }

  /** As `run`, for the last values of the transaction: requests the schema of all of them, if it is wanted. */
  runLast(input: WafInput): WafResult | undefined {
    return this.run(this.wantsSchema ? { ...input, ...schemaRequest } : input);
  }

  /** The schema of what was seen, for a transaction of which no message was the last. */
  describeUnfinished(): WafResult | undefined {
    return this.wantsSchema ? this.#summed(this.#context?.run(schemaRequest)) : undefined;
  }

  dispose(): void {
    this.#context?.dispose();
    this.#context = undefined;
  }

  #open(): WafContext {
    this.#context ??= this.#services.createContext(this.wantsSchema);
    return this.#context;
  }

  #summed(result: WafResult | undefined): WafResult | undefined {
    if (result !== undefined) this.summary.add(result);
    return result;
  }
}
