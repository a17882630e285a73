import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { parseHaproxyTime } from '../../config/duration.ts';
import { ConfigError, StartError } from '../../config/errors.ts';
import { messageOf } from '../../message-of.ts';
import {
  defaultBackend,
  type HaproxyconfOptions,
  haproxyconfFileNames,
  luaFileName,
  renderHaproxyconf,
} from './files.ts';

interface HaproxyconfFlags {
  readonly server: readonly string[];
  readonly spoeConf?: string;
  readonly lua?: string;
  readonly processingTimeout: string;
  readonly timeout: string;
  readonly engineBackend: string;
  readonly force?: boolean;
}

const defaultServer = '127.0.0.1:3000';

export function addHaproxyconfCommand(program: Command): void {
  program
    .command('haproxyconf')
    .description(
      'Write the files for HAProxy to a folder: four snippets and the Lua script, with your addresses and paths.',
    )
    .argument('<folder>', 'created if it does not exist')
    .option(
      '--server <address>',
      `address of the agent: host:port, [v6]:port or unix@/path; may be repeated (default: ${defaultServer})`,
      (value: string, earlier: readonly string[]): string[] => [...earlier, value],
      [] as readonly string[],
    )
    .option('--spoe-conf <path>', 'path from which HAProxy reads spoe.cfg (default: in the folder)')
    .option('--lua <path>', 'path from which HAProxy reads the Lua script (default: in the folder)')
    .option('--processing-timeout <time>', 'how long HAProxy waits for each answer of the agent', '200ms')
    .option(
      '--timeout <time>',
      "your longest 'timeout server': how long the agent waits for a response",
      '1m',
    )
    .option('--engine-backend <name>', "name of the agent's backend", defaultBackend)
    .option('--force', 'overwrite files')
    .addHelpText(
      'after',
      `
Examples:
  appsec-edge haproxyconf /etc/haproxy/appsec-edge
  appsec-edge haproxyconf ./out --server 10.0.0.5:3000 --server 10.0.0.6:3000 --spoe-conf /etc/haproxy/spoe.cfg
`,
    )
    .action((folder: string, flags: HaproxyconfFlags) => {
      const options = optionsFrom(folder, flags);
      writeHaproxyconf(folder, options, flags.force ?? false);
      process.stdout.write(nextSteps(folder, options));
    });
}

function optionsFrom(folder: string, flags: HaproxyconfFlags): HaproxyconfOptions {
  const servers = flags.server.length > 0 ? flags.server : [defaultServer];
  for (const server of servers) checkServer(server);
  checkTime('--processing-timeout', flags.processingTimeout);
  checkTime('--timeout', flags.timeout);
  if (!/^[\w.:-]+$/.test(flags.engineBackend)) {
    throw new ConfigError(
      `--engine-backend: '${flags.engineBackend}' is not allowed; it must be letters, digits and - _ . :`,
    );
  }
  return {
    servers,
    spoePath: checkedPath('--spoe-conf', flags.spoeConf ?? join(resolve(folder), 'spoe.cfg')),
    luaPath: checkedPath('--lua', flags.lua ?? join(resolve(folder), luaFileName)),
    processingTimeout: flags.processingTimeout,
    timeout: flags.timeout,
    backend: flags.engineBackend,
  };
}

/** @throws ConfigError for a file that exists, unless `force`; StartError when a file cannot be written. */
function writeHaproxyconf(folder: string, options: HaproxyconfOptions, force: boolean): void {
  const existing = haproxyconfFileNames.filter((name) => existsSync(join(folder, name)));
  if (existing.length > 0 && !force) {
    throw new ConfigError(`${folder} already has ${existing.join(', ')}; --force overwrites them`);
  }
  const texts = renderHaproxyconf(options);
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of texts) writeFileSync(join(folder, name), text);
  } catch (cause) {
    throw new StartError(`cannot write to ${folder}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function nextSteps(folder: string, options: HaproxyconfOptions): string {
  const path = (name: string): string => join(folder, name);
  const place = (name: string, target: string): string =>
    resolve(folder, name) === resolve(target) ? `leave it where it is: ${target}` : `copy it to ${target}`;
  return `${haproxyconfFileNames.map((name) => `wrote ${path(name)}`).join('\n')}

To protect a frontend:
  1. spoe.cfg: ${place('spoe.cfg', options.spoePath)}
     ${luaFileName}: ${place(luaFileName, options.luaPath)}
  2. paste ${path('frontend-config.cfg')} into every frontend to protect, below its bind lines and above its
     other http-request and http-response rules
  3. load the other two files around your own, and check them:
       haproxy -c -f ${path('global-config.cfg')} -f haproxy.cfg -f ${path('backend.cfg')}
     (appsec-edge check finds more than HAProxy does:
       appsec-edge check ${path('global-config.cfg')} haproxy.cfg ${path('backend.cfg')} --spoe ${path('spoe.cfg')})
  4. start the agent on ${options.servers.join(' and ')} (appsec-edge spoa), then reload HAProxy
  5. send an attack: curl -H 'User-Agent: dd-test-scanner-log-block' http://your-site/
     gets a 403, and the agent logs one line with the rule
`;
}

function checkServer(server: string): void {
  const unix = /^(unix|abns)@\S+$/.test(server);
  const match = /^(?:ipv[46]@)?(?:\[[\da-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(server);
  const port = Number(match?.[1] ?? 0);
  if (!(unix || (port >= 1 && port <= 65_535)) || /["'\\#${}]/.test(server)) {
    throw new ConfigError(
      `--server: '${server}' is not allowed; it must be host:port, [v6]:port or unix@/path, with a port from 1 to 65535`,
    );
  }
}

function checkTime(flag: string, value: string): void {
  const durationMs = parseHaproxyTime(value);
  if (durationMs === undefined || durationMs < 1) {
    throw new ConfigError(
      `${flag}: '${value}' is not allowed; it must be a duration above zero in HAProxy's format, for example '200ms'`,
    );
  }
}

/** What would have a meaning inside a quoted word of HAProxy's configuration. */
function checkedPath(flag: string, path: string): string {
  if (path === '' || /["'\\#${}\p{Cc}]/u.test(path)) {
    throw new ConfigError(`${flag}: '${path}' is not allowed; it must be a path without " ' \\ # $ { }`);
  }
  return path;
}
