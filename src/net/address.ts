import { lstatSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';

/** Where a door listens. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

/** `192.0.2.7:3000`, `[2001:db8::1]:3000`. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What a listening socket says of itself: `127.0.0.1:3000`, or the path of a unix socket. */
export function describeAddress(address: AddressInfo | string | null): string {
  if (address === null) return 'nowhere';
  return typeof address === 'string' ? address : hostAndPort(address.address, address.port);
}

/** Removes a socket file that a killed process left. A live one stays: listening then fails with EADDRINUSE. */
export async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    // Any other error (a full backlog, no permission) says that somebody may be there.
    probe.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code === 'ECONNREFUSED'));
  });
  if (stale) unlinkSync(path);
}
