import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { HeaderList } from './http.ts';

/*
 * The address of the client behind proxies, found as Datadog's libraries find it: the first global address in the
 * fields below, else the first valid one if the peer is not global itself, else the peer.
 *
 * Any client can send these headers. Blocking by address is only as reliable as the edge that sets them;
 * DD_TRACE_CLIENT_IP_HEADER names the one to trust.
 */

/** Datadog's list, in its order. */
export const clientIpFields = [
  'x-forwarded-for',
  'x-real-ip',
  'true-client-ip',
  'x-client-ip',
  'forwarded',
  'forwarded-for',
  'x-cluster-client-ip',
  'fastly-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
] as const;
const knownFields: ReadonlySet<string> = new Set(clientIpFields);

const notGlobalRanges: ReadonlySet<string> = new Set([
  'unspecified',
  'private',
  'loopback',
  'linkLocal',
  'carrierGradeNat',
  'uniqueLocal',
  'deprecatedSiteLocal',
]);

interface Address {
  readonly text: string;
  readonly isGlobal: boolean;
}

export interface ClientIpOptions {
  /** The only field to consider (DD_TRACE_CLIENT_IP_HEADER). */
  readonly header?: string;
}

/**
 * The client's address in canonical form (RFC 5952 for IPv6), without port or zone; undefined when nothing names one.
 *
 * @param peer address of the TCP peer
 */
export function resolveClientIp(
  headers: HeaderList,
  peer: string | undefined,
  options: ClientIpOptions = {},
): string | undefined {
  const peerAddress = peer === undefined ? undefined : parseAddress(peer);
  const only = options.header?.trim().toLowerCase();
  const names = only !== undefined && only !== '' ? [only] : presentFields(headers);
  let firstPrivate: Address | undefined;
  for (const name of names) {
    for (const [fieldName, value] of headers) {
      if (fieldName !== name) continue;
      for (const candidate of name === 'forwarded' ? forwardedFor(value) : value.split(',')) {
        const address = parseAddress(candidate);
        if (address?.isGlobal) return address.text;
        firstPrivate ??= address;
      }
    }
  }
  if (firstPrivate !== undefined && !peerAddress?.isGlobal) return firstPrivate.text;
  return peerAddress?.text;
}

const nothing: readonly string[] = [];

/** The names among the headers that may hold an address, in the order of precedence. */
function presentFields(headers: HeaderList): readonly string[] {
  let isPresent = false;
  for (const [name] of headers) if (knownFields.has(name)) isPresent = true;
  return isPresent ? clientIpFields : nothing;
}

const forwardedPair =
  /(?:^|[;,\s])([\w-]{1,32})\s{0,8}=\s{0,8}(?:"([^"\\]*(?:\\[\s\S][^"\\]*)*)"|([^;,\s]*))/g;

/** The `for` parameters of a Forwarded field (RFC 7239, 4 and 5.2). */
function forwardedFor(value: string): string[] {
  const found: string[] = [];
  for (const [, name, quoted, token] of value.matchAll(forwardedPair)) {
    if (name?.toLowerCase() !== 'for') continue;
    found.push(quoted?.replace(/\\([\s\S])/g, '$1') ?? token ?? '');
  }
  return found;
}

/** Consecutive requests often come from one client, and behind a proxy all have the same peer. */
const remembered = new Map<string, Address>();
const maxRemembered = 1000;
const maxRememberedLength = 64;

function parseAddress(text: string): Address | undefined {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const address = readAddress(text);
  if (address === undefined || text.length > maxRememberedLength) return address;
  if (remembered.size >= maxRemembered) remembered.clear();
  remembered.set(text, address);
  return address;
}

/** Reads `a.b.c.d`, `a.b.c.d:port`, `[v6]`, `[v6]:port`, `v6`, `v6%zone`, in quotes or not; undefined for all else. */
function readAddress(text: string): Address | undefined {
  // Longer than any address with zone and port: not worth a look.
  if (text.length > 256) return undefined;
  let bare = text.trim().replace(/^"|"$/g, '').trim();
  if (bare.startsWith('[')) {
    const end = bare.indexOf(']');
    bare = bare.slice(1, end === -1 ? bare.length : end);
  } else if (bare.includes('.')) {
    const colon = bare.indexOf(':');
    if (colon !== -1 && colon === bare.lastIndexOf(':')) bare = bare.slice(0, colon);
  }
  const zone = bare.indexOf('%');
  if (zone !== -1) bare = bare.slice(0, zone);
  if (isIP(bare) === 0) return undefined;
  const address = ipaddr.process(bare);
  return { text: address.toString(), isGlobal: !notGlobalRanges.has(address.range()) };
}
