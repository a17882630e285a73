import { accessSync, constants, lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { hostAndPort, type ListenAddress } from '../net/address.ts';
import { StartError } from './errors.ts';

/** Variables that say where something listens. */
export interface ListenVariables {
  readonly host: string;
  readonly port: string;
  /** Absent: it listens on addresses only. */
  readonly socket?: string;
}

/** A port on which the process itself listens already. */
export interface TakenPort {
  readonly port: number;
  readonly variable: string;
  /** Such as `the health port`. */
  readonly name: string;
}

/** The paths of unix sockets have 108 bytes in the kernel, the last of which is 0. */
const longestSocketPath = 107;

/**
 * An error for the operator: the address, what is wrong with it, and the setting that changes it.
 * @param cause Node's error of listening
 */
export function explainListen(
  cause: unknown,
  address: ListenAddress,
  variables: ListenVariables,
  taken: readonly TakenPort[] = [],
): StartError {
  const isPath = 'socketPath' in address;
  const where = isPath ? address.socketPath : hostAndPort(address.host, address.port);
  const problem = isPath
    ? socketProblem(address.socketPath, cause, variables.socket ?? variables.port)
    : addressProblem(cause, address, variables, taken);
  return new StartError(`cannot listen on ${where}: ${problem}`, { cause });
}

function addressProblem(
  cause: unknown,
  { host, port }: { readonly host: string; readonly port: number },
  variables: ListenVariables,
  taken: readonly TakenPort[],
): string {
  const own = taken.find((one) => one.port === port);
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return own === undefined
        ? `already in use; stop the other process or set ${variables.port}`
        : `it is also ${own.name}; set ${variables.port} and ${own.variable} to different ports`;
    case 'EACCES':
      return `not permitted: ports below 1024 need root; choose another with ${variables.port}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name '${host}' cannot be resolved; set ${variables.host} to an address of this machine, or 0.0.0.0 for all`;
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `this machine has no such address; set ${variables.host}`;
    case 'EAFNOSUPPORT':
      return `IPv6 is disabled on this machine; set ${variables.host} to an IPv4 address, or 0.0.0.0 for all`;
    default:
      return String(cause);
  }
}

/** Node gives the same code for a folder that is not there and for one that it may not write to: so look. */
function socketProblem(path: string, cause: unknown, variable: string): string {
  const another = `choose another path with ${variable}`;
  const bytes = Buffer.byteLength(path);
  if (bytes > longestSocketPath) {
    return `the path has ${bytes} bytes, but a unix socket's path may have at most ${longestSocketPath}; ${another}`;
  }
  const folder = dirname(path);
  const about = lookAt(folder, statSync);
  if (about === undefined) return `the folder ${folder} does not exist; create it, or ${another}`;
  if (!about.isDirectory()) return `${folder} is not a folder; ${another}`;
  const there = lookAt(path, lstatSync);
  if (there?.isDirectory()) return `it is a folder; set a file in it with ${variable}`;
  if (there !== undefined && !there.isSocket()) {
    return `the file exists and is not a socket; remove it, or ${another}`;
  }
  if (!mayWriteTo(folder)) {
    return `this process${userText()} may not write to the folder ${folder}; grant it the permission, or ${another}`;
  }
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return `already in use; stop the other process or set ${variable}`;
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
