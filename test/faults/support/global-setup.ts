// The HAProxy binaries as for the end-to-end tests, and the table of all faults once the last test has ended.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { setup as setupBinaries } from '../../e2e/support/global-setup.ts';
import { type FaultRow, renderTable } from './fault-table.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    faultRows: string;
  }
}

export async function setup(project: TestProject): Promise<() => void> {
  await setupBinaries(project);
  const folder = mkdtempSync(join(tmpdir(), 'appsec-edge-faults-'));
  const file = join(folder, 'rows');
  project.provide('faultRows', file);
  return () => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
    rmSync(folder, { recursive: true, force: true });
    process.stdout.write(renderTable(lines.map((line) => JSON.parse(line) as FaultRow)));
  };
}
