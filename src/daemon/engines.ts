import type { WafConfig, WafConfigChange, WafConfigOutcome } from '../engine/waf/waf-configs.ts';
import type { LogDestination, Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { JobTaker } from '../workers/jobs.ts';
import type { EngineFiles, LoadedWaf, PageFiles } from './engine-files.ts';
import type { AnyDoor, Config } from './settings.ts';

export interface EnginesOptions {
  readonly config: Config;
  /** The doors that are open. The place of a door is its number. */
  readonly open: readonly AnyDoor[];
  readonly files: EngineFiles;
  /** Of the I/O thread: reports errors in a change of the rules, and inspects traffic if there are 0 threads. */
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
  /** Off: every message is let through uninspected. */
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
  /** Ends all transactions and sends the last spans. */
  drain(): Promise<void>;
}
