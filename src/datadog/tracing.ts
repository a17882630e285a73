import type { Tracer } from '../engine/trace.ts';
import type { AgentAddress } from './agent-http.ts';
import { flushSpans } from './dd-trace-package.ts';
import { type SpanSettings, SpanTracer } from './span-trace.ts';

export interface DatadogSettings extends AgentAddress {
  readonly service: string;
  readonly environment: string | undefined;
  readonly version: string;
  readonly apmTracingEnabled: boolean;
}

export interface DatadogTracing {
  readonly tracer: Tracer;
  /** Sends all finished spans, before the process exits. */
  flush(): Promise<void>;
}

/**
 * Starts dd-trace, once a process. It reads its own variables when it is first loaded, therefore the defaults that
 * this agent fixes are written to the environment before: unset or empty ones only, as the original does.
 */
export async function startDatadogTracing(
  settings: DatadogSettings,
  spans: Omit<SpanSettings, 'apmTracingEnabled'>,
): Promise<DatadogTracing> {
  process.env['DD_APM_TRACING_ENABLED'] = String(settings.apmTracingEnabled);
  process.env['DD_TRACE_PROPAGATION_STYLE'] ||= 'datadog';
  process.env['DD_TRACE_STARTUP_LOGS'] ||= 'false';
  // dd-trace must not analyse our own health server, load a second WAF, or poll for rules beside us.
  process.env['DD_APPSEC_ENABLED'] = 'false';
  process.env['DD_REMOTE_CONFIGURATION_ENABLED'] = 'false';
  const { default: tracer } = await import('dd-trace');
  tracer.init({
    service: settings.service,
    ...(settings.environment === undefined ? {} : { env: settings.environment }),
    version: settings.version,
    plugins: false,
    ...(settings.agentUrl === undefined
      ? { hostname: settings.agentHost, port: settings.agentPort }
      : { url: settings.agentUrl }),
  });
  return {
    tracer: new SpanTracer(tracer, { ...spans, apmTracingEnabled: settings.apmTracingEnabled }),
    flush: () => flushSpans(tracer),
  };
}
