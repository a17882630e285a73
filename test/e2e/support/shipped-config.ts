// A whole haproxy.cfg around the shipped files, as an operator would put it together.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..', '..', '..');

/** A set of files under test: ours, or the equivalent of Datadog's. */
export interface ConfSet {
  readonly folder: string;
  readonly luaFile: string;
}

export const shippedSet: ConfSet = {
  folder: join(repository, 'haproxyconf'),
  luaFile: join(repository, 'lua', 'datadog_aap_blocking_response.lua'),
};

/** `mode spop`: HAProxy 3.1 and later only. */
export const datadogSet: ConfSet = {
  folder: join(repository, 'test', 'fixtures', 'datadog-conf'),
  luaFile: join(repository, 'test', 'fixtures', 'datadog-conf', 'blocking-response.lua'),
};

export interface ProxyPlan {
  readonly httpPort: number;
  /** Another bind of the same frontend that speaks HTTP/2 without TLS. */
  readonly http2Port?: number;
  readonly originPort: number;
  /** Lines of the global section, after ours, as in a file that is loaded later; values given here win. */
  readonly global?: string;
  /** Lines of the defaults section; later ones win. */
  readonly defaults?: string;
  /** Lines of the frontend, after ours. */
  readonly frontend?: string;
  /** Lines of the origin's backend, before its server; and words behind the address of that server. */
  readonly originBackend?: string;
  readonly originServer?: string;
  /** Lines of the agent's backend, after ours: more servers, other checks. */
  readonly agentBackend?: string;
  /** Which files: ours unless told otherwise. */
  readonly set?: ConfSet;
  /** Changes the text of a shipped file, the way an operator edits it (uncommenting a line). */
  readonly edit?: (file: ConfFile, text: string) => string;
}

export type ConfFile = 'global-config.cfg' | 'frontend-config.cfg' | 'backend.cfg';

/** The configuration of one protected frontend, the origin and the agent's backend. */
export function proxyConfig(plan: ProxyPlan): string {
  const file = (name: ConfFile): string => {
    const text = readFileSync(join((plan.set ?? shippedSet).folder, name), 'utf8');
    return plan.edit?.(name, text) ?? text;
  };
  return `
global
    log stdout format raw local0
${file('global-config.cfg')}
${plan.global ?? ''}
defaults
    mode http
    log global
    timeout connect 30s
    timeout client 60s
    timeout server 60s
${plan.defaults ?? ''}
frontend main
    bind 127.0.0.1:${plan.httpPort}
    ${plan.http2Port === undefined ? '' : `bind 127.0.0.1:${plan.http2Port} proto h2`}
${file('frontend-config.cfg')}
${plan.frontend ?? ''}
    default_backend origin

backend origin
${plan.originBackend ?? ''}
    server origin 127.0.0.1:${plan.originPort} ${plan.originServer ?? ''}

${file('backend.cfg')}
${plan.agentBackend ?? ''}
`;
}

/** What the files read from the environment, for a checkout instead of /etc/haproxy. */
export function confEnvironment(agentPort: number, set: ConfSet = shippedSet): Record<string, string> {
  return {
    DD_SPOA_SPOA_CONF_FILE: join(set.folder, 'spoe.cfg'),
    DD_SPOA_LUA_FILE: set.luaFile,
    DD_SPOA_ADDRESS: `127.0.0.1:${agentPort}`,
  };
}

/**
 * An `edit` that uncomments the one line of a file that starts with `line`, as an operator would.
 * @throws when the file has no such comment, or several.
 */
export function uncomment(file: ConfFile, line: string): (name: ConfFile, text: string) => string {
  return (name, text) => {
    if (name !== file) return text;
    const found = text.split(`# ${line}`).length - 1;
    if (found !== 1) throw new Error(`${file} has ${found} commented lines that start with "${line}", not 1`);
    return text.replace(`# ${line}`, line);
  };
}
