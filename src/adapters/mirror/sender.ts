/*
 * What the fields of a copy mean, by who made it: a mirroring proxy adds fields of its own, changes some of the client's
 * and passes the others on, which anybody can write. Measured on NGINX 1.22 and 1.31, Envoy 1.40 and Traefik 3.7; the
 * table is in docs/mirror.md.
 */
import { isIP } from 'node:net';
import { type HeaderList, headerValue, headerValues } from '../../engine/http.ts';
import type { Wire } from './copy.ts';

/** Setting DD_REQUEST_MIRROR_SENDER. */
export type SenderSetting = 'auto' | SenderName;
export type SenderName = 'envoy' | 'nginx' | 'traefik' | 'none';

/** `unknown`: `auto` has found no mark of Envoy's; only what all the others agree on is believed. */
export type Sender = SenderName | 'unknown';

/** A copy as it came. */
export interface CopiedHead {
  readonly wire: Wire;
  /** Name of the first Host field, in the case that it came in; undefined: there is none. */
  readonly rawHostName: string | undefined;
  /** Names in lower case. */
  readonly headers: HeaderList;
}

/** What the client sent, as far as can be known. */
export interface Original {
  /** As the client sent them: without what the mirror has added to Host and X-Forwarded-For. */
  readonly headers: HeaderList;
  readonly https: boolean;
  /** The sender vouches for it; undefined: the engine's rules decide. */
  readonly clientIp: string | undefined;
}

/**
 * Who made the copy. Marks that a client can send through another proxy are not enough: HTTP/1 of Envoy alone has `host`
 * in lower case; over HTTP/2, where all names are, NGINX sends no `:authority` and Traefik names itself.
 */
export function senderOf(setting: SenderSetting, { wire, rawHostName, headers }: CopiedHead): Sender {
  if (setting !== 'auto') return setting;
  if (headerValue(headers, 'x-envoy-internal') !== 'true') return 'unknown';
  if (wire === 'http1') return rawHostName === 'host' ? 'envoy' : 'unknown';
  const ofTraefik = headerValue(headers, 'x-forwarded-server') !== undefined;
  return wire === 'http2' && !ofTraefik ? 'envoy' : 'unknown';
}

/** @param tls of the connection that the copy came on: what is left where no field says it. */
export function originalOf(sender: Sender, copied: CopiedHead, tls: boolean): Original {
  const { headers } = copied;
  switch (sender) {
    case 'envoy': {
      const clients = withoutMirror(headers);
      return {
        headers: clients,
        https: isHttps(headerValue(headers, 'x-forwarded-proto')) ?? tls,
        clientIp: externalAddress(clients),
      };
    }
    case 'nginx':
      return { headers, https: schemeOfNginx(headers) ?? tls, clientIp: clientOfNginx(headers) };
    case 'traefik':
      return {
        headers: withHost(headers, headerValue(headers, 'x-forwarded-host')),
        https: isHttps(headerValue(headers, 'x-forwarded-proto')) ?? tls,
        clientIp: addressIn(headers, 'x-real-ip'),
      };
    case 'unknown':
      return { headers, https: schemeOfNginx(headers) ?? tls, clientIp: undefined };
    case 'none':
      return { headers, https: tls, clientIp: undefined };
  }
}

/** Nothing that the sender says is believed: it is the client. */
export function untrustedOriginal(
  { headers }: CopiedHead,
  tls: boolean,
  peerAddress: string | undefined,
): Original {
  return { headers, https: tls, clientIp: peerAddress };
}

/**
 * Envoy's mirror appends its own address to X-Forwarded-For, and `-shadow` to the host, before its port. The first copy
 * of either field is Envoy's: it joins repeated ones.
 */
function withoutMirror(headers: HeaderList): HeaderList {
  const last = headers.findLastIndex(([name]) => name === 'x-forwarded-for');
  return headers.flatMap(([name, value], index): (readonly [string, string])[] => {
    if (name === 'host') return [[name, withoutShadow(value)]];
    if (index !== last) return [[name, value]];
    const comma = value.lastIndexOf(',');
    return comma === -1 ? [] : [[name, value.slice(0, comma).trimEnd()]];
  });
}

/** `a-shadow` and `a-shadow:8443`, `[::1]-shadow:80`, and `-shadow` for an empty host. */
export function withoutShadow(host: string): string {
  return host.replace(/-shadow(:\d*)?$/, '$1');
}

function withHost(headers: HeaderList, host: string | undefined): HeaderList {
  if (host === undefined || host === '') return headers;
  return [['host', host], ...headers.filter(([name]) => name !== 'host')];
}

/** `https` and `wss`; undefined when the field says nothing. The first of a list is the client's. */
function isHttps(scheme: string | undefined): boolean | undefined {
  const first = scheme?.split(',', 1)[0]?.trim().toLowerCase();
  if (first === 'https' || first === 'wss') return true;
  return first === 'http' || first === 'ws' ? false : undefined;
}

/** An Envoy at the edge overwrites it with an address of X-Forwarded-For; another one passes on the client's own. */
function externalAddress(headers: HeaderList): string | undefined {
  const address = addressIn(headers, 'x-envoy-external-address');
  const hops = headerValues(headers, 'x-forwarded-for').flatMap((value) => value.split(','));
  return hops.some((hop) => hop.trim() === address) ? address : undefined;
}

/**
 * Wallarm's configuration begins with X-SERVER-PORT, before Host. NGINX sends the fields of its configuration before those
 * of the client, in their order, so that no client can write it there.
 */
function isWallarms(headers: HeaderList): boolean {
  const names = headers.map(([name]) => name);
  const port = names.indexOf('x-server-port');
  return port !== -1 && port < names.indexOf('host');
}

/** In Wallarm's configuration X-Scheme is the scheme, and X-Forwarded-Proto the client's own. */
function schemeOfNginx(headers: HeaderList): boolean | undefined {
  const [xScheme, xForwardedProto] = ['x-scheme', 'x-forwarded-proto'].map((name) =>
    isHttps(headerValue(headers, name)),
  );
  return isWallarms(headers) ? (xScheme ?? xForwardedProto) : (xForwardedProto ?? xScheme);
}

/**
 * X-Real-IP stands before X-Forwarded-For where the configuration sets both; a client's own would come behind it.
 * Wallarm's sets X-Forwarded-For alone, to whoever has connected.
 */
function clientOfNginx(headers: HeaderList): string | undefined {
  if (isWallarms(headers)) return addressIn(headers, 'x-forwarded-for');
  const names = headers.map(([name]) => name);
  const [real, forwarded] = [names.indexOf('x-real-ip'), names.indexOf('x-forwarded-for')];
  return real !== -1 && real < forwarded ? addressIn(headers, 'x-real-ip') : undefined;
}

/** The address that is all of a field. */
function addressIn(headers: HeaderList, name: string): string | undefined {
  const value = headerValue(headers, name)?.trim();
  return value !== undefined && isIP(value) !== 0 ? value : undefined;
}
