import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../../config/errors.ts';
import { messageOf } from '../../message-of.ts';
import { configFrom, withSettings } from '../setting-flags.ts';
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
    .description("Check HAProxy's configuration for missing, misplaced or outdated lines.")
    .argument(
      '<files...>',
      'haproxy.cfg and every other file or folder that HAProxy loads (-f), in the same order',
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
Variables come from presetenv and setenv in the files, and from the environment. docs/check.md lists the rules.

Examples:
  appsec-edge check /etc/haproxy/haproxy.cfg
  appsec-edge check /etc/haproxy/haproxy.cfg /etc/haproxy/conf.d
  appsec-edge check global-config.cfg haproxy.cfg backend.cfg --spoe spoe.cfg --haproxy-version 3.2
`,
    );
  withSettings(command, ['bodyLimitBytes', 'wafTimeoutUs', 'maxFrameSizeBytes']).action(
    (paths: readonly string[], flags: CheckFlags) => {
      const choice = chooseVersions(flags.haproxyVersion);
      const findings = checkFiles(
        {
          files: paths.flatMap(filesOf).map(readGiven),
          spoe: flags.spoe === undefined ? undefined : readGiven(flags.spoe),
          environment: new Map(
            Object.entries(process.env).flatMap(([name, value]) =>
              value === undefined ? [] : [[name, value]],
            ),
          ),
          settings: configFrom(flags),
          readFile: readIfThere,
        },
        choice.versions,
      );
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ haproxy_versions: choice.versions, findings }, undefined, 2)}\n`
          : printed(findings, choice),
      );
      process.exitCode = findings.every(({ severity }) => severity === 'hint') ? 0 : 1;
    },
  );
}

function printed(findings: readonly Finding[], { versions, from }: VersionChoice): string {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const sums = [
    ...[`${count('error')} errors, ${count('warning')} warnings, ${count('hint')} hints`],
    `for HAProxy ${versions.join(', ')} (${from})`,
  ];
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

/** For a folder, the files that HAProxy loads from it: `*.cfg` in byte order. */
function filesOf(path: string): string[] {
  if (!(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.cfg') && !name.startsWith('.'));
  if (names.length === 0) throw new ConfigError(`${path} has no *.cfg file for HAProxy to load`);
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
