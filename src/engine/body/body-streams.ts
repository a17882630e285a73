import type { BodyChunk } from '../http.ts';
import { BodyCollector } from './body-collector.ts';

export type BodyPhase = 'request-body' | 'response-body';

/** The two bodies of one transaction, collected until they are inspected. */
export class BodyStreams {
  readonly #limitBytes: number;
  readonly #collectors: Partial<Record<BodyPhase, BodyCollector>> = {};

  /** @param limitBytes of each body; what lies beyond is not kept. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The body, once, as soon as as much of it has come as is inspected. Undefined before and afterwards. */
  push(phase: BodyPhase, chunk: BodyChunk): BodyChunk | undefined {
    return this.#collectorFor(phase).push(chunk);
  }

  /** Whether more of this body would be inspected if it came. */
  wantsMore(phase: BodyPhase): boolean {
    return this.#collectors[phase]?.done !== true;
  }

  /** What has come of bodies that were not inspected yet, because their end is missing. Each is handed out once. */
  takeUnfinished(): (readonly [phase: BodyPhase, body: BodyChunk])[] {
    return (['request-body', 'response-body'] as const).flatMap((phase) => {
      const collector = this.#collectors[phase];
      return collector?.pending === true ? [[phase, collector.take(false)] as const] : [];
    });
  }

  /** A chunk that follows the end of a body begins another body. */
  #collectorFor(phase: BodyPhase): BodyCollector {
    const found = this.#collectors[phase];
    if (found !== undefined && !found.ended) return found;
    const collector = new BodyCollector(this.#limitBytes);
    this.#collectors[phase] = collector;
    return collector;
  }
}
