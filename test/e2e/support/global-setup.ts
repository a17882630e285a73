// Finds or fetches the binaries of all proxies once, before any end-to-end test file is loaded, so that `describe.each` can
// list them: inject('haproxyBinaries'), inject('envoyBinaries'), inject('senderBinaries').
import type { TestProject } from 'vitest/node';
import { allEnvoyBinaries, type EnvoyBinary } from '../../../tools/envoy-binaries.ts';
import { allHaproxyBinaries, type HaproxyBinary } from '../../../tools/haproxy-binaries.ts';
import { allSenderBinaries, type SenderBinary } from '../../../tools/sender-binaries.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    haproxyBinaries: HaproxyBinary[];
    envoyBinaries: EnvoyBinary[];
    senderBinaries: SenderBinary[];
  }
}

/** Set to 1 where a skipped version would be a hole nobody sees: a missing binary then fails the run. */
export const requireVariable = 'APPSEC_EDGE_REQUIRE_HAPROXY';
export const requireEnvoyVariable = 'APPSEC_EDGE_REQUIRE_ENVOY';
export const requireSendersVariable = 'APPSEC_EDGE_REQUIRE_SENDERS';

export async function setup(project: TestProject): Promise<void> {
  const [haproxies, envoys, senders] = await Promise.all([
    allHaproxyBinaries(),
    allEnvoyBinaries(),
    allSenderBinaries(),
  ]);
  failWithout(requireVariable, haproxies);
  failWithout(requireEnvoyVariable, envoys);
  failWithout(requireSendersVariable, senders);
  project.provide('haproxyBinaries', haproxies);
  project.provide('envoyBinaries', envoys);
  project.provide('senderBinaries', senders);
}

function failWithout(
  variable: string,
  binaries: readonly (HaproxyBinary | EnvoyBinary | SenderBinary)[],
): void {
  const reasons = binaries.flatMap((binary) => (binary.kind === 'missing' ? [binary.reason] : []));
  if (process.env[variable] === '1' && reasons.length > 0) throw new Error(reasons.join('\n'));
}
