// Policies to look at, and what is said of them.
import { readFileSync } from 'node:fs';
import { recommendedRulesPath } from '../../src/datadog/dd-trace-package.ts';
import { builtInPath, Waf } from '../../src/engine/waf/waf.ts';
import { pathText } from '../../src/policy/json-text.ts';
import { type Document, lint } from '../../src/policy/lint/lint.ts';

type Content = Document['content'];

export const recommended = JSON.parse(readFileSync(recommendedRulesPath(), 'utf8')) as Content;
export const builtIn: Document = { path: builtInPath, content: recommended };

/** 2026: the lists of the tests are not over. */
export const nowMs = Date.UTC(2026, 0, 1);

/** `rule file: place: text` each, of files beside Datadog's ruleset. */
export function said(
  files: Readonly<Record<string, object>>,
  { remote = false, others = [builtIn] }: { remote?: boolean; others?: readonly Document[] } = {},
): string[] {
  const documents = Object.entries(files).map(([name, content]) => ({
    path: `folder/${name}`,
    content: { ...content },
  }));
  return lint(documents, others, { libraryVersion: Waf.libraryVersion, nowMs, remote }).map(
    ({ config, path, rule, text }) => `${rule} ${config.replace('folder/', '')}: ${pathText(path)}: ${text}`,
  );
}

/** The same of one file, without its name. */
export function saidOf(content: object): string[] {
  return said({ a: content }).map((line) => line.replace(' a: ', ' '));
}

/** A custom rule that is right; parts of it put in place of others. */
export function customRule(rule: object = {}, parameters: object = {}, operator = 'match_regex'): object {
  return {
    custom_rules: [
      {
        ...{ id: 'mine', name: 'mine', tags: { type: 'custom' } },
        conditions: [
          {
            operator,
            parameters: {
              inputs: [{ address: 'server.request.query' }],
              ...(operator === 'match_regex' ? { regex: 'x' } : {}),
              ...parameters,
            },
          },
        ],
        ...rule,
      },
    ],
  };
}

export function addressList(value: string, expiration?: unknown): object {
  const entry = expiration === undefined ? { value } : { value, expiration };
  return { rules_data: [{ id: 'blocked_ips', type: 'ip_with_expiration', data: [entry] }] };
}

export function action(type: string, parameters: object): object {
  return { actions: [{ id: 'own', type, parameters }] };
}
