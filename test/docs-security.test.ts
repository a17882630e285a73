import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { documented, hostileRequests } from './e2e/support/hostile-requests.ts';

const page = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8');
const section = page.split('## Hostile requests\n')[1]?.split('\n## ')[0] ?? '';

describe('docs/security.md', () => {
  it('says of every hostile request what the tests see', () => {
    const rows = section.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toEqual(hostileRequests.map(documented));
  });

  it('has one row an id', () => {
    const ids = hostileRequests.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(100);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
