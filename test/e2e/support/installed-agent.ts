// An agent that was installed somewhere, behind a real HAProxy with the files that came with it.
import { freePort } from './free-port.ts';
import { startHaproxy } from './haproxy.ts';
import { fetchOnce } from './http-client.ts';
import { startOrigin } from './origin.ts';
import { patientChecks, patientTimeouts } from './patience.ts';
import { type ConfSet, confEnvironment, proxyConfig } from './shipped-config.ts';
import type { FoundHaproxy } from './stubbed-proxy.ts';

export const cleanTarget = '/?q=books';
export const attackTarget = '/?q=%3Cscript%3Ealert(1)%3C/script%3E';

/** The statuses that clients get of a HAProxy that asks the agent on `agentPort`. */
export async function statusesBehindHaproxy(
  binary: FoundHaproxy,
  agentPort: number,
  set: ConfSet,
  targets: readonly string[],
): Promise<number[]> {
  const origin = await startOrigin();
  const httpPort = await freePort();
  const haproxy = await startHaproxy({
    binary: binary.path,
    config: proxyConfig({ httpPort, originPort: origin.port, set, agentBackend: patientChecks }),
    readyPort: httpPort,
    env: {
      ...confEnvironment(agentPort, set),
      ...patientTimeouts,
    },
  });
  try {
    const statuses: number[] = [];
    for (const target of targets) statuses.push((await fetchOnce(httpPort, { target })).status);
    return statuses;
  } finally {
    await haproxy.stop();
    await origin.stop();
  }
}
