/** Why no WAF could be made. `source` names the ruleset: a file, or where it came from. */
export class RulesetError extends Error {
  override readonly name = 'RulesetError';
  readonly source: string;

  constructor(source: string, reason: string, options?: ErrorOptions) {
    super(`ruleset ${source}: ${reason}`, options);
    this.source = source;
  }
}
