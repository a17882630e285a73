import { AggregatorRegistry } from 'prom-client';
import type { Engine } from '../engine/engine.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import type { LogDestination, Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import { EngineThreads } from '../workers/engine-threads.ts';
import { InlineEngine } from '../workers/inline-engine.ts';
import type { JobTaker } from '../workers/jobs.ts';
import { createEngineHost, type EngineHost } from './engine-host.ts';
import {
  createBlockPages,
  type EngineFiles,
  type LoadedWaf,
  type PageFiles,
  StartError,
} from './load-engine.ts';
import { usableProcessors } from './processors.ts';
import type { Config } from './settings.ts';
import { createSharedLimits } from './shared-limits.ts';
import type { EngineThreadData, FromThread, ToThread } from './thread-messages.ts';
import { ThreadMetrics } from './thread-metrics.ts';

export interface EnginesOptions {
  readonly config: Config;
  readonly files: EngineFiles;
  /** Of the I/O thread: says what is wrong with a change of the rules, and with 0 threads it analyses. */
  readonly loaded: LoadedWaf;
  readonly instance: string;
  readonly logger: Logger;
  readonly destination: LogDestination;
  readonly metrics: Metrics;
  readonly remoteConfigClientId: string | undefined;
}

/** All engines of this process, wherever they run. */
export interface Engines {
  readonly jobs: JobTaker;
  readonly threads: number;
  readonly liveTransactions: number;
  /** Off: every message is let through unseen. */
  enabled: boolean;
  /** Takes a change of the rules into effect, in every engine. */
  apply(change: WafConfigChange): WafConfigOutcome[];
  /** Rulesets and all other configurations that are in effect. */
  readonly inEffect: readonly WafConfig[];
  /**
   * Takes other block pages into effect, in every engine.
   * @throws StartError when one can never fit into a frame; then nothing changes.
   */
  replacePages(files: PageFiles): void;
  /** What /metrics shows. */
  metricsText(): Promise<string>;
  /** Ends what is under way and sends the last spans. */
  drain(): Promise<void>;
}

/** More than this, the one I/O thread could hardly feed. */
const mostThreads = 8;

/** @throws StartError or RulesetError. */
export async function startEngines(options: EnginesOptions): Promise<Engines> {
  const { engineThreads } = options.config;
  const count =
    engineThreads === 'auto' ? threadsFor(usableProcessors(), process.constrainedMemory()) : engineThreads;
  return count === 0 ? await startInline(options) : await startThreads(options, count);
}

/** Of the process without engine threads, and of each of them, under load: see docs/performance.md. */
const baseBytes = 150 * 1024 * 1024;
const threadBytes = 110 * 1024 * 1024;

/**
 * @param processors that the process may use.
 * @param memoryBytes that its control group allows; 0 when nothing does.
 */
export function threadsFor(processors: number, memoryBytes: number): number {
  if (processors < 2) return 0;
  const affordable = memoryBytes === 0 ? mostThreads : Math.floor((memoryBytes - baseBytes) / threadBytes);
  return Math.max(0, Math.min(processors, mostThreads, affordable));
}

async function startInline(options: EnginesOptions): Promise<Engines> {
  const { config, files, loaded, instance, metrics } = options;
  const pages = createBlockPages(config, files);
  const host: EngineHost = await createEngineHost({
    ...options,
    waf: loaded.waf,
    pages,
    owner: { instance, thread: 0 },
    maxLiveTransactions: config.maxLiveTransactions,
    limits: createSharedLimits(),
  });
  const { engine }: { engine: Engine } = host;
  return {
    jobs: new InlineEngine(host.jobs),
    threads: 0,
    get liveTransactions() {
      return engine.liveTransactions;
    },
    get enabled() {
      return engine.enabled;
    },
    set enabled(value) {
      engine.enabled = value;
    },
    apply: (change) => loaded.configs.apply(change),
    get inEffect() {
      return loaded.configs.inEffect;
    },
    replacePages(changed) {
      createBlockPages(config, changed);
      pages.replace(changed.pages, changed.servicePages);
    },
    metricsText: () => metrics.registry.metrics(),
    drain: () => host.drain(),
  };
}

async function startThreads(options: EnginesOptions, count: number): Promise<Engines> {
  const { config, files, loaded, instance, logger, destination, metrics, remoteConfigClientId } = options;
  // Refused here, once, and not by every thread.
  createBlockPages(config, files);
  let pageFiles: PageFiles = files;
  const limits = createSharedLimits();
  const collected = new ThreadMetrics(count, (index, request) => tell(index, { kind: 'metrics', request }));
  const drained = Array.from({ length: count }, () => Promise.withResolvers<void>());
  let enabled = true;
  let draining = false;
  const threads = new EngineThreads(
    {
      count,
      entry: entryFile(),
      dataOf: (): EngineThreadData => ({
        config,
        instance,
        rulesSource: files.rulesSource,
        ruleset: files.ruleset,
        pages: pageFiles.pages,
        servicePages: pageFiles.servicePages,
        configs: loaded.configs.snapshot(),
        enabled,
        maxLiveTransactions: Math.ceil(config.maxLiveTransactions / count),
        limits,
        remoteConfigClientId,
      }),
      environmentOf,
    },
    {
      message(index, message) {
        const said = message as FromThread;
        if (said.kind === 'log') destination.write(said.line);
        else if (said.kind === 'metrics') collected.answered(index, said.request, said.metrics);
        else drained[index]?.resolve();
      },
      lost(index, { jobs, transactions, cause }) {
        metrics.engineThreadsLost.inc();
        metrics.transactions.inc({ reason: 'lost' }, transactions);
        collected.retire(index);
        // Nothing is left of it to be waited for.
        if (draining) drained[index]?.resolve();
        logger.error(
          { thread: index, messages: jobs, transactions, err: cause },
          'an engine thread ended: its messages are let through, it is replaced',
        );
      },
      replaced: (index) => logger.warn({ thread: index }, 'engine thread replaced'),
    },
  );
  const tell = (index: number, message: ToThread): void => threads.post(index, message);
  const tellAll = (message: ToThread): void => threads.broadcast(message);
  try {
    await threads.start();
  } catch (cause) {
    throw new StartError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return {
    jobs: threads,
    threads: count,
    get liveTransactions() {
      return threads.liveTransactions;
    },
    get enabled() {
      return enabled;
    },
    set enabled(value) {
      enabled = value;
      tellAll({ kind: 'enabled', value });
    },
    apply(change) {
      const outcomes = loaded.configs.apply(change);
      tellAll({ kind: 'policy', change });
      return outcomes;
    },
    get inEffect() {
      return loaded.configs.inEffect;
    },
    replacePages(changed) {
      createBlockPages(config, changed);
      pageFiles = changed;
      tellAll({ kind: 'pages', files: changed });
    },
    async metricsText() {
      const snapshots = await collected.collect(threads);
      const own = await metrics.registry.getMetricsAsJSON();
      // prom-client leaves out what cannot be added up; of the process there is only one.
      const shown = own.map((metric) =>
        metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' as const } : metric,
      );
      return await AggregatorRegistry.aggregate([shown, ...snapshots]).metrics();
    },
    async drain() {
      draining = true;
      tellAll({ kind: 'drain' });
      const ready = drained.filter((_, index) => threads.isReady(index));
      await Promise.all(ready.map(({ promise }) => promise));
      await threads.stop();
    },
  };
}

/** Beside this file, compiled or not. */
function entryFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./engine-thread-main.${extension}`, import.meta.url);
}

/** What dd-trace tells Datadog about the process as a whole needs to be told by one thread only. */
function environmentOf(index: number): NodeJS.ProcessEnv {
  return index === 0 ? { ...process.env } : { ...process.env, DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' };
}
