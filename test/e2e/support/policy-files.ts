// Policy folders for tests, and files that come into them as docs/policy.md asks for.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Removed after the tests of the surrounding `describe`. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-policy-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A finished file, renamed into the folder; its path. */
export function put(folder: string, name: string, content: unknown): string {
  const file = join(folder, name);
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  writeFileSync(join(folder, `.${name}`), text);
  renameSync(join(folder, `.${name}`), file);
  return file;
}
