import type { SpanSettings } from '../../src/datadog/span-trace.ts';
import type { QueryObfuscator } from '../../src/engine/query-obfuscator.ts';

/** As the daemon starts by default, with a ruleset of version `test-1`. */
export function spanSettings(
  queryObfuscator: QueryObfuscator,
  changes: Partial<SpanSettings> = {},
): Omit<SpanSettings, 'apmTracingEnabled'> {
  return {
    queryObfuscator,
    queryDisabled: false,
    queryAllowlist: undefined,
    isErrorStatus: (status) => status >= 500,
    clientIpHeader: undefined,
    waf: () => ({ libraryVersion: '1.0.0', rulesetVersion: 'test-1', generation: 0 }),
    remoteConfigClientId: () => undefined,
    ...changes,
  };
}
