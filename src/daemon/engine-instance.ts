import { packageVersion } from '../config/package-info.ts';
import { heartbeatIntervalMs } from '../datadog/span-trace.ts';
import { type DatadogTracing, startDatadogTracing } from '../datadog/tracing.ts';
import type { BlockPages } from '../engine/block-page.ts';
import { DeferredInspector } from '../engine/deferred-inspector.ts';
import { Engine } from '../engine/engine.ts';
import type { Inspector } from '../engine/inspector.ts';
import { RateLimiter } from '../engine/rate-limiter.ts';
import { Waf } from '../engine/waf/waf.ts';
import { DoorMetrics } from '../ops/door-metrics.ts';
import type { Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import { securityLog } from '../ops/security-log.ts';
import { Handlers } from '../workers/handlers.ts';
import type { HandlerServices } from './door.ts';
import { loadQueryObfuscator } from './engine-files.ts';
import { type AnyDoor, type Config, serviceOf } from './settings.ts';
import type { SharedLimits } from './shared-limits.ts';

export interface EngineInstanceOptions {
  readonly config: Config;
  readonly waf: Waf;
  readonly pages: BlockPages;
  readonly owner: HandlerServices['owner'];
  /** The doors that are open. The place of a door is its number. */
  readonly open: readonly AnyDoor[];
  /** Live transactions of this engine. */
  readonly maxLiveTransactions: number;
  readonly limits: SharedLimits;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of the Remote Config client, when there is one. */
  readonly remoteConfigClientId: string | undefined;
}

/** One engine with all that it needs: in the I/O thread, or one in each engine thread. */
export interface EngineInstance {
  readonly engine: Engine;
  readonly handlers: Handlers;
  /** Ends all transactions and sends the last spans. */
  drain(): Promise<void>;
}

/** What may wait for its analysis in observability mode; see docs/limits.md. */
export const backlogBounds = { messages: 2000, bytes: 16 * 1024 * 1024 } as const;

export async function createEngineInstance(options: EngineInstanceOptions): Promise<EngineInstance> {
  const { config, logger } = options;
  const tracing = config.tracingEnabled ? await startTracing(options) : undefined;
  const engine = createEngine(options, tracing);
  const inspectors: Inspector[] = [];
  const metricsOfDoors = options.open.map((door) => metricsOf(options.metrics, door, config));
  const handlers = await Promise.all(
    metricsOfDoors.map(async (metrics, number) => {
      const door = doorAt(options.open, number);
      const inspector = createInspector(options, engine, door, metrics);
      inspectors.push(inspector);
      const { pages, owner } = options;
      const { transactionTimeoutMs } = config;
      const services = { inspector, pages, logger, metrics, owner, transactionTimeoutMs };
      return (await door.loadHandler()).createHandler(config, services);
    }),
  );
  return {
    engine,
    handlers: new Handlers(handlers, (door, cause) => {
      metricsOfDoors[door]?.error('internal');
      logger.error({ err: cause }, 'a message could not be analysed: please report this');
    }),
    async drain() {
      for (const inspector of inspectors) {
        inspector.releaseAll();
        // Messages that still come have their turn in between, and the thread does not look stuck.
        while (inspector.workOnBacklog()) await new Promise((resolve) => setImmediate(resolve));
      }
      engine.drain();
      await tracing?.flush();
    },
  };
}

export function doorAt(open: readonly AnyDoor[], number: number): AnyDoor {
  const door = open[number];
  if (door === undefined) throw new RangeError(`no door has the number ${number}`);
  return door;
}

export function metricsOf(metrics: Metrics, door: AnyDoor, config: Config): DoorMetrics {
  return new DoorMetrics(metrics, door.traits(config).name, door.messages);
}

/** Doors that only report are answered before the analysis, by their engine or by themselves. */
function createInspector(
  { config, logger }: EngineInstanceOptions,
  engine: Engine,
  door: AnyDoor,
  metrics: DoorMetrics,
): Inspector {
  const traits = door.traits(config);
  if (!traits.reportOnly || door.nobodyWaits === true) return engine.through(traits);
  return new DeferredInspector(engine, traits, backlogBounds, {
    skipped: () => metrics.skipped('overload'),
    failed(cause) {
      metrics.error('internal');
      logger.error({ err: cause }, 'a message could not be inspected: please report this');
    },
  });
}

function createEngine(
  { config, waf, maxLiveTransactions, limits, logger, metrics }: EngineInstanceOptions,
  tracing: DatadogTracing | undefined,
): Engine {
  return new Engine({
    waf,
    wafTimeoutUs: config.wafTimeoutUs,
    bodyLimitBytes: config.bodyLimitBytes,
    maxDecompressedBytes: config.maxDecompressedBytes,
    clientIpHeader: config.clientIpHeader,
    maxLiveTransactions,
    reportLimiter: new RateLimiter(config.reportsPerSecond, 1000, limits.reports),
    schemaSampler: new RateLimiter(
      config.apiSecurityEnabled ? config.schemasPerMinute : 0,
      60_000,
      limits.schemas,
    ),
    ...(tracing === undefined ? {} : { tracer: tracing.tracer }),
    observers: [metrics.observer(), securityLog(logger, loadQueryObfuscator(config))],
    failed(cause) {
      metrics.error('internal');
      logger.error({ err: cause }, 'a transaction could not be reported: please report this');
    },
  });
}

function startTracing({
  config,
  waf,
  limits,
  remoteConfigClientId,
}: EngineInstanceOptions): Promise<DatadogTracing> {
  const service = serviceOf(config);
  return startDatadogTracing(
    { ...config, service, version: config.version ?? packageVersion },
    {
      serviceOf: ({ defaultService }) =>
        config.service === undefined && defaultService !== service ? defaultService : undefined,
      queryObfuscator: loadQueryObfuscator(config),
      queryDisabled: config.queryStringDisabled,
      queryAllowlist: config.queryStringAllowlist,
      isErrorStatus: (status) =>
        config.errorStatuses.some(([lowest, highest]) => status >= lowest && status <= highest),
      clientIpHeader: config.clientIpHeader,
      waf: () => ({
        libraryVersion: Waf.libraryVersion,
        rulesetVersion: waf.rulesetVersion,
        generation: waf.generation,
      }),
      remoteConfigClientId: () => remoteConfigClientId,
      heartbeat: new RateLimiter(1, heartbeatIntervalMs, limits.heartbeat),
      announced: limits.announced,
    },
  );
}
