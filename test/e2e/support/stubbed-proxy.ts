// HAProxy with the shipped files between an origin and a scripted agent, and the loop over HAProxy versions that
// every end-to-end test file uses.
import { describe, inject, it } from 'vitest';
import type { HaproxyBinary } from '../../../tools/haproxy-binaries.ts';
import { freePort } from './free-port.ts';
import { type RunningHaproxy, startHaproxy } from './haproxy.ts';
import { type Origin, startOrigin } from './origin.ts';
import { patientChecks, patientTimeouts } from './patience.ts';
import { confEnvironment, type ProxyPlan, proxyConfig } from './shipped-config.ts';
import { type StubAgent, startStubAgent } from './stub-agent.ts';

export type FoundHaproxy = Extract<HaproxyBinary, { kind: 'found' }>;

export interface StubbedProxy {
  readonly haproxy: RunningHaproxy;
  readonly origin: Origin;
  readonly agent: StubAgent;
  readonly httpPort: number;
  readonly http2Port: number;
  stop(): Promise<void>;
}

/** `describe` once per HAProxy branch; a branch that is not to be had is a skipped test with the reason. */
export function describeEachHaproxy(title: string, body: (binary: FoundHaproxy) => void): void {
  for (const binary of inject('haproxyBinaries')) {
    describe(`${title}, HAProxy ${binary.branch}`, () => {
      if (binary.kind === 'found') body(binary);
      else it('is not tested here', (context) => context.skip(binary.reason));
    });
  }
}

/** `describe` with one HAProxy, the newest there is: for long lists about what the daemon does. */
export function describeOneHaproxy(title: string, body: (binary: FoundHaproxy) => void): void {
  const found = inject('haproxyBinaries').findLast((binary) => binary.kind === 'found');
  describe(`${title}, HAProxy ${found?.branch ?? 'missing'}`, () => {
    if (found?.kind === 'found') body(found);
    else it('is not tested here', (context) => context.skip('there is no HAProxy'));
  });
}

/**
 * One `describe` for all HAProxy branches that are to be had: for what takes the daemon long to get ready, and is then
 * asked for through each of them.
 */
export function describeAllHaproxies(title: string, body: (binaries: readonly FoundHaproxy[]) => void): void {
  const all = inject('haproxyBinaries');
  const found = all.filter((binary) => binary.kind === 'found');
  describe(`${title}, ${found.map(({ branch }) => `HAProxy ${branch}`).join(', ')}`, () => {
    for (const binary of all) {
      if (binary.kind === 'missing')
        it(`HAProxy ${binary.branch} is not tested here`, (context) => context.skip(binary.reason));
    }
    if (found.length > 0) body(found);
  });
}

/** All of it, with an agent that inspects nothing until a test gives it another `script`. */
export async function startStubbedProxy(
  binary: FoundHaproxy,
  plan: Omit<ProxyPlan, 'httpPort' | 'http2Port' | 'originPort'> & {
    /** A test about the time-out itself sets DD_SPOA_PROCESSING_TIMEOUT, and has the shipped health checks. */
    readonly env?: Record<string, string>;
  } = {},
): Promise<StubbedProxy> {
  const { env, ...rest } = plan;
  const origin = await startOrigin();
  const agent = await startStubAgent(() => ({}));
  const [httpPort, http2Port] = [await freePort(), await freePort()];
  const config = proxyConfig({
    ...{ ...rest, httpPort, http2Port, originPort: origin.port },
    agentBackend: `${env?.['DD_SPOA_PROCESSING_TIMEOUT'] === undefined ? patientChecks : ''}${plan.agentBackend ?? ''}`,
  });
  const haproxy = await startHaproxy({
    binary: binary.path,
    config,
    readyPort: httpPort,
    env: { ...confEnvironment(agent.port, plan.set), ...patientTimeouts, ...env },
  });
  const stop = async (): Promise<void> => {
    await haproxy.stop();
    await agent.stop();
    await origin.stop();
  };
  return { haproxy, origin, agent, httpPort, http2Port, stop };
}
