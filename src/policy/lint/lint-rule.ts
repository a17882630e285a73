import type { JsonObject } from '../../engine/json.ts';
import type { JsonPath } from '../json-text.ts';
import type { Surroundings } from './surroundings.ts';

/** `error`: a part is not in effect. `warning`: it does nothing, or not what it says. `hint`: worth knowing. */
export type Severity = 'error' | 'warning' | 'hint';

/** Where in a document, and what is the matter. */
export interface Remark {
  readonly path: JsonPath;
  readonly text: string;
}

/** A configuration that is looked at. */
export interface Subject {
  /** Its place in the order that decides between equals; unique. */
  readonly path: string;
  readonly content: JsonObject;
  /** What all configurations together define. */
  readonly around: Surroundings;
  /** In seconds since 1970. */
  readonly now: number;
}

/** One kind of mistake: what parses, and refers to nothing. */
export interface LintRule {
  /** Stable: people look it up in docs/policy.md. */
  readonly id: string;
  readonly severity: Severity;
  /** For docs/policy.md: what it finds, and what becomes of that. */
  readonly about: string;
  /** Looked for in what Remote Config delivers, too: there, applications are steered by the same configurations. */
  readonly remote: boolean;
  find(subject: Subject): Iterable<Remark>;
}
