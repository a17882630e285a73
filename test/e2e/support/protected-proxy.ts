// HAProxy with the shipped files between an origin and the real daemon.
import { afterAll, afterEach, beforeAll, onTestFailed, onTestFinished } from 'vitest';
import { Daemon, type DaemonOptions, startDaemon } from './daemon.ts';
import { DaemonView, sharedDaemon } from './daemon-view.ts';
import { freePort } from './free-port.ts';
import { type RunningHaproxy, startHaproxy } from './haproxy.ts';
import { type Origin, startOrigin } from './origin.ts';
import { patientChecks, patientTimeouts } from './patience.ts';
import { confEnvironment, type ProxyPlan, proxyConfig } from './shipped-config.ts';
import type { FoundHaproxy } from './stubbed-proxy.ts';

export interface ProtectedPlan extends Omit<ProxyPlan, 'httpPort' | 'http2Port' | 'originPort'> {
  /** Of HAProxy. A test about the time-out itself sets DD_SPOA_PROCESSING_TIMEOUT, and has the shipped health checks. */
  readonly env?: Record<string, string>;
  /** How to start one, or one that runs and is left running. */
  readonly daemon?: DaemonOptions | Daemon;
}

export interface SharedPlan extends Omit<ProtectedPlan, 'daemon'> {
  readonly daemon?: DaemonOptions;
  /** The tests stop the daemon, or nobody else may have talked to it. */
  readonly ownDaemon?: boolean;
}

export interface ProtectedProxy {
  readonly haproxy: RunningHaproxy;
  readonly origin: Origin;
  readonly daemon: Daemon;
  readonly httpPort: number;
  readonly http2Port: number;
  /** Whether a request whose target contains `mark` got as far as the origin. */
  reached(mark: string): boolean;
  /** What everybody said last, for a failure message. */
  report(): string;
  stop(): Promise<void>;
}

/** Of each log, the end is shown: under load it has tens of thousands of lines. */
const reportLines = 100;

export async function startProtectedProxy(
  binary: FoundHaproxy,
  plan: ProtectedPlan = {},
): Promise<ProtectedProxy> {
  const { env, daemon: daemonOptions, ...rest } = plan;
  const given = daemonOptions instanceof Daemon ? daemonOptions : undefined;
  const origin = await startOrigin();
  const daemon = given ?? (await startDaemon(daemonOptions as DaemonOptions | undefined));
  const [httpPort, http2Port] = [await freePort(), await freePort()];
  const haproxy = await startHaproxy({
    binary: binary.path,
    config: proxyConfig({
      ...{ ...rest, httpPort, http2Port, originPort: origin.port },
      agentBackend: `${env?.['DD_SPOA_PROCESSING_TIMEOUT'] === undefined ? patientChecks : ''}${plan.agentBackend ?? ''}`,
    }),
    readyPort: httpPort,
    env: {
      ...confEnvironment(daemon.port, plan.set),
      ...patientTimeouts,
      ...env,
    },
  });
  const stop = async (): Promise<void> => {
    await haproxy.stop();
    if (given === undefined) await daemon.stop('SIGKILL');
    await origin.stop();
  };
  const reached = (mark: string): boolean => origin.requests.some(({ target }) => target.includes(mark));
  const report = (): string =>
    [
      '--- HAProxy',
      ...haproxy.log.lines.slice(-reportLines),
      '--- daemon',
      ...daemon.log.lines.slice(-reportLines),
    ].join('\n');
  return { haproxy, origin, daemon, httpPort, http2Port, reached, report, stop };
}

/** One for the test that runs: stopped when it ends in whatever way, and everything said is printed when it fails. */
export async function proxyOfThisTest(
  binary: FoundHaproxy,
  plan: ProtectedPlan = {},
): Promise<ProtectedProxy> {
  const proxy = await startProtectedProxy(binary, plan);
  onTestFinished(() => proxy.stop());
  onTestFailed(() => printReport(proxy));
  return proxy;
}

function printReport(proxy: ProtectedProxy | undefined): void {
  process.stderr.write(`${proxy?.report()}\n`);
}

/**
 * One for all tests of the surrounding `describe`, which must not change it: the daemon is shared with other describes
 * of the file. When a test fails, everything that HAProxy and the daemon said is printed.
 */
export function shareProtectedProxy(binary: FoundHaproxy, plan: SharedPlan = {}): () => ProtectedProxy {
  const { ownDaemon = false, ...proxyPlan } = plan;
  const daemon = ownDaemon ? undefined : sharedDaemon(plan.daemon);
  let proxy: ProtectedProxy | undefined;
  const shared = (): ProtectedProxy => {
    if (proxy === undefined) throw new Error('asked for before the tests of this describe began');
    return proxy;
  };
  beforeAll(async () => {
    const view = daemon === undefined ? {} : { daemon: await DaemonView.of(await daemon.get()) };
    proxy = await startProtectedProxy(binary, { ...proxyPlan, ...view });
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') printReport(proxy);
  });
  afterAll(() => proxy?.stop());
  return shared;
}
