// The in-memory door is the example for whoever writes one: small, made of what every door is made of, and known to
// nobody but its row.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { doors } from '../../src/doors.ts';
import { memoryRow } from './open-doors.ts';

const folder = fileURLToPath(new URL('./memory/', import.meta.url));
const source = fileURLToPath(new URL('../../src/', import.meta.url));
const names = readdirSync(folder);
const textOf = (name: string): string => readFileSync(`${folder}${name}`, 'utf8');

describe('the in-memory door', () => {
  it('is the four files of every door, together under 150 lines', () => {
    expect(names.toSorted()).toEqual(['door.ts', 'handler.ts', 'observers.ts', 'settings.ts']);
    expect(names.flatMap((name) => textOf(name).trimEnd().split('\n')).length).toBeLessThan(150);
  });

  it('imports what any door may, and no other door', () => {
    const imported = names.flatMap((name) =>
      [...textOf(name).matchAll(/from '([^']+)'/g)].map((match) => match[1] ?? ''),
    );
    const allowed =
      /^(node:|\.\/|\.\.\/\.\.\/\.\.\/src\/((net|engine|workers|ops|config)\/|daemon\/door\.ts$))/;
    expect(imported.filter((path) => !allowed.test(path))).toEqual([]);
    expect(imported).toContain('../../../src/daemon/door.ts');
  });

  it('takes a row and nothing else: what a row of src/doors.ts has, and no word of it in src/', () => {
    const ofRows = [...Object.keys(doors.haproxy), 'processAliases', 'processDefaults', 'nobodyWaits'];
    expect(Object.keys(memoryRow).filter((key) => !ofRows.includes(key))).toEqual([]);
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const naming = files.filter((name) =>
      /memorySettings|memoryRow|MEMORY_/.test(readFileSync(`${source}${name}`, 'utf8')),
    );
    expect([files.length > 100, naming]).toEqual([true, []]);
  });
});
