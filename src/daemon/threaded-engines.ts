import { AggregatorRegistry } from 'prom-client';
import { StartError } from '../config/errors.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import { messageOf } from '../message-of.ts';
import { EngineThreads, type EngineThreadsObserver } from '../workers/engine-threads.ts';
import { endSafelyWith } from './end-process.ts';
import { createBlockPages, type PageFiles } from './engine-files.ts';
import type { Engines, EnginesOptions } from './engines.ts';
import { createSharedLimits } from './shared-limits.ts';
import type { EngineThreadData, FromThread, ToThread } from './thread-messages.ts';
import { ThreadMetrics } from './thread-metrics.ts';

/** @throws StartError when a block page can never be shown, or no thread can be started. */
export async function startThreads(options: EnginesOptions, count: number): Promise<Engines> {
  // Refused here, once, and not by every thread.
  createBlockPages(options.config, options.files, options.open);
  const engines = new ThreadedEngines(options, count);
  try {
    await engines.start();
  } catch (cause) {
    throw new StartError(messageOf(cause), { cause });
  }
  return engines;
}

/** A thread that has messages and gets on with nothing is stuck after so long, and the time of a run of the WAF. */
const stuckBeyondWafMs = 5000;

/** An engine in each thread. Their current state is kept, for threads that replace others. */
class ThreadedEngines implements Engines {
  readonly threads: number;
  readonly jobs: EngineThreads;
  readonly #options: EnginesOptions;
  readonly #metrics: ThreadMetrics;
  readonly #limits = createSharedLimits();
  readonly #drained: readonly PromiseWithResolvers<void>[];
  #pageFiles: PageFiles;
  #enabled = true;
  #draining = false;

  constructor(options: EnginesOptions, count: number) {
    this.threads = count;
    this.#options = options;
    this.#pageFiles = options.files;
    this.#drained = Array.from({ length: count }, () => Promise.withResolvers<void>());
    this.#metrics = new ThreadMetrics(count, (index, request) =>
      this.#tell(index, { kind: 'metrics', request }),
    );
    const dataOf = (): EngineThreadData => this.#threadData();
    // A run of the WAF may take its whole time: that is not stuck.
    const stuckMs = stuckBeyondWafMs + options.config.wafTimeoutUs / 1000;
    this.jobs = new EngineThreads(
      { count, entry: entryFile(), dataOf, environmentOf, stuckMs },
      this.#observer(),
    );
    options.metrics.gauge(
      'engine_threads_abandoned',
      'Engine threads that were given up inside libddwaf and have not ended.',
      () => this.jobs.abandonedThreads,
    );
    endSafelyWith(this.jobs);
  }

  /** @throws EngineThreadError */
  async start(): Promise<void> {
    await this.jobs.start();
  }

  get liveTransactions(): number {
    return this.jobs.liveTransactions;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  set enabled(value: boolean) {
    this.#enabled = value;
    this.#tellAll({ kind: 'enabled', value });
  }

  get inEffect(): readonly WafConfig[] {
    return this.#options.loaded.configs.inEffect;
  }

  apply(change: WafConfigChange): WafConfigOutcome[] {
    const outcomes = this.#options.loaded.configs.apply(change);
    this.#tellAll({ kind: 'policy', change });
    return outcomes;
  }

  replacePages(files: PageFiles): void {
    createBlockPages(this.#options.config, files, this.#options.open);
    this.#pageFiles = files;
    this.#tellAll({ kind: 'pages', files });
  }

  async metricsText(): Promise<string> {
    const snapshots = await this.#metrics.collect(this.jobs);
    const own = await this.#options.metrics.registry.getMetricsAsJSON();
    // prom-client leaves out what cannot be added up; of the process there is only one.
    const shown = own.map((metric) =>
      metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' as const } : metric,
    );
    return await AggregatorRegistry.aggregate([shown, ...snapshots]).metrics();
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#tellAll({ kind: 'drain' });
    const ready = this.#drained.filter((_, index) => this.jobs.isReady(index));
    await Promise.all(ready.map(({ promise }) => promise));
    await this.jobs.stop();
  }

  #tell(index: number, message: ToThread): void {
    this.jobs.post(index, message);
  }

  #tellAll(message: ToThread): void {
    this.jobs.broadcast(message);
  }

  #threadData(): EngineThreadData {
    const { config, files, loaded, instance, remoteConfigClientId } = this.#options;
    return {
      config,
      instance,
      rulesSource: files.rulesSource,
      ruleset: files.ruleset,
      pages: this.#pageFiles.pages,
      servicePages: this.#pageFiles.servicePages,
      configs: loaded.configs.snapshot(),
      enabled: this.#enabled,
      maxLiveTransactions: Math.ceil(config.maxLiveTransactions / this.threads),
      limits: this.#limits,
      remoteConfigClientId,
    };
  }

  #observer(): EngineThreadsObserver {
    const { destination, metrics, logger } = this.#options;
    return {
      message: (index, message) => {
        const said = message as FromThread;
        if (said.kind === 'log') destination.write(said.line);
        else if (said.kind === 'metrics') this.#metrics.answered(index, said.request, said.metrics);
        else this.#drained[index]?.resolve();
      },
      lost: (index, { jobs, transactions, cause, inNativeCode }) => {
        metrics.engineThreadsLost.inc();
        metrics.transactions.inc({ reason: 'lost' }, transactions);
        this.#metrics.retire(index);
        // Nothing is left of it to be waited for.
        if (this.#draining) this.#drained[index]?.resolve();
        logger.error(
          { thread: index, messages: jobs, transactions, inLibddwaf: inNativeCode, err: cause },
          'an engine thread ended: its messages are let through, and it is being replaced',
        );
      },
      replaced: (index) => logger.warn({ thread: index }, 'engine thread replaced'),
      notReplaced: (index, abandoned) =>
        logger.error(
          { thread: index, abandoned },
          'engine thread not replaced: too many that were given up are still inside libddwaf; to get all threads back, restart appsec-edge',
        ),
    };
  }
}

/** Beside this file, compiled or not. */
function entryFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./engine-thread-main.${extension}`, import.meta.url);
}

/** dd-trace's telemetry about the process only needs to be sent by one thread. */
function environmentOf(index: number): NodeJS.ProcessEnv {
  return index === 0 ? { ...process.env } : { ...process.env, DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' };
}
