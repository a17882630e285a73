import { readFileSync } from 'node:fs';

/** From package.json, which is beside both src/ and dist/. */
export const packageVersion = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
