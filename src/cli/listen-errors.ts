import { accessSync, constants, lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StartError } from './load-engine.ts';
import { type Config, settings } from './settings.ts';

/** What listens: HAProxy's side, by address or by socket, or the health server. */
type Listener = 'spop' | 'health';

type ListenSettings = Pick<Config, 'host' | 'port' | 'socketPath' | 'healthcheckHost' | 'healthcheckPort'>;

/** The paths of unix sockets have 108 bytes in the kernel, the last of which is 0. */
const longestSocketPath = 107;

/**
 * An error for the operator: the address, what is wrong with it, and the setting that changes it.
 * @param cause Node's error of listening
 */
export function listenError(cause: unknown, listener: Listener, config: ListenSettings): StartError {
  const { socketPath } = config;
  if (listener === 'spop' && socketPath !== undefined) {
    const sentence = `cannot listen on ${socketPath}: ${socketProblem(socketPath, codeOf(cause), cause)}`;
    return new StartError(sentence, { cause });
  }
  const isHealth = listener === 'health';
  const host = (isHealth ? config.healthcheckHost : undefined) ?? config.host;
  const port = isHealth ? config.healthcheckPort : config.port;
  const problem = addressProblem(cause, host, isHealth, config);
  return new StartError(`cannot listen on ${host}:${port}: ${problem}`, { cause });
}

function addressProblem(cause: unknown, host: string, isHealth: boolean, config: ListenSettings): string {
  const portVariable = settings[isHealth ? 'healthcheckPort' : 'port'].env;
  const hostVariable =
    isHealth && config.healthcheckHost !== undefined ? settings.healthcheckHost.env : settings.host.env;
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return !isHealth && config.port === config.healthcheckPort
        ? `it is the health port as well; set ${portVariable} and ${settings.healthcheckPort.env} to different ports`
        : `already in use; stop the other process or set ${portVariable}`;
    case 'EACCES':
      return `not permitted: ports below 1024 need rights of root; choose another with ${portVariable}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name '${host}' cannot be resolved; set ${hostVariable} to an address of this machine, or 0.0.0.0 for all`;
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `is no address of this machine; set ${hostVariable}`;
    case 'EAFNOSUPPORT':
      return `IPv6 is switched off on this machine; set ${hostVariable} to an IPv4 address, or 0.0.0.0 for all`;
    default:
      return String(cause);
  }
}

/** Node gives the same code for a folder that is not there and for one that it may not write to: so look. */
function socketProblem(path: string, code: string | undefined, cause: unknown): string {
  const another = `choose another path with ${settings.socketPath.env}`;
  const bytes = Buffer.byteLength(path);
  if (bytes > longestSocketPath) {
    return `the path has ${bytes} bytes, and that of a unix socket ${longestSocketPath} at most; ${another}`;
  }
  const folder = dirname(path);
  const about = lookAt(folder, statSync);
  if (about === undefined) return `there is no folder ${folder}; create it, or ${another}`;
  if (!about.isDirectory()) return `${folder} is no folder; ${another}`;
  const there = lookAt(path, lstatSync);
  if (there?.isDirectory()) return `it is a folder; name a file in it with ${settings.socketPath.env}`;
  if (there !== undefined && !there.isSocket()) {
    return `the file is there and is no socket; remove it, or ${another}`;
  }
  if (!mayWriteTo(folder)) {
    return `this process${userText()} may not write to the folder ${folder}; give it the right, or ${another}`;
  }
  switch (code) {
    case 'EADDRINUSE':
      return `already in use; stop the other process or set ${settings.socketPath.env}`;
    case 'EACCES':
    case 'EPERM':
      return `not permitted${userText()}; ${another}`;
    default:
      return String(cause);
  }
}

function lookAt(path: string, look: (path: string) => Stats): Stats | undefined {
  try {
    return look(path);
  } catch {
    return undefined;
  }
}

function mayWriteTo(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function userText(): string {
  const user = process.getuid?.();
  return user === undefined ? '' : ` (user id ${user})`;
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}
