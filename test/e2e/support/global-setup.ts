// Finds or fetches the HAProxy binaries once, before any end-to-end test file is loaded, so that
// `describe.each` can list them: inject('haproxyBinaries').
import type { TestProject } from 'vitest/node';
import { allHaproxyBinaries, type HaproxyBinary } from '../../../tools/haproxy-binaries.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    haproxyBinaries: HaproxyBinary[];
  }
}

/** Set to 1 where a skipped branch would be a hole nobody sees: a missing binary then fails the run. */
export const requireVariable = 'APPSEC_EDGE_REQUIRE_HAPROXY';

export async function setup(project: TestProject): Promise<void> {
  const binaries = await allHaproxyBinaries();
  const reasons = binaries.flatMap((binary) => (binary.kind === 'missing' ? [binary.reason] : []));
  if (process.env[requireVariable] === '1' && reasons.length > 0) throw new Error(reasons.join('\n'));
  project.provide('haproxyBinaries', binaries);
}
