import type { Parser } from '../../config/parsers.ts';
import type { ListenAddress } from '../../net/address.ts';

/*
 * Addresses as Go programs take them: `:8080` is that port on every address of the machine. `unix:/path` is a socket.
 */

/** One place to listen, and the service of what arrives there. Plain data: it goes to the engine threads. */
export interface MirrorAddress {
  readonly address: ListenAddress;
  /** Undefined: nothing is said by the address. */
  readonly service: string | undefined;
}

/** Every address, IPv6 and IPv4. */
export const everyAddress = '::';

/** One address; undefined when it is none. */
export function parseGoAddress(text: string): ListenAddress | undefined {
  const socketPath = /^unix:(?:\/\/)?(\/.+)$/.exec(text)?.[1];
  if (socketPath !== undefined) return { socketPath };
  const match = /^(?:\[([\da-fA-F:.%\w]+)\]|([^:[\]/\s]*)):(\d{1,5}|http|https)$/.exec(text);
  if (match === null) return undefined;
  const [, literal, name, port = ''] = match;
  const number = port === 'http' ? 80 : port === 'https' ? 443 : Number(port);
  if (number > 65_535) return undefined;
  return { host: literal ?? (name || everyAddress), port: number };
}

export const goAddress: Parser<ListenAddress> = {
  allowed: "an address as Go programs take it, for instance ':8081', '127.0.0.1:8081' or '[::1]:8081'",
  parse(text) {
    const address = parseGoAddress(text);
    return address === undefined || 'socketPath' in address ? undefined : address;
  },
};

export const mirrorAddresses: Parser<readonly MirrorAddress[]> = {
  allowed:
    "addresses separated by commas, each with the service of what arrives there or without, for instance ':8080', '127.0.0.1:8080=shop,unix:/run/mirror.sock=admin'",
  parse(text) {
    const addresses: MirrorAddress[] = [];
    for (const part of text.split(',')) {
      const [where = '', ...service] = part.trim().split('=');
      const address = parseGoAddress(where);
      const name = service.join('=').trim();
      if (address === undefined || (service.length > 0 && name === '')) return undefined;
      addresses.push({ address, service: name || undefined });
    }
    return addresses;
  },
};
