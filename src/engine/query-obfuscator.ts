import { decodePercent } from './query.ts';

const redacted = '<redacted>';

/** A parameter with an escape in its name. */
const escapedName = /[^&=%]*%[^&=]*=[^&]*/g;

/** Hides secrets in the query of a request target before it reaches a log or a span. */
export class QueryObfuscator {
  readonly #pattern: RegExp | undefined;

  /** @param pattern JavaScript regular expression, applied without regard to case; empty: nothing is hidden. */
  constructor(pattern: string) {
    this.#pattern = pattern === '' ? undefined : new RegExp(pattern.replace(/^\(\?i\)/, ''), 'gi');
  }

  obfuscate(target: string): string {
    const queryStart = target.indexOf('?');
    if (queryStart === -1 || this.#pattern === undefined) return target;
    const query = target.slice(queryStart + 1);
    const readable = query.includes('%') ? this.#hideByName(query) : query;
    return target.slice(0, queryStart + 1) + readable.replace(this.#pattern, redacted);
  }

  /** The pattern is applied to the decoded name, because a server decodes it as well. */
  #hideByName(query: string): string {
    return query.replace(escapedName, (pair) => {
      const equals = pair.indexOf('=');
      const plain = decodePercent(pair.slice(0, equals)) + pair.slice(equals);
      return plain.replace(this.#pattern ?? '', redacted) === plain ? pair : redacted;
    });
  }
}
