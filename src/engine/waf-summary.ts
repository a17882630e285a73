import type { WafResult } from './waf/waf-result.ts';

/** The schema of the path, which is passed to the rules as a parameter although it is not one (see addresses.ts). */
const pathSchema = '_dd.appsec.s.req.params';

/** Totals of all WAF runs for one transaction, for its span. Detections are not part of it. */
export class WafSummary {
  /** Time inside libddwaf, and including the binding. */
  durationUs = 0;
  durationExtUs = 0;
  timeouts = 0;
  /** Of the first run that failed. */
  errorCode: number | undefined;
  errorMessage: string | undefined;
  /** The WAF wants the trace to be kept. */
  keep = false;
  /** Fingerprints, schemas and other values for the span. */
  readonly attributes: Record<string, unknown> = {};
  /** Sizes of what was too large to be inspected whole, by libddwaf's limit. */
  readonly truncations: Record<string, number> = {};

  add(result: WafResult): void {
    this.durationUs += result.durationUs;
    this.durationExtUs += result.durationExtUs;
    if (result.timeout) this.timeouts += 1;
    if (result.errorCode !== undefined) {
      this.errorCode ??= result.errorCode;
      this.errorMessage ??= result.errorMessage;
    }
    if (result.keep) this.keep = true;
    for (const [name, value] of Object.entries(result.attributes)) {
      if (name !== pathSchema) this.attributes[name] ??= value;
    }
    for (const [limit, size] of Object.entries(result.truncations)) {
      this.truncations[limit] = Math.max(this.truncations[limit] ?? 0, size);
    }
  }
}
