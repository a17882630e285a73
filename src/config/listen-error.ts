import { hostAndPort, type ListenAddress } from '../net/address.ts';
import { StartError } from './errors.ts';

/** Settings that say where something listens. */
export interface ListenSettings {
  readonly host: string;
  readonly port: string;
  readonly socket?: string;
}

/** Why something cannot listen, for the operator: the address, the reason, the setting to change. */
export function explainListen(cause: unknown, address: ListenAddress, settings: ListenSettings): StartError {
  const isPath = 'socketPath' in address;
  const where = isPath ? address.socketPath : hostAndPort(address.host, address.port);
  const variable = isPath ? (settings.socket ?? settings.port) : settings.port;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `already in use; stop the other process or set ${variable}`,
    EACCES: `not permitted; choose another with ${variable}`,
    ENOTFOUND: `is no address of this machine; set ${settings.host}`,
    EADDRNOTAVAIL: `is no address of this machine; set ${settings.host}`,
  };
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new StartError(`cannot listen on ${where}: ${reasons[code] ?? String(cause)}`, { cause });
}
