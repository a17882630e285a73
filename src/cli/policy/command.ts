import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ConfigError, StartError } from '../../config/errors.ts';
import type { AppliedFolder, FolderFailure } from '../../daemon/policy-folder.ts';
import { isJsonObject } from '../../engine/json.ts';
import { RulesetError } from '../../engine/waf/ruleset-error.ts';
import type { RulesetIssue } from '../../engine/waf/waf.ts';
import {
  type FileFinding,
  findingText,
  type ParsedFile,
  PlacesInFile,
  parsePolicyFile,
} from '../../policy/policy-file.ts';
import { configFrom, withSettings } from '../setting-flags.ts';

interface PolicyCheckFlags extends Record<string, unknown> {
  readonly json?: boolean;
}

export function addPolicyCommand(program: Command): void {
  const policy = program.command('policy').description('Work with a policy folder.');
  const check = policy
    .command('check')
    .description(
      'Check a policy folder for files that are refused, ignored, or refer to something that does not exist. Uses no network and changes nothing.',
    )
    .argument('<folder>', 'the folder that APPSEC_EDGE_POLICY_FOLDER names')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit code 0: no findings, or only hints; 1: errors or warnings; 2: the check could not run.
References are resolved against all files of the folder and the ruleset: the recommended one, or that of --rules.
docs/policy.md lists the rules.

Examples:
  appsec-edge policy check /etc/appsec-edge/policy
  appsec-edge policy check ./policy --rules ./my-rules.json --json
`,
    );
  withSettings(check, ['rulesPath']).action(async (folder: string, flags: PolicyCheckFlags) => {
    const applied = await apply(folder, flags);
    const findings = findingsOf(applied);
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ files: applied.files, findings }, undefined, 2)}\n`
        : printed(applied.files, findings),
    );
    process.exitCode = findings.every(({ severity }) => severity === 'hint') ? 0 : 1;
  });
}

/** @throws ConfigError when folder or ruleset cannot be read. */
async function apply(folder: string, flags: PolicyCheckFlags): Promise<AppliedFolder> {
  // The engine is loaded when a folder is checked: every command reads this file.
  const [{ loadWaf }, { applyPolicyFolder }] = await Promise.all([
    import('../../daemon/engine-files.ts'),
    import('../../daemon/policy-folder.ts'),
  ]);
  const config = { ...configFrom(flags), policyFolder: folder };
  try {
    const { waf, configs } = loadWaf(config);
    try {
      return applyPolicyFolder(config, configs);
    } finally {
      waf.dispose();
    }
  } catch (cause) {
    if (cause instanceof StartError || cause instanceof RulesetError)
      throw new ConfigError(cause.message.replace(/^APPSEC_EDGE_POLICY_FOLDER: /, ''));
    throw cause;
  }
}

/** In the order of files and lines. */
function findingsOf({ findings, failures }: AppliedFolder): FileFinding[] {
  const refusals = failures.flatMap((failure) => refusalsOf(failure, findings));
  return [...findings, ...refusals].sort(
    (one, other) => compare(one.file, other.file) || (one.line ?? 0) - (other.line ?? 0),
  );
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** libddwaf's own reasons, unless a finding says the same with the exact place. */
function refusalsOf(failure: FolderFailure, findings: readonly FileFinding[]): FileFinding[] {
  const { file, problem, line } = failure;
  const issues = failure.issues ?? issuesOf(problem);
  const whole = { file, severity: 'error', rule: 'refused' } as const;
  if (issues === undefined) return [{ ...whole, line, place: '', text: problem }];
  const parsed = parsedFile(file);
  const places = new PlacesInFile(parsed?.text ?? '');
  return issues.flatMap(({ part, reason, ids }) =>
    (ids.length === 0 ? [undefined] : ids).flatMap((id) => {
      const index = id === undefined ? undefined : indexOf(parsed, part, id, reason);
      const path = index === undefined ? [part] : [part, index];
      const place = index === undefined ? part : `${part}[${index}]`;
      const said = findings.some((finding) => finding.file === file && finding.place.startsWith(`${place}.`));
      if (said && /^(?:duplicate|unknown operator|unknown transformer|unknown generator)\b/.test(reason))
        return [];
      const named = id === undefined || id.startsWith('index:') ? '' : ` (${id})`;
      return [
        {
          ...whole,
          line: parsed === undefined ? undefined : places.lineOf(path),
          ...{ place, text: `is not in effect: ${reason}${named}` },
        },
      ];
    }),
  );
}

function parsedFile(file: string): ParsedFile | undefined {
  try {
    const parsed = parsePolicyFile(readFileSync(file));
    return 'problem' in parsed ? undefined : parsed;
  } catch {
    // Gone meanwhile: the finding has no line then.
    return undefined;
  }
}

/** Of two items with one id, the last one is the duplicate. */
function indexOf(
  parsed: ParsedFile | undefined,
  part: string,
  id: string,
  reason: string,
): number | undefined {
  if (id.startsWith('index:')) return Number(id.slice('index:'.length));
  const list = parsed?.content[part];
  if (!Array.isArray(list)) return undefined;
  const hasId = (item: unknown): boolean => isJsonObject(item) && item['id'] === id;
  const items: readonly unknown[] = list;
  const index = reason.startsWith('duplicate') ? items.findLastIndex(hasId) : items.findIndex(hasId);
  return index === -1 ? undefined : index;
}

/** The reasons in a refusal of a whole file; undefined when it is a sentence. */
function issuesOf(problem: string): RulesetIssue[] | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(problem);
  } catch {
    return undefined;
  }
  if (!isJsonObject(parts)) return undefined;
  return Object.entries(parts).flatMap(([part, result]) => {
    if (!isJsonObject(result)) return [];
    const { error, errors } = result;
    const whole = typeof error === 'string' ? [{ part, reason: error, ids: [] }] : [];
    if (!isJsonObject(errors)) return whole;
    return [
      ...whole,
      ...Object.entries(errors).map(([reason, ids]) => ({
        ...{ part, reason },
        ids: Array.isArray(ids) ? (ids as unknown[]).map(String) : [],
      })),
    ];
  });
}

function printed(files: number, findings: readonly FileFinding[]): string {
  const lines = findings.map((finding) => {
    const { file, line, severity, rule } = finding;
    return `${file}${line === undefined ? '' : `:${line}`}: ${severity}: ${findingText(finding)} [${rule}]`;
  });
  const count = (severity: FileFinding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  lines.push(
    `${files} policy file${files === 1 ? '' : 's'}: ${count('error')} errors, ${count('warning')} warnings, ${count('hint')} hints`,
  );
  return `${lines.join('\n')}\n`;
}
