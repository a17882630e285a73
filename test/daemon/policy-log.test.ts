import { describe, expect, it } from 'vitest';
import { logFindings, logRulesetFindings, RemoteFindings } from '../../src/daemon/policy-log.ts';
import type { WafConfig } from '../../src/engine/waf/waf-configs.ts';
import { createLogger, type Logger } from '../../src/ops/log.ts';
import type { FileFinding } from '../../src/policy/policy-file.ts';
import { builtIn, customRule } from '../policy/policy-lint.ts';

function newLog(): { logger: Logger; lines: { level: string; msg: string }[] } {
  const lines: { level: string; msg: string }[] = [];
  const logger = createLogger('info', {
    write: (line) => lines.push(JSON.parse(line) as { level: string; msg: string }),
  });
  return { logger, lines };
}

const finding: FileFinding = {
  ...{
    file: '/p/a.json',
    line: 3,
    place: 'actions[0].type',
    severity: 'warning',
    rule: 'unknown-action-type',
  },
  text: "unknown action type 'block'",
};

describe('what is the matter with policy files', () => {
  it('is a warning with file, place and line', () => {
    const { logger, lines } = newLog();
    logFindings(logger, [finding]);
    expect(lines).toMatchObject([
      {
        ...{
          level: 'warn',
          file: '/p/a.json',
          line: 3,
          place: 'actions[0].type',
          rule: 'unknown-action-type',
        },
        msg: "policy /p/a.json: actions[0].type: unknown action type 'block' (line 3)",
      },
    ]);
  });

  it('is information when it is a hint', () => {
    const { logger, lines } = newLog();
    logFindings(logger, [{ ...finding, line: undefined, place: '', severity: 'hint' }]);
    expect(lines).toMatchObject([{ level: 'info', msg: "policy /p/a.json: unknown action type 'block'" }]);
  });

  it('takes twenty lines a file, and one for the rest', () => {
    const { logger, lines } = newLog();
    const findings = Array.from({ length: 30 }, (_, line) => ({ ...finding, line }));
    logFindings(logger, [...findings, { ...finding, file: '/p/b.json' }]);
    expect(lines).toHaveLength(22);
    expect(lines[20]?.msg).toBe("policy /p/a.json: 10 more findings; 'appsec-edge policy check' lists all");
  });
});

describe('what is the matter with configurations from Remote Config', () => {
  const remote: WafConfig = {
    ...{ path: 'datadog/2/ASM/one/config', product: 'ASM' },
    content: customRule({ on_match: ['deny'] }),
  };
  const ruleset: WafConfig = { ...builtIn, product: 'ASM_DD' };
  const ofFolder: WafConfig = { ...remote, path: 'folder/a.json' };

  it('is said once, however often they are delivered', () => {
    const { logger, lines } = newLog();
    let inEffect: WafConfig[] = [ruleset, remote];
    const findings = new RemoteFindings(logger, () => inEffect);
    findings.check();
    findings.check();
    expect(lines).toMatchObject([
      {
        ...{ level: 'warn', path: remote.path, place: 'custom_rules[0].on_match[0]', rule: 'unknown-action' },
        msg: "Remote Config datadog/2/ASM/one/config: custom_rules[0].on_match[0]: unknown action 'deny'; did you mean 'block'?",
      },
    ]);
    inEffect = [ruleset];
    findings.check();
    inEffect = [ruleset, remote];
    findings.check();
    expect(lines).toHaveLength(2);
  });

  it('is not what is the matter with the ruleset or with files of the folder', () => {
    const { logger, lines } = newLog();
    new RemoteFindings(logger, () => [ruleset, ofFolder]).check();
    expect(lines).toEqual([]);
  });

  it('takes twenty lines, and one for the rest', () => {
    const { logger, lines } = newLog();
    const on_match = Array.from({ length: 30 }, (_, index) => `none-${index}`);
    const content = customRule({ on_match });
    new RemoteFindings(logger, () => [ruleset, { ...remote, content }]).check();
    expect(lines).toHaveLength(21);
    expect(lines[20]?.msg).toBe('Remote Config: 10 more findings');
  });

  it('never throws', () => {
    const { logger, lines } = newLog();
    const failing = new RemoteFindings(logger, () => {
      throw new Error('gone');
    });
    failing.check();
    expect(lines).toMatchObject([
      { level: 'error', msg: 'Remote Config cannot be checked: please report this' },
    ]);
  });
});

describe('what is the matter with a ruleset of the operator', () => {
  it('is said with its file', () => {
    const { logger, lines } = newLog();
    const rules = (customRule({ on_match: ['deny'] }) as { custom_rules: object[] }).custom_rules;
    logRulesetFindings(logger, 'own.json', [{ path: 'x', product: 'ASM_DD', content: { rules } }]);
    expect(lines).toMatchObject([
      {
        level: 'warn',
        msg: "ruleset own.json: rules[0].on_match[0]: unknown action 'deny'; did you mean 'block'?",
      },
    ]);
  });
});
