import { isIPv4, isIPv6 } from 'node:net';
import { nameList, type Parser } from '../../../config/parsers.ts';

/** Where an agent may be, as an operator wrote it: a name may stand for several addresses. */
export interface PeerAddress {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const defaultPort = 3000;

/** `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; undefined for anything else. */
export function parsePeerAddress(text: string): PeerAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, name, digits] = match;
  const host = bracketed ?? name ?? '';
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  // A name of digits and dots that is no IPv4 address is a mistyped one.
  if (name !== undefined && /^[\d.]+$/.test(name) && !isIPv4(name)) return undefined;
  return { host, port };
}

/** As `parsePeerAddress` reads it. */
export function describePeerAddress({ host, port }: PeerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export const peerAddresses: Parser<readonly PeerAddress[]> = {
  allowed:
    "addresses as host or host:port, separated by commas (IPv6 in brackets; default port 3000), for instance 'spoa-1,[2001:db8::2]:3000'",
  parse(value) {
    const addresses: PeerAddress[] = [];
    for (const part of nameList.parse(value) ?? []) {
      const address = parsePeerAddress(part);
      if (address === undefined) return undefined;
      addresses.push(address);
    }
    return addresses.length === 0 ? undefined : addresses;
  },
};
