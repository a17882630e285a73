import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { haproxyErrorKinds } from '../src/adapters/haproxy/observers.ts';
import { settings } from '../src/daemon/settings.ts';
import { engineErrorKinds } from '../src/ops/metrics.ts';

function page(name: string): string {
  return readFileSync(new URL(`../docs/${name}.md`, import.meta.url), 'utf8');
}

/** First two columns of the table under a heading, without their back-quotes. */
function rowsUnder(text: string, heading: string): [string, string][] {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \| `([^`]+)` \|/gm)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
}

const all = Object.values(settings);

describe('docs/limits.md', () => {
  it('lists every setting of its group with its default', () => {
    const limits = all.filter(({ group }) => group === 'Limits');
    expect(rowsUnder(page('limits'), 'Settings of the group Limits')).toEqual(
      limits.map(({ env, defaultText }) => [env, defaultText]),
    );
  });

  it('names the right defaults of other settings', () => {
    const rows = rowsUnder(page('limits'), 'Other settings that bound something');
    expect(rows.length).toBeGreaterThan(0);
    for (const [env, value] of rows) {
      expect(all.find((setting) => setting.env === env)?.defaultText, env).toBe(value);
    }
  });
});

describe('docs/errors.md', () => {
  it('has every kind of error that is counted', () => {
    const kinds = [...engineErrorKinds, ...haproxyErrorKinds];
    for (const name of ['errors', 'metrics']) {
      for (const kind of kinds) expect(page(name)).toContain(`| \`${kind}\` |`);
    }
  });

  it('names settings that exist', () => {
    const known = new Set<string>(all.map(({ env }) => env));
    for (const name of ['errors', 'limits', 'metrics']) {
      for (const [env] of page(name).matchAll(/\bDD_[A-Z_]+/g)) expect(known, name).toContain(env);
    }
  });
});
