import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/cli/config.ts';
import { loadWaf } from '../src/cli/load-engine.ts';
import { applyPolicyFolder } from '../src/cli/policy-folder.ts';
import { settings } from '../src/cli/settings.ts';

const page = readFileSync(new URL('../docs/policy.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text);

describe('docs/policy.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-policy-docs-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has examples that are all in effect without a complaint, in one folder', () => {
    for (const [index, text] of examples.entries()) writeFileSync(join(folder, `${index}.json`), text);
    const config = readConfig({ policyFolder: folder }, {});
    expect(examples).toHaveLength(5);
    expect(applyPolicyFolder(config, loadWaf(config).configs)).toEqual({
      ...{ notes: [], findings: [], failures: [] },
      ...{ files: 5, enabled: false },
    });
  });

  it('names settings that exist', () => {
    const known = new Set<string>(Object.values(settings).map(({ env }) => env));
    for (const [env] of page.matchAll(/\bDD_[A-Z_]+/g)) expect(known).toContain(env);
  });
});
