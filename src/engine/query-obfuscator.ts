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
    return (
      target.slice(0, queryStart + 1) + target.slice(queryStart + 1).replace(this.#pattern, '<redacted>')
    );
  }
}
