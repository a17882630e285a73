import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../../config/errors.ts';
import { messageOf } from '../../message-of.ts';
import { configFrom, withSettings } from '../setting-flags.ts';
import { kindOfFiles } from './kind.ts';
import type { SourceFile } from './parse.ts';
import { checkFiles, everyVersion, type Finding, printFinding } from './run.ts';
import { parseVersion } from './version.ts';

interface CheckFlags extends Record<string, unknown> {
  readonly spoe?: string;
  readonly haproxyVersion?: string;
  readonly json?: boolean;
}

/** The versions to check for, and where they come from. */
interface VersionChoice {
  readonly versions: readonly string[];
  readonly from: string;
}

export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('Check the configuration of HAProxy or Envoy for missing, misplaced or outdated lines.')
    .argument(
      '<files...>',
      'haproxy.cfg and every other file or folder that HAProxy loads (-f), in the same order; or YAML and JSON files of Envoy',
    )
    .option('--spoe <file>', "the SPOE file (default: the one named by 'filter spoe')")
    .option(
      '--haproxy-version <version>',
      `for example 3.2, or all (default: that of 'haproxy -v', else ${everyVersion.join(', ')})`,
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit code 0: no findings, or only hints; 1: errors or warnings; 2: the check could not run.
Variables in HAProxy's files come from presetenv and setenv, and from the environment. Envoy's files are a static configuration, a
config_dump, an EnvoyFilter or an EnvoyExtensionPolicy. docs/check.md lists the rules.

Examples:
  appsec-edge check /etc/haproxy/haproxy.cfg
  appsec-edge check /etc/haproxy/haproxy.cfg /etc/haproxy/conf.d
  appsec-edge check global-config.cfg haproxy.cfg backend.cfg --spoe spoe.cfg --haproxy-version 3.2
  appsec-edge check /etc/envoy/envoy.yaml
`,
    );
  withSettings(command, ['bodyLimitBytes', 'wafTimeoutUs', 'maxFrameSizeBytes']).action(
    async (paths: readonly string[], flags: CheckFlags) => {
      const files = paths.flatMap(filesOf).map(readGiven);
      const kind = kindOfFiles(files);
      const { findings, about, json } =
        kind === 'envoy' ? await checkEnvoy(files, flags) : checkHaproxy(files, flags);
      process.stdout.write(
        flags.json ? `${JSON.stringify({ ...json, findings }, undefined, 2)}\n` : printed(findings, about),
      );
      process.exitCode = findings.every(({ severity }) => severity === 'hint') ? 0 : 1;
    },
  );
}

interface CheckResult {
  readonly findings: readonly Finding[];
  /** The end of the sentence that counts them. */
  readonly about: string;
  /** What `--json` says beside them. */
  readonly json: object;
}

function checkHaproxy(files: readonly SourceFile[], flags: CheckFlags): CheckResult {
  const { versions, from } = chooseVersions(flags.haproxyVersion);
  const findings = checkFiles(
    {
      files,
      spoe: flags.spoe === undefined ? undefined : readGiven(flags.spoe),
      environment: new Map(
        Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
      ),
      settings: configFrom(flags),
      readFile: readIfThere,
    },
    versions,
  );
  const about = `for HAProxy ${versions.join(', ')} (${from})`;
  return { findings, about, json: { haproxy_versions: versions } };
}

async function checkEnvoy(files: readonly SourceFile[], flags: CheckFlags): Promise<CheckResult> {
  // The library for YAML is loaded where it is needed.
  const { checkEnvoyFiles } = await import('./envoy/run.ts');
  return { findings: checkEnvoyFiles(files, configFrom(flags)), about: 'for Envoy', json: {} };
}

function printed(findings: readonly Finding[], about: string): string {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const sums = [`${count('error')} errors, ${count('warning')} warnings, ${count('hint')} hints`, about];
  return `${[...findings.map(printFinding), sums.join(' ')].join('\n')}\n`;
}

function chooseVersions(flag: string | undefined): VersionChoice {
  if (flag === 'all') return { versions: everyVersion, from: '--haproxy-version all' };
  if (flag !== undefined) {
    if (parseVersion(flag) === undefined) {
      throw new ConfigError(
        `--haproxy-version: '${flag}' is not allowed; it must be a version such as 3.2 or 3.2.26, or all`,
      );
    }
    return { versions: [flag], from: '--haproxy-version' };
  }
  const { stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8', timeout: 5000 });
  const installed = /version (\d+\.\d+[\d.]*)/.exec(stdout ?? '')?.[1];
  return installed === undefined
    ? { versions: everyVersion, from: 'version unknown; set --haproxy-version' }
    : { versions: [installed], from: 'haproxy -v; override with --haproxy-version' };
}

/** For a folder, the files that HAProxy loads from it, `*.cfg` in byte order; without any, Envoy's. */
function filesOf(path: string): string[] {
  if (!(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) return [path];
  const all = readdirSync(path).filter((name) => !name.startsWith('.'));
  const ofHaproxy = all.filter((name) => name.endsWith('.cfg'));
  const names = ofHaproxy.length > 0 ? ofHaproxy : all.filter((name) => /\.(ya?ml|json)$/.test(name));
  if (names.length === 0) {
    throw new ConfigError(`${path} has no *.cfg file for HAProxy to load, and no *.yaml or *.json of Envoy`);
  }
  return names.sort().map((name) => join(path, name));
}

/** @throws ConfigError */
function readGiven(path: string): SourceFile {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new ConfigError(`${path} cannot be read: ${messageOf(cause)}`);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
