import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { BlockPageTemplates } from '../engine/block-page.ts';
import type { Ruleset } from '../engine/waf/waf.ts';
import type { WafConfig, WafConfigChange } from '../engine/waf/waf-configs.ts';
import type { PageFiles } from './engine-files.ts';
import type { Config } from './settings.ts';
import type { SharedLimits } from './shared-limits.ts';

/** What an engine thread starts with: plain data and shared memory. */
export interface EngineThreadData {
  readonly config: Config;
  readonly instance: string;
  readonly rulesSource: string;
  readonly ruleset: Ruleset;
  readonly pages: BlockPageTemplates;
  readonly servicePages: ReadonlyMap<string, BlockPageTemplates>;
  /** In effect when the thread starts, in the order to apply them. */
  readonly configs: readonly WafConfig[];
  readonly enabled: boolean;
  readonly maxLiveTransactions: number;
  readonly limits: SharedLimits;
  readonly remoteConfigClientId: string | undefined;
}

/** From the I/O thread, beside wake-ups. */
export type ToThread =
  | { readonly kind: 'policy'; readonly change: WafConfigChange }
  | { readonly kind: 'enabled'; readonly value: boolean }
  | { readonly kind: 'pages'; readonly files: PageFiles }
  | { readonly kind: 'metrics'; readonly request: number }
  | { readonly kind: 'drain' };

/** From an engine thread, beside wake-ups and `ready`. */
export type FromThread =
  /** A line of the log, as JSON. */
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'metrics'; readonly request: number; readonly metrics: MetricsSnapshot }
  | { readonly kind: 'drained' };

export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];
