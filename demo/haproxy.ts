// Starts HAProxy with the shipped files, put together as haproxyconf/ says: the global section and the agent's
// backend beside a site's own file, the rules of the frontend pasted into it.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepts } from '../tools/accepts.ts';
import { Child } from './child.ts';
import type { DemoDoor, LogField } from './door.ts';
import { environmentWithoutOurs } from './environment.ts';
import { findHaproxy } from './find-haproxy.ts';
import type { DemoPorts } from './ports.ts';

const startTimeoutMs = 10_000;
const repository = join(import.meta.dirname, '..');
const shipped = (name: string): string => join(repository, 'haproxyconf', name);

export const haproxyDoor: DemoDoor = {
  proxy: 'HAProxy',
  command: 'spoa',
  agentSettings: async (ports) => ({
    DD_HAPROXY_SPOA_HOST: '127.0.0.1',
    DD_HAPROXY_SPOA_PORT: String(ports.agent),
  }),
  find: findHaproxy,
  start: startHaproxy,
  // In the format that frontend-config.cfg offers.
  isRequestLog: (line) => line.includes(' dd_verdict='),
  logField,
};

async function startHaproxy(
  binary: string,
  ports: DemoPorts,
  folder: string,
  started: (child: Child) => void,
): Promise<Child> {
  const site = join(folder, 'haproxy.cfg');
  await writeFile(site, await siteConfig(ports));
  const files = [shipped('global-config.cfg'), site, shipped('backend.cfg')];
  const child = new Child('HAProxy', binary, ['-db', ...files.flatMap((file) => ['-f', file])], {
    ...environmentWithoutOurs(),
    DD_SPOA_SPOA_CONF_FILE: shipped('spoe.cfg'),
    DD_SPOA_LUA_FILE: join(repository, 'lua', 'datadog_aap_blocking_response.lua'),
    DD_SPOA_ADDRESS: `127.0.0.1:${ports.agent}`,
    // A busy machine must not turn into an uninspected request here.
    DD_SPOA_PROCESSING_TIMEOUT: '2s',
  });
  started(child);
  await child.ready(() => accepts(ports.http), startTimeoutMs);
  return child;
}

/** One of the dd_ fields at the end of a log line, undefined when HAProxy had nothing to put there. */
function logField(line: string, name: LogField): string | undefined {
  const value = new RegExp(` dd_${name}=(\\S*)`).exec(line)?.[1];
  return value === '-' || value === '' ? undefined : value;
}

async function siteConfig(ports: DemoPorts): Promise<string> {
  const frontend = await readFile(shipped('frontend-config.cfg'), 'utf8');
  return `
global
    log stdout format raw local0

defaults
    mode http
    log global
    option dontlognull
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend demo
    bind 127.0.0.1:${ports.http}
${frontend.replace('# log-format', 'log-format')}
    default_backend origin

backend origin
    server origin 127.0.0.1:${ports.origin}
`;
}
