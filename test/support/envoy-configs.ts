// Configurations of Envoy as operators have them: test/fixtures/envoy-configs. expected.txt says what `appsec-edge check`
// must find, and in which line.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkEnvoyFiles } from '../../src/cli/check/envoy/run.ts';
import type { SourceFile } from '../../src/cli/check/parse.ts';

const root = join(import.meta.dirname, '..', 'fixtures', 'envoy-configs');

/** What `envoy --mode validate` does; `unasked` for what Envoy cannot load by itself. */
export type EnvoySays = 'quiet' | 'warns' | 'refuses' | 'unasked';

export const envoyConfigNames = readdirSync(root).sort();

export function envoyConfigFiles(name: string): SourceFile[] {
  const files = readdirSync(join(root, name)).filter((file) => /\.(yaml|json)$/.test(file));
  return files.sort().map((file) => ({ path: file, text: readFileSync(join(root, name, file), 'utf8') }));
}

/** Lines of expected.txt: `file:line severity rule`, and `envoy quiet`. */
export function expectedOfEnvoy(name: string): { findings: string[]; envoy: EnvoySays } {
  const lines = readFileSync(join(root, name, 'expected.txt'), 'utf8')
    .trimEnd()
    .split('\n');
  const findings = lines.filter((line) => !line.startsWith('#') && !line.startsWith('envoy '));
  const says = lines.find((line) => line.startsWith('envoy '))?.slice('envoy '.length);
  const all: readonly EnvoySays[] = ['quiet', 'warns', 'refuses', 'unasked'];
  const envoy = all.find((known) => known === says);
  if (envoy === undefined) throw new Error(`${name}/expected.txt does not say what Envoy does`);
  return { findings, envoy };
}

/** In the form of expected.txt. */
export function foundInEnvoy(name: string): string[] {
  const settings = { bodyLimitBytes: 1_000_000, wafTimeoutUs: 10_000 };
  return checkEnvoyFiles(envoyConfigFiles(name), settings).map(
    ({ file, line, severity, rule }) => `${file}:${line} ${severity} ${rule}`,
  );
}
