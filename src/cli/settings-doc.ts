import { lintRules } from '../policy/lint/lint.ts';
import { fileRules } from '../policy/policy-file.ts';
import { checkRules } from './check-run.ts';
import { type Setting, settingNames, settings } from './settings.ts';

/*
 * Tables of docs/ that come from the code. `npx vitest run test/cli/docs.test.ts -u` writes them anew.
 */

/** docs/configuration.md: one table a group. */
export function settingsMarkdown(): string {
  const all: readonly Setting<unknown, unknown>[] = settingNames.map((name) => settings[name]);
  const groups = [...new Set(all.map((setting) => setting.group))];
  return groups
    .map((group) => {
      const rows = all
        .filter((setting) => setting.group === group)
        .map((setting) => [
          `\`${setting.env}\`<br>\`--${setting.flag}\``,
          setting.defaultText === '' ? '' : `\`${setting.defaultText}\``,
          setting.description.replaceAll('<', '&lt;'),
          setting.parser.allowed,
        ]);
      return `### ${group}\n\n${table(['variable, flag', 'default', 'what it does', 'allowed'], rows)}`;
    })
    .join('\n\n');
}

/** docs/check.md: one line a rule. */
export function checkRulesMarkdown(): string {
  const rows = checkRules.map((rule) => [`\`${rule.id}\``, rule.severity, rule.why, rule.remedy]);
  return table(['rule', 'severity', 'why it matters', 'remedy'], rows);
}

/** docs/policy.md: one line for each thing that is said of policy files. */
export function policyRulesMarkdown(): string {
  const rows = [...fileRules, ...lintRules].map(({ id, severity, about }) => [
    `\`${id}\``,
    severity,
    `${about}.`,
  ]);
  return table(['rule', 'severity', 'what is the matter, and what becomes of it'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
