// What the shipped HAProxy files must agree on, with each other and with the agent. How they behave is tested on
// real HAProxy in test/e2e.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configurationVersion, messageNames, variableNames } from '../src/adapters/haproxy/contract.ts';
import { haproxyVariables } from '../src/cli/check-rules-settings.ts';

const repository = join(import.meta.dirname, '..');
const names = ['global-config.cfg', 'spoe.cfg', 'frontend-config.cfg', 'backend.cfg'];
const paths = [...names.map((name) => `haproxyconf/${name}`), 'lua/datadog_aap_blocking_response.lua'];
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const everything = paths.map(read).join('\n');

describe('the version of the configuration', () => {
  it.each(paths)('stands in the first line of %s', (path) => {
    const [first = ''] = read(path).split('\n');
    expect(first).toContain(`appsec-edge HAProxy configuration ${configurationVersion}:`);
  });

  it('is sent to the agent with the headers of both directions', () => {
    const sent = read('haproxyconf/spoe.cfg').match(/conf_version=str\([^)]*\)/g);
    expect(sent).toEqual(Array(2).fill(`conf_version=str(${configurationVersion})`));
  });

  it('heads the changelog', () => {
    const [latest] = read('haproxyconf/CHANGELOG.md').match(/^## .*/m) ?? [];
    expect(latest).toBe(`## ${configurationVersion}`);
  });
});

describe('the shipped files', () => {
  it('read the variables that check knows, and no other', () => {
    const readByFiles = new Set(everything.match(/\bDD_SPOA_[A-Z_]+/g));
    expect([...readByFiles].sort()).toEqual(haproxyVariables.toSorted());
  });

  it('define the messages that the agent knows, and no other', () => {
    const defined = [...read('haproxyconf/spoe.cfg').matchAll(/^spoe-message (\S+)/gm)].map(
      ([, name]) => name,
    );
    expect(defined.sort()).toEqual(Object.values(messageNames).sort());
  });

  it('use only variables that the agent or the SPOE engine sets', () => {
    const bySpoe = ['spoe_error', 'process_time', 'total_time'];
    const { tracingPrefix, ...byAgent } = variableNames;
    const known = new Set<string>([...Object.values(byAgent), ...bySpoe]);
    const used = [...everything.matchAll(/txn\.dd\.(\w+)/g)].map(([, name = '']) => name);
    expect(used.filter((name) => !known.has(name) && !name.startsWith(tracingPrefix))).toEqual([]);
  });

  it('keep nothing in the scope of a session, which the streams of one HTTP/2 connection share', () => {
    expect(everything).not.toMatch(/\b(sess|proc)\.\w/);
  });

  it('fall back to the values that global-config.cfg presets, when it is not loaded', () => {
    const presets = new Map(
      [...read('haproxyconf/global-config.cfg').matchAll(/presetenv (\S+) (\S+)/g)].map(
        ([, name = '', value = '']) => [name, value],
      ),
    );
    const fallbacks = [...everything.matchAll(/\$\{(\w+)-([^}]*)\}/g)].map(([, name = '', value]) => [
      name,
      value,
    ]);
    expect(presets.size).toBe(7);
    for (const [name = '', value] of fallbacks)
      if (presets.has(name)) expect(value, name).toBe(presets.get(name));
  });

  it('have every setting in docs/haproxy.md, with its default', () => {
    const documented = read('docs/haproxy.md');
    for (const [, name, value] of everything.matchAll(/presetenv (\S+) (\S+)/g)) {
      expect(documented).toContain(`| \`${name}\` | \`${value}\` |`);
    }
    for (const [, name, value] of everything.matchAll(/\$\{(\w+)-([^}]*)\}/g)) {
      expect(documented).toContain(`| \`${name}\` | \`${value}\` |`);
    }
  });
});
