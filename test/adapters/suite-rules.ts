import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of a body, all doors look at so much. */
export const bodyLimitBytes = 8_000;

/** A body over which libddwaf sits for tens of milliseconds, and finds nothing. */
export const slowBody = JSON.stringify({
  flood: Array.from({ length: 7 }, () => 'colour blue and size 7 were as described '.repeat(25)),
});

/** Rules that look at `flood` in a body only, and take long for it: one automaton is too large to be built. */
const slowRules = [0, 1].map((index) => ({
  id: `slow-${index}`,
  name: 'slow',
  tags: { type: 'slow', category: 'attack_attempt' },
  conditions: [
    {
      operator: 'match_regex',
      parameters: {
        inputs: [{ address: 'server.request.body', key_path: ['flood'] }],
        regex: `(?:[a-z ]{1,40}[0-9]){3,12}!${index}`,
      },
    },
  ],
  transformers: [],
}));

/** A file with the rules of the end-to-end tests and the slow ones, and what removes it. */
export function writeSuiteRules(): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-door-suite-'));
  const path = join(folder, 'rules.json');
  const file = new URL('../fixtures/rules/e2e.json', import.meta.url);
  const rules = JSON.parse(readFileSync(file, 'utf8')) as { readonly rules: readonly object[] };
  writeFileSync(path, JSON.stringify({ ...rules, rules: [...rules.rules, ...slowRules] }));
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
