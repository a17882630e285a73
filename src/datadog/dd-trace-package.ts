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

/** Datadog's default patterns for secrets, the same in all its libraries. */
export function obfuscationDefaults(): ObfuscationDefaults {
  const path = require.resolve('dd-trace/packages/dd-trace/src/config/supported-configurations.json');
  const { supportedConfigurations } = JSON.parse(readFileSync(path, 'utf8')) as {
    supportedConfigurations: Record<string, readonly { readonly default?: unknown }[]>;
  };
  const defaultOf = (variable: string): string => {
    const value = supportedConfigurations[variable]?.[0]?.default;
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

/** Keeps the trace of `span` whatever sampling said, and says that AppSec did it: `_dd.p.dm` -5, `_dd.p.ts` 02. */
export function keepTraceForAppSec(span: Span): void {
  const sampler = require('dd-trace/packages/dd-trace/src/priority_sampler') as PrioritySamplerModule;
  const product = require('dd-trace/packages/dd-trace/src/standalone/product') as { ASM: unknown };
  sampler.keepTrace(span, product.ASM);
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
