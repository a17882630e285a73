import type { Issue, Severity } from '../rule.ts';
import type { EnvoySetup } from './setup.ts';

/** As `Rule` for HAProxy. `error`: no protection, or Envoy does not start. `warning`: traffic or verdicts suffer. */
export interface EnvoyRule {
  /** Stable: people look it up in docs/check.md. */
  readonly id: string;
  readonly severity: Severity;
  readonly why: string;
  readonly remedy: string;
  find(setup: EnvoySetup): Iterable<Issue>;
}
