// Configurations as operators have them, around the shipped files: test/fixtures/haproxy-configs. A line
// `#@ frontend-config.cfg` stands for that file pasted there; expected.txt says what must be found, and in which line.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkFiles } from '../../src/cli/check/run.ts';

const repository = join(import.meta.dirname, '..', '..');
const root = join(repository, 'test', 'fixtures', 'haproxy-configs');

export const configVersions = ['2.6', '2.8', '3.0', '3.2'] as const;
export type ConfigVersion = (typeof configVersions)[number];

/** What `haproxy -c` does: nothing to say, warnings, or no start. */
export type HaproxySays = 'quiet' | 'warns' | 'refuses';

export interface FixtureFile {
  readonly name: string;
  readonly text: string;
  /** The line of the fixture that each line of `text` comes from. */
  readonly origins: readonly number[];
}

export const configNames = readdirSync(root).sort();

/** In the order in which HAProxy loads a folder. */
export function configFiles(name: string): FixtureFile[] {
  return readdirSync(join(root, name))
    .filter((file) => file.endsWith('.cfg'))
    .sort()
    .map((file) => pasted(file, readFileSync(join(root, name, file), 'utf8')));
}

/** Variables that the fixtures and the shipped files read; certificates are for who starts HAProxy. */
export function configEnvironment(name: string): Record<string, string> {
  return {
    FIXTURE: join(root, name),
    DD_SPOA_SPOA_CONF_FILE: join(repository, 'haproxyconf', 'spoe.cfg'),
    DD_SPOA_LUA_FILE: join(repository, 'lua', 'datadog_aap_blocking_response.lua'),
  };
}

/** Lines of expected.txt: `file:line severity rule`, and `haproxy quiet`; versions follow where they differ. */
export function expectedOf(
  name: string,
  version: ConfigVersion,
): { findings: string[]; haproxy: HaproxySays } {
  const findings: string[] = [];
  let haproxy: HaproxySays | undefined;
  for (const line of readFileSync(join(root, name, 'expected.txt'), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const words = line.split(' ');
    const length = words[0] === 'haproxy' ? 2 : 3;
    const versions = words.slice(length);
    if (versions.length > 0 && !versions.includes(version)) continue;
    if (words[0] !== 'haproxy') findings.push(words.slice(0, length).join(' '));
    else if (words[1] === 'quiet' || words[1] === 'warns' || words[1] === 'refuses') haproxy = words[1];
  }
  if (haproxy === undefined)
    throw new Error(`${name}/expected.txt does not say what HAProxy ${version} does`);
  return { findings, haproxy };
}

/** What `appsec-edge check` finds, in the form of expected.txt. */
export function foundIn(name: string, version: ConfigVersion): string[] {
  const files = configFiles(name);
  const findings = checkFiles(
    {
      files: files.map(({ name: path, text }) => ({ path, text })),
      spoe: undefined,
      environment: new Map(Object.entries(configEnvironment(name))),
      settings: { bodyLimitBytes: 0, wafTimeoutUs: 10_000, maxFrameSizeBytes: 131_072 },
      readFile: (path) => readFileSync(path, 'utf8'),
    },
    [version],
  );
  return findings.map(({ file, line, severity, rule }) => {
    const origin = files.find(({ name: path }) => path === file)?.origins[line - 1] ?? line;
    return `${file}:${origin} ${severity} ${rule}`;
  });
}

function pasted(name: string, text: string): FixtureFile {
  const lines: string[] = [];
  const origins: number[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const shipped = /^#@ (\S+)$/.exec(line)?.[1];
    const added =
      shipped === undefined
        ? [line]
        : readFileSync(join(repository, 'haproxyconf', shipped), 'utf8').split('\n');
    lines.push(...added);
    origins.push(...added.map(() => index + 1));
  }
  return { name, text: lines.join('\n'), origins };
}
