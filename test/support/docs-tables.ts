import { checkRules } from '../../src/cli/check/run.ts';
import type { AnySetting } from '../../src/config/setting.ts';
import { settingNames, settings } from '../../src/daemon/settings.ts';
import { lintRules } from '../../src/policy/lint/lint.ts';
import { fileRules } from '../../src/policy/policy-file.ts';

/*
 * Tables of docs/ that come from the code. `npx vitest run test/cli/docs.test.ts -u` writes them anew.
 */

/** docs/configuration.md: one table a group. */
export function settingsMarkdown(): string {
  const all: readonly AnySetting[] = settingNames.map((name) => settings[name]);
  const groups = [...new Set(all.map((setting) => setting.group))];
  return groups
    .map((group) => {
      const rows = all
        .filter((setting) => setting.group === group)
        .map((setting) => [
          [setting.env, `--${setting.flag}`].map((name) => `\`${name}\``).join('<br>') +
            (setting.aliases ?? []).map((name) => `<br>also \`${name}\``).join(''),
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
  return table(['rule', 'severity', 'problem and effect'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
