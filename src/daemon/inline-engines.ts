import type { BlockPages } from '../engine/block-page.ts';
import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import { InlineEngine } from '../workers/inline-engine.ts';
import type { JobTaker } from '../workers/jobs.ts';
import { createBlockPages, type PageFiles } from './engine-files.ts';
import { createEngineInstance, type EngineInstance } from './engine-instance.ts';
import type { Engines, EnginesOptions } from './engines.ts';
import { createSharedLimits } from './shared-limits.ts';

/** @throws StartError when a block page can never be shown. */
export async function startInline(options: EnginesOptions): Promise<Engines> {
  const { config, files, loaded, instance, open } = options;
  const pages = createBlockPages(config, files, open);
  const host = await createEngineInstance({
    ...options,
    waf: loaded.waf,
    pages,
    owner: { instance, thread: 0 },
    maxLiveTransactions: config.maxLiveTransactions,
    limits: createSharedLimits(),
  });
  return new InlineEngines(options, host, pages);
}

/** One engine, in the I/O thread itself. */
class InlineEngines implements Engines {
  readonly threads = 0;
  readonly jobs: JobTaker;
  readonly #options: EnginesOptions;
  readonly #host: EngineInstance;
  readonly #pages: BlockPages;

  constructor(options: EnginesOptions, host: EngineInstance, pages: BlockPages) {
    this.#options = options;
    this.#host = host;
    this.#pages = pages;
    this.jobs = new InlineEngine(host.handlers);
  }

  get liveTransactions(): number {
    return this.#host.engine.liveTransactions;
  }

  get enabled(): boolean {
    return this.#host.engine.enabled;
  }

  set enabled(value: boolean) {
    this.#host.engine.enabled = value;
  }

  get inEffect(): readonly WafConfig[] {
    return this.#options.loaded.configs.inEffect;
  }

  apply(change: WafConfigChange): WafConfigOutcome[] {
    return this.#options.loaded.configs.apply(change);
  }

  replacePages(files: PageFiles): void {
    createBlockPages(this.#options.config, files, this.#options.open);
    this.#pages.replace(files.pages, files.servicePages);
  }

  async metricsText(): Promise<string> {
    return await this.#options.metrics.registry.metrics();
  }

  async drain(): Promise<void> {
    await this.#host.drain();
  }
}
