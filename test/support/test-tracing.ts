import type { SpanSettings } from '../../src/datadog/span-trace.ts';
import { type DatadogSettings, type DatadogTracing, startDatadogTracing } from '../../src/datadog/tracing.ts';
import type { FakeAgent } from './fake-agent.ts';

/**
 * dd-trace that sends to this Agent, with APM off unless told, as the daemon starts by default.
 *
 * It is one a process and reads its environment once: each test file that starts it is its own process (vitest isolates
 * files), and sets further variables before.
 */
export function startTestTracing(
  agent: FakeAgent,
  spans: Omit<SpanSettings, 'apmTracingEnabled'>,
  changes: Partial<DatadogSettings> = {},
): Promise<DatadogTracing> {
  process.env['DD_INSTRUMENTATION_TELEMETRY_ENABLED'] = 'false';
  return startDatadogTracing(
    {
      service: 'spoa-test',
      environment: 'test',
      version: '1.2.3',
      agentHost: '127.0.0.1',
      agentPort: agent.port,
      agentUrl: undefined,
      apmTracingEnabled: false,
      ...changes,
    },
    spans,
  );
}
