// The shipped Envoy files, and Datadog's, as they run: only ports, addresses and the path of a certificate are others.
import { onTestFailed, onTestFinished } from 'vitest';
import { CertificateFolder } from '../../support/certificates.ts';
import { inside, patchValues, yamlDocuments } from '../../support/envoy-files.ts';
import type { Daemon } from './daemon.ts';
import { type EnvoyMessage, type FoundEnvoy, type RunningEnvoy, startEnvoy } from './envoy.ts';
import { configWith } from './envoy-config.ts';
import { freePort } from './free-port.ts';
import { type Origin, startOrigin } from './origin.ts';
import { startExtProcDaemon } from './protected-envoy.ts';

export interface ShippedSite {
  readonly envoy: RunningEnvoy;
  readonly origin: Origin;
  readonly daemons: readonly Daemon[];
  readonly port: number;
}

/** What an operator does by hand: the processor is elsewhere, and its authority's certificate. */
interface Surroundings {
  readonly ports: readonly number[];
  readonly authority: string;
}

const shippedNames = ['appsec-edge', 'appsec-edge.appsec-edge.svc.cluster.local'];

/**
 * `envoy.yaml` with as many processors as wanted, each with TLS and a certificate that Envoy checks.
 * @param env of the processors
 */
export async function startShippedPlain(
  binary: FoundEnvoy,
  processors: number,
  env: Readonly<Record<string, string>> = {},
): Promise<ShippedSite> {
  const { daemons, surroundings } = await startProcessors(processors, env);
  const [origin, port, adminPort] = [await startOrigin(), await freePort(), await freePort()];
  onTestFinished(() => origin.stop());
  const [shipped] = yamlDocuments('envoyconf/envoy/envoy.yaml');
  const text = JSON.stringify(elsewhere(shipped ?? {}, surroundings))
    .replace('"port_value":9901', `"port_value":${adminPort}`)
    .replace('"port_value":8080', `"port_value":${port}`)
    .replace('"port_value":8090', `"port_value":${origin.port}`);
  const envoy = await running(binary, JSON.parse(text) as EnvoyMessage, adminPort, daemons);
  return { envoy, origin, daemons, port };
}

/** The `patch.value`s of an EnvoyFilter, put into a static configuration. */
export async function startShippedIstio(
  binary: FoundEnvoy,
  path: string,
  options: {
    readonly env?: Readonly<Record<string, string>>;
    /** Of the text, as an operator uncomments lines. */
    readonly edit?: (filter: EnvoyMessage) => EnvoyMessage;
  } = {},
): Promise<ShippedSite> {
  const { daemons, surroundings } = await startProcessors(1, options.env ?? {});
  const [origin, port, adminPort] = [await startOrigin(), await freePort(), await freePort()];
  onTestFinished(() => origin.stop());
  const [filter = {}] = patchValues(path, 'HTTP_FILTER');
  const [cluster = {}] = patchValues(path, 'CLUSTER');
  const [listener = {}] = patchValues(path, 'LISTENER');
  const plan = { httpPort: port, adminPort, originPort: origin.port, listener };
  const edited = options.edit?.(filter) ?? filter;
  const config = configWith(plan, edited, elsewhere(cluster, surroundings));
  const envoy = await running(binary, config, adminPort, daemons);
  return { envoy, origin, daemons, port };
}

async function startProcessors(
  count: number,
  env: Readonly<Record<string, string>>,
): Promise<{ daemons: Daemon[]; surroundings: Surroundings }> {
  const certificates = new CertificateFolder();
  onTestFinished(() => certificates.remove());
  const authority = certificates.authority('processors');
  const { certificate, key } = certificates.issue(authority, 'processor', shippedNames);
  const settings = {
    DD_SERVICE_EXTENSION_TLS: 'true',
    DD_SERVICE_EXTENSION_TLS_CERT_FILE: certificate,
    DD_SERVICE_EXTENSION_TLS_KEY_FILE: key,
    APPSEC_EDGE_SHUTDOWN_GRACE: '5s',
    APPSEC_EDGE_ENGINE_THREADS: '1',
  };
  const daemons: Daemon[] = [];
  for (let index = 0; index < count; index++) {
    const daemon = await startExtProcDaemon({ ...settings, ...env });
    onTestFinished(() => void daemon.stop('SIGKILL'));
    daemons.push(daemon);
  }
  return { daemons, surroundings: { ports: daemons.map(({ port }) => port), authority } };
}

async function running(
  binary: FoundEnvoy,
  config: EnvoyMessage,
  adminPort: number,
  daemons: readonly Daemon[],
): Promise<RunningEnvoy> {
  const envoy = await startEnvoy({ binary: binary.path, config, adminPort });
  onTestFinished(() => envoy.stop());
  onTestFailed(() => {
    const said = daemons.flatMap((daemon) => ['--- daemon', ...daemon.log.lines.slice(-50)]);
    process.stderr.write(`${[...envoy.log.lines.slice(-50), ...said].join('\n')}\n`);
  });
  return envoy;
}

/** The same message with the endpoints of the processor's cluster, and the authority, of a test. */
function elsewhere(message: EnvoyMessage, { ports, authority }: Surroundings): EnvoyMessage {
  const change = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== 'object' || value === null) return value;
    if (inside(value, 'trusted_ca') !== undefined) {
      return { ...value, trusted_ca: { filename: authority } };
    }
    const endpoints = inside(value, 'lb_endpoints');
    const port = inside(endpoints, 0, 'endpoint', 'address', 'socket_address', 'port_value');
    if (port === 8443 || port === 443) return { lb_endpoints: ports.map(endpoint) };
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner)]));
  };
  return change(message) as EnvoyMessage;
}

function endpoint(port: number): EnvoyMessage {
  return { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } };
}
