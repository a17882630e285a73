// A real Envoy between an origin and the real daemon with its door for Envoy.
import { afterAll, afterEach, beforeAll, onTestFailed, onTestFinished } from 'vitest';
import { Daemon } from './daemon.ts';
import { type FoundEnvoy, type RunningEnvoy, startEnvoy } from './envoy.ts';
import { type EnvoyPlan, envoyConfig } from './envoy-config.ts';
import { freePort } from './free-port.ts';
import { type Origin, startOrigin } from './origin.ts';

export interface ProtectedEnvoyPlan
  extends Omit<EnvoyPlan, 'httpPort' | 'adminPort' | 'originPort' | 'processorPorts'> {
  /** Of the daemon; wins over the settings of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another origin than that of the tests. */
  readonly originPort?: number;
}

export interface ProtectedEnvoy {
  readonly envoy: RunningEnvoy;
  readonly origin: Origin;
  readonly daemon: Daemon;
  /** HTTP/1.1, and HTTP/2 with prior knowledge. */
  readonly port: number;
  /** Whether a request whose target contains `mark` got as far as the origin. */
  reached(mark: string): boolean;
  /** What everybody said last, for a failure message. */
  report(): string;
  stop(): Promise<void>;
}

/** Of each log, the end is shown. */
const reportLines = 100;

/** A daemon that answers Envoy on a port of its own, without TLS. As patient as Envoy is in these tests. */
export async function startExtProcDaemon(env: Readonly<Record<string, string>> = {}): Promise<Daemon> {
  const [port, healthPort] = [await freePort(), await freePort()];
  const settings = {
    DD_SERVICE_EXTENSION_HOST: '127.0.0.1',
    DD_SERVICE_EXTENSION_PORT: String(port),
    DD_SERVICE_EXTENSION_TLS: 'false',
    APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT: '10s',
  };
  const daemon = new Daemon({ flags: ['ext-proc'], env: { ...settings, ...env } }, port, healthPort);
  await daemon.start();
  return daemon;
}

export async function startProtectedEnvoy(
  binary: FoundEnvoy,
  plan: ProtectedEnvoyPlan = {},
): Promise<ProtectedEnvoy> {
  const { env, ...rest } = plan;
  const [origin, daemon] = [await startOrigin(), await startExtProcDaemon(env)];
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = envoyConfig({
    originPort: origin.port,
    ...rest,
    ...{ httpPort: port, adminPort, processorPorts: [daemon.port] },
  });
  const envoy = await startEnvoy({ binary: binary.path, config, adminPort });
  const stop = async (): Promise<void> => {
    await envoy.stop();
    await daemon.stop('SIGKILL');
    await origin.stop();
  };
  const reached = (mark: string): boolean => origin.requests.some(({ target }) => target.includes(mark));
  const report = (): string =>
    [
      '--- Envoy',
      ...envoy.log.lines.slice(-reportLines),
      '--- daemon',
      ...daemon.log.lines.slice(-reportLines),
    ].join('\n');
  return { envoy, origin, daemon, port, reached, report, stop };
}

/** One for the test that runs: stopped when it ends in whatever way, and everything said is printed when it fails. */
export async function envoyOfThisTest(
  binary: FoundEnvoy,
  plan: ProtectedEnvoyPlan = {},
): Promise<ProtectedEnvoy> {
  const site = await startProtectedEnvoy(binary, plan);
  onTestFinished(() => site.stop());
  onTestFailed(() => printReport(site));
  return site;
}

/** One for all tests of the surrounding `describe`, which must not change it. */
export function shareProtectedEnvoy(binary: FoundEnvoy, plan: ProtectedEnvoyPlan = {}): () => ProtectedEnvoy {
  let site: ProtectedEnvoy | undefined;
  beforeAll(async () => {
    site = await startProtectedEnvoy(binary, plan);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') printReport(site);
  });
  afterAll(() => site?.stop());
  return () => {
    if (site === undefined) throw new Error('asked for before the tests of this describe began');
    return site;
  };
}

function printReport(site: ProtectedEnvoy | undefined): void {
  process.stderr.write(`${site?.report()}\n`);
}
