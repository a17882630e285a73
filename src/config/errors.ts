/** A setting has a value that is not allowed. The message names it, the value (but for a secret) and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The process cannot start: a file, an address or a combination of settings. The message names it and the remedy. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
