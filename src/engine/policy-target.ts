import type { WafConfigChange, WafConfigOutcome } from './waf/waf-configs.ts';

/** What a source of policy (a folder, Remote Config) acts on. */
export interface PolicyTarget {
  /** Takes a whole change into effect. An outcome for each of its paths, and for others whose outcome it changed. */
  apply(change: WafConfigChange): readonly WafConfigOutcome[];
  /** Switches inspection on or off; undefined: this source does not decide. */
  activate(enabled: boolean | undefined): void;
}
