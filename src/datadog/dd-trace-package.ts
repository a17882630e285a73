import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Span, Tracer } from 'dd-trace';

/*
 * Everything that is private to the dd-trace package is touched here and nowhere else, and test/datadog/ checks that
 * it is still there: the file of the recommended ruleset, the defaults of Datadog's regular expressions, keeping a
 * trace in AppSec's name, and flushing the exporter.
 */

const require = createRequire(import.meta.url);

/** Path of the ruleset that Datadog recommends for this release of dd-trace. */
export function recommendedRulesPath(): string {
  return require.resolve('dd-trace/packages/dd-trace/src/appsec/recommended.json');
}

export interface ObfuscationDefaults {
  readonly keyRegex: string;
  readonly valueRegex: string;
  readonly queryStringRegex: string;
}

interface SupportedConfiguration {
  readonly default?: unknown;
  readonly aliases?: readonly string[];
}

function supportedConfigurations(): Readonly<Record<string, readonly SupportedConfiguration[]>> {
  const path = require.resolve('dd-trace/packages/dd-trace/src/config/supported-configurations.json');
  return (
    JSON.parse(readFileSync(path, 'utf8')) as {
      supportedConfigurations: Record<string, readonly SupportedConfiguration[]>;
    }
  ).supportedConfigurations;
}

/** All environment variables that dd-trace reads itself, including older names. */
export function knownVariables(): ReadonlySet<string> {
  return new Set(
    Object.entries(supportedConfigurations()).flatMap(([name, entries]) => [
      name,
      ...entries.flatMap(({ aliases }) => aliases ?? []),
    ]),
  );
}

/** Datadog's default patterns for secrets, the same in all its libraries. */
export function obfuscationDefaults(): ObfuscationDefaults {
  const supported = supportedConfigurations();
  const defaultOf = (variable: string): string => {
    const value = supported[variable]?.[0]?.default;
    if (typeof value !== 'string') throw new Error(`dd-trace no longer has a default for ${variable}`);
    return value;
  };
  return {
    keyRegex: defaultOf('DD_APPSEC_OBFUSCATION_PARAMETER_KEY_REGEXP'),
    valueRegex: defaultOf('DD_APPSEC_OBFUSCATION_PARAMETER_VALUE_REGEXP'),
    queryStringRegex: defaultOf('DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP'),
  };
}

interface PrioritySamplerModule {
  keepTrace(span: Span, product: unknown): void;
}

/**
 * Keeps the trace of `span` whatever sampling said, and says that AppSec did it: `_dd.p.dm` -5, `_dd.p.ts` 02. With APM
 * on, dd-trace would leave the former as it was and omit the latter; Datadog's proxies set both, so that services behind
 * us which have APM off keep their part.
 */
export function keepTraceForAppSec(span: Span): void {
  const sampler = require('dd-trace/packages/dd-trace/src/priority_sampler') as PrioritySamplerModule;
  const product = require('dd-trace/packages/dd-trace/src/standalone/product') as { ASM: unknown };
  sampler.keepTrace(span, product.ASM);
  const tags = internalsOf(span)._trace?.tags;
  if (tags === undefined) return;
  tags[decisionMakerTag] = appSecDecision;
  tags[traceSourceTag] = (sourcesOf(tags) | appSecSource).toString(16).padStart(2, '0');
}

/** 128 bits in hexadecimal. The public `toTraceparent` has them too, but decides about sampling, which is too early. */
export function traceIdOf(span: Span): string {
  return (span.context() as unknown as ContextInternals).toTraceId(true);
}

interface TracerInternals {
  readonly _tracer?: { readonly _exporter?: { flush?(done: () => void): void } };
}

/** dd-trace repeats itself for some seven seconds before it gives up on an Agent. */
const flushTimeoutMs = 2000;

/** Sends finished spans to the Agent now. Resolves when they left, after two seconds also when they did not. */
export function flushSpans(tracer: Tracer): Promise<void> {
  const exporter = (tracer as unknown as TracerInternals)._tracer?._exporter;
  if (typeof exporter?.flush !== 'function') return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, flushTimeoutMs);
    exporter.flush?.(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

interface ContextInternals {
  toTraceId(all128Bits: boolean): string;
  readonly _trace?: { readonly tags?: Record<string, string> };
  _sampling: { priority?: number; mechanism?: number };
}

/** Propagation tag for products that want a trace kept; a hexadecimal mask in which AppSec is 2. */
const traceSourceTag = '_dd.p.ts';
const appSecSource = 0x02;
const decisionMakerTag = '_dd.p.dm';
const appSecDecision = '-5';
/** ext/priority.js and constants.js of dd-trace: sampled by its own rule, by default. */
const autoKeep = 1;
const defaultMechanism = 0;

function internalsOf(span: Span): ContextInternals {
  return span.context() as unknown as ContextInternals;
}

/** The trace came with AppSec's mark from upstream, so it is kept without a detection here. */
export function continuesAppSecTrace(span: Span): boolean {
  return (sourcesOf(internalsOf(span)._trace?.tags ?? {}) & appSecSource) !== 0;
}

function sourcesOf(tags: Readonly<Record<string, string>>): number {
  return Number.parseInt(tags[traceSourceTag] ?? '', 16) || 0;
}

/** Sends this span as a heartbeat: with APM off, an occasional trace shows that the service is alive. */
export function keepAsHeartbeat(span: Span): void {
  const { _sampling: sampling } = internalsOf(span);
  sampling.priority = autoKeep;
  sampling.mechanism = defaultMechanism;
}
