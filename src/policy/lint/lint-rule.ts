import type { JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';
import type { Surroundings } from './surroundings.ts';

/** `error`: a part is not in effect. `warning`: it does nothing, or not what it seems to. `hint`: worth knowing. */
export type Severity = 'error' | 'warning' | 'hint';

/** A place in a document, and what is wrong there. */
export interface Remark {
  readonly path: JsonPath;
  readonly text: string;
}

/** The configuration to check. */
export interface Subject {
  /** Its place in the order that decides between equals; unique. */
  readonly path: string;
  readonly content: JsonObject;
  /** What all configurations together define. */
  readonly around: Surroundings;
  /** In seconds since 1970. */
  readonly now: number;
}

/** One kind of mistake in a configuration that parses. */
export interface LintRule {
  /** Stable: people look it up in docs/policy.md. */
  readonly id: string;
  readonly severity: Severity;
  /** For docs/policy.md: what it finds, and the effect. */
  readonly about: string;
  /** Also applies to Remote Config, whose configurations are written for applications as well. */
  readonly remote: boolean;
  find(subject: Subject): Iterable<Remark>;
}
