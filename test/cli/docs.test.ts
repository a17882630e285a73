import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { settingNames, settings } from '../../src/daemon/settings.ts';
import {
  checkRulesMarkdown,
  policyRulesMarkdown,
  settingsMarkdown,
  settingsTable,
} from '../support/docs-tables.ts';

// `npx vitest run test/cli/docs.test.ts -u` writes the tables into the files.

function docs(name: string): string {
  return fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
}

/** The file with what stands between its marks replaced. */
function withTable(path: string, mark: string, table: string): string {
  const text = readFileSync(path, 'utf8');
  const start = text.indexOf('-->\n', text.indexOf(`<!-- ${mark}:`)) + '-->\n'.length;
  const end = text.indexOf(`<!-- /${mark} -->`);
  if (!text.includes(`<!-- ${mark}:`) || end === -1) throw new Error(`${path} has no marks for ${mark}`);
  return `${text.slice(0, start)}\n${table}\n\n${text.slice(end)}`;
}

describe('documentation', () => {
  it('has the table of settings as it is in docs/configuration.md', async () => {
    const path = docs('configuration.md');
    await expect(withTable(path, 'settings', settingsMarkdown())).toMatchFileSnapshot(path);
  });

  it("has the table of Envoy's settings as it is in docs/envoy.md", async () => {
    const path = docs('envoy.md');
    const text = withTable(path, 'envoy-settings', settingsTable('Envoy'));
    await expect(text).toMatchFileSnapshot(path);
  });

  it('has the rules of check as they are in docs/check.md', async () => {
    const path = docs('check.md');
    const text = withTable(path, 'rules', checkRulesMarkdown('haproxy'));
    await expect(text).toMatchFileSnapshot(path);
  });

  it('has the rules of check for Envoy as they are in docs/check.md', async () => {
    const path = docs('check.md');
    const text = withTable(path, 'envoy-rules', checkRulesMarkdown('envoy'));
    await expect(text).toMatchFileSnapshot(path);
  });

  it('has the rules of policy check as they are in docs/policy.md', async () => {
    const path = docs('policy.md');
    await expect(withTable(path, 'rules', policyRulesMarkdown())).toMatchFileSnapshot(path);
  });

  it('names every setting, with its variable and default, in --help', () => {
    let text = '';
    const program = createProgram().configureOutput({
      writeOut: (part) => {
        text += part;
      },
    });
    program.outputHelp();
    const words = text.replace(/\s+/g, ' ');
    for (const name of settingNames) {
      const { flag, env, defaultText, description } = settings[name];
      expect(words).toContain(`--${flag} <value>`);
      expect(words).toContain(`(${env}${defaultText === '' ? '' : `, default ${defaultText}`})`);
      expect(words).toContain(description.replace(/\s+/g, ' '));
    }
  });

  it('lists every command in --help, with an example each', () => {
    let text = '';
    const program = createProgram().configureOutput({
      writeOut: (part) => {
        text += part;
      },
    });
    program.outputHelp();
    const examples = text.slice(text.indexOf('Examples:'));
    for (const command of program.commands) {
      expect(text).toMatch(new RegExp(`^  ${command.name()}\\b`, 'm'));
      if (command.name() !== 'spoa') expect(examples).toContain(`appsec-edge ${command.name()}`);
    }
  });
});
