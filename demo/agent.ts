// Starts the agent as an operator would: built, configured by the environment alone.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { Child } from './child.ts';
import type { DemoDoor } from './door.ts';
import { environmentWithoutOurs } from './environment.ts';
import type { DemoPorts } from './ports.ts';
import { demoRuleset } from './ruleset.ts';

const startTimeoutMs = 30_000;

/** One rule that matched, as the agent's log names it. */
export interface Finding {
  readonly id: string;
  readonly name: string;
  /** Address and key path of what matched, for instance `server.request.query › id`. */
  readonly where: string;
  /** The part of the value that matched. */
  readonly what: string;
}

/** @param started told of the process before it is ready, so that it can be stopped whatever happens */
export async function startAgent(
  door: DemoDoor,
  ports: DemoPorts,
  folder: string,
  started: (child: Child) => void,
): Promise<Child> {
  const rules = join(folder, 'rules.json');
  await writeFile(rules, demoRuleset());
  const main = join(import.meta.dirname, '..', 'dist', 'main.js');
  if (!existsSync(main)) throw new Error('dist/main.js is missing: `npm run demo` builds it first');
  const child = new Child('The agent', process.execPath, [main, door.command], {
    ...environmentWithoutOurs(),
    ...(await door.agentSettings(ports, folder)),
    APPSEC_EDGE_HEALTHCHECK_PORT: String(ports.health),
    APPSEC_EDGE_SHUTDOWN_GRACE: '0',
    APPSEC_EDGE_LOG_FORMAT: 'json',
    DD_APPSEC_RULES: rules,
    DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '10000000',
    // The first request of all finds cold code, and this machine may be busy building something.
    DD_APPSEC_WAF_TIMEOUT: '100ms',
    // `DD_TRACE_ENABLED=true npm run demo` sends spans to the Datadog Agent that the environment names.
    DD_TRACE_ENABLED: process.env['DD_TRACE_ENABLED'] ?? 'false',
  });
  started(child);
  await child.ready(() => answersOk(ports.health), startTimeoutMs);
  return child;
}

/** What a security event in the agent's log says; empty for any other line. */
export function findingsIn(line: string): Finding[] {
  const event = parseEvent(line);
  return (event?.rules ?? []).map(({ id, name, matches }) => {
    const match = matches?.[0];
    return {
      id,
      name,
      where: match === undefined ? '' : [match.address, ...(match.key_path ?? [])].join(' › '),
      what: match?.highlight?.[0] ?? '',
    };
  });
}

/** Undefined for a line that is no security event. */
export function traceIdOf(line: string): string | undefined {
  return parseEvent(line)?.trace_id;
}

interface SecurityEvent {
  readonly event: 'security';
  readonly trace_id: string;
  readonly rules: readonly {
    readonly id: string;
    readonly name: string;
    readonly matches?: readonly {
      readonly address: string;
      readonly key_path?: readonly string[];
      readonly highlight?: readonly string[];
    }[];
  }[];
}

function parseEvent(line: string): SecurityEvent | undefined {
  if (!line.includes('"event":"security"')) return undefined;
  return JSON.parse(line) as SecurityEvent;
}

function answersOk(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/ready', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).once('error', () => resolve(false));
  });
}
