import type { Line } from './parse.ts';
import type { Setup } from './setup.ts';

/** `error`: no protection, or HAProxy does not start. `warning`: traffic or verdicts suffer. `hint`: worth knowing. */
export type Severity = 'error' | 'warning' | 'hint';

export interface Issue {
  readonly line: Pick<Line, 'file' | 'number'>;
  /** What was found or is missing; the rule adds the reason. */
  readonly what: string;
}

export interface Rule {
  /** Stable: people look it up in docs/check.md. */
  readonly id: string;
  readonly severity: Severity;
  readonly why: string;
  readonly remedy: string;
  find(setup: Setup): Iterable<Issue>;
}
