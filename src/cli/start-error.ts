/** A file that a setting names cannot be used. The message names setting, file and reason. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
