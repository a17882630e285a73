/**
 * What was thrown, in words; a caught value need not be an Error. An attempt to connect to several addresses fails with
 * an AggregateError whose own message is empty: the first of its errors says why. Every folder may import this file.
 */
export function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '' && cause.errors.length > 0) {
    return messageOf(cause.errors[0]);
  }
  return cause instanceof Error && cause.message !== '' ? cause.message : String(cause);
}
