import { messageOf } from '../../message-of.ts';
import type { LibddwafResult, Truncations, WafActions, WafEvent } from './libddwaf.ts';

export type { WafActions, WafEvent } from './libddwaf.ts';

export interface WafResult {
  readonly events: readonly WafEvent[];
  readonly actions: WafActions;
  /** Fingerprints, schemas and other values for the span. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The run ended before all rules were evaluated. */
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

/** @param truncated before the binding saw it. */
export function resultOf(native: LibddwafResult, truncated: boolean, durationExtUs: number): WafResult {
  const failed = native.errorCode !== undefined && native.errorCode < 0;
  return {
    events: native.events ?? [],
    actions: native.actions ?? nothing,
    attributes: native.attributes ?? nothing,
    timeout: native.timeout,
    keep: native.keep ?? false,
    durationUs: (native.duration ?? 0) / 1000,
    durationExtUs,
    errorCode: failed ? native.errorCode : undefined,
    errorMessage: failed ? `libddwaf returned error ${native.errorCode}` : undefined,
    truncated: truncated || (native.metrics !== undefined && Object.keys(native.metrics).length > 0),
    truncations: truncationsOf(native.metrics),
  };
}

/** The binding threw. */
export function failedResult(cause: unknown, truncated: boolean, durationExtUs: number): WafResult {
  return {
    ...exhaustedResult(truncated),
    timeout: false,
    durationExtUs,
    errorCode: bindingErrorCode,
    errorMessage: messageOf(cause),
  };
}

/** There was no time left to inspect anything. */
export function exhaustedResult(truncated: boolean): WafResult {
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

/** Of two runs over the same message; the second one inspected more. */
export function joinedResult(first: WafResult, second: WafResult): WafResult {
  return {
    events: [...first.events, ...second.events],
    actions: { ...first.actions, ...second.actions },
    attributes: { ...first.attributes, ...second.attributes },
    timeout: second.timeout,
    keep: first.keep || second.keep,
    durationUs: first.durationUs + second.durationUs,
    durationExtUs: first.durationExtUs + second.durationExtUs,
    errorCode: second.errorCode ?? first.errorCode,
    errorMessage: second.errorMessage ?? first.errorMessage,
    truncated: second.truncated,
    truncations: second.truncations,
  };
}

function truncationsOf(metrics: Truncations | undefined): Record<string, number> {
  const sizes: Record<string, number> = {};
  if (metrics?.maxTruncatedString) sizes['string_length'] = metrics.maxTruncatedString;
  if (metrics?.maxTruncatedContainerSize) sizes['container_size'] = metrics.maxTruncatedContainerSize;
  if (metrics?.maxTruncatedContainerDepth) sizes['container_depth'] = metrics.maxTruncatedContainerDepth;
  return sizes;
}
