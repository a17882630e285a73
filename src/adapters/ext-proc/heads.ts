import { isIP } from 'node:net';
import type { Application, HeaderList, RequestHead, ResponseHead } from '../../engine/http.ts';
import { headerValue, headerValues } from '../../engine/http.ts';
import { attributeNames, type Component } from './contract.ts';
import type { FlatStruct } from './wire/struct.ts';

/*
 * Header lists of Envoy to HTTP values. Envoy speaks HTTP/2 inside: what HTTP/1.1 has in the request line and in Host
 * stands in pseudo-header fields (RFC 9113, 8.3).
 */

/** What else is known of a request. */
export interface RequestSurroundings {
  /** Under the name of Envoy's filter; empty when Envoy is not configured to send any. */
  readonly attributes: FlatStruct;
  readonly application: Application | undefined;
  readonly component: Component;
  readonly endOfStream: boolean;
  /** DD_TRACE_CLIENT_IP_HEADER: the operator trusts this field and nothing else. */
  readonly clientIpHeader: string | undefined;
}

export function requestHeadOf(received: HeaderList, surroundings: RequestSurroundings): RequestHead {
  const { attributes, application, endOfStream } = surroundings;
  const pseudo = pseudoFields(received);
  const method = pseudo.get(':method') ?? '';
  const authority = pseudo.get(':authority');
  const headers = ordinaryFields(received);
  if (authority !== undefined && headerValue(headers, 'host') === undefined)
    headers.unshift(['host', authority]);
  const peer = peerOf(attributes, headers);
  return {
    method,
    // CONNECT has no path: its target is the authority (RFC 9110, 7.1).
    target: pseudo.get(':path') ?? (method === 'CONNECT' ? (authority ?? '') : ''),
    headers,
    peerAddress: peer?.address,
    peerPort: peer?.port,
    https: isHttps(pseudo.get(':scheme'), headers),
    declaredBodySize: undefined,
    endOfStream,
    application,
    clientIp: clientIpOf(headers, surroundings),
  };
}

export function responseHeadOf(received: HeaderList, application: Application | undefined): ResponseHead {
  const status = Number(pseudoFields(received).get(':status'));
  return {
    status: Number.isInteger(status) && status >= 0 && status <= 999 ? status : 0,
    headers: ordinaryFields(received),
    application,
  };
}

/** Content-Length where the message has one and it is a number; several that agree are one. */
export function declaredLength(headers: HeaderList): number | undefined {
  const [first, ...others] = headerValues(headers, 'content-length');
  if (first === undefined || others.some((other) => other !== first)) return undefined;
  return /^\d{1,15}$/.test(first.trim()) ? Number(first) : undefined;
}

function pseudoFields(received: HeaderList): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of received) {
    if (name.startsWith(':') && !fields.has(name)) fields.set(name, value);
  }
  return fields;
}

function ordinaryFields(received: HeaderList): (readonly [string, string])[] {
  return received.filter(([name]) => !name.startsWith(':'));
}

function isHttps(scheme: string | undefined, headers: HeaderList): boolean {
  const forwarded = headerValue(headers, 'x-forwarded-proto');
  return scheme?.toLowerCase() === 'https' || forwarded?.toLowerCase() === 'https';
}

/**
 * The attribute, else what Envoy wrote itself: x-envoy-external-address, or the last entry of X-Forwarded-For. Where the
 * operator lets clients through with fields of these names, the attribute is the only one to trust.
 */
function peerOf(attributes: FlatStruct, headers: HeaderList): HostAndPort | undefined {
  const attribute = attributes.get(attributeNames.sourceAddress);
  const external = headerValue(headers, 'x-envoy-external-address');
  const candidates = [attribute, external, forwardedFor(headers).at(-1)];
  for (const candidate of candidates) {
    const parsed = candidate === undefined ? undefined : parseHostAndPort(candidate);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

/**
 * Google's load balancers name the client in an attribute, and append two entries to X-Forwarded-For: the client's and
 * their own. Elsewhere nobody vouches for it, and the engine's rules decide.
 */
function clientIpOf(
  headers: HeaderList,
  { attributes, component, clientIpHeader }: RequestSurroundings,
): string | undefined {
  if (component !== 'gcp-service-extension' || clientIpHeader !== undefined) return undefined;
  const attribute = attributes.get(attributeNames.sourceIp);
  const candidate = attribute ?? forwardedFor(headers).at(-2);
  return candidate === undefined ? undefined : parseHostAndPort(candidate)?.address;
}

function forwardedFor(headers: HeaderList): string[] {
  return headerValues(headers, 'x-forwarded-for')
    .join(',')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

interface HostAndPort {
  readonly address: string;
  readonly port: number | undefined;
}

/** `192.0.2.7:80`, `[2001:db8::1]:80`, or an address alone; undefined for all else, for instance the path of a socket. */
function parseHostAndPort(text: string): HostAndPort | undefined {
  if (isIP(text) !== 0) return { address: text, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? '';
  if (isIP(address) === 0) return undefined;
  return { address, port: match?.[3] === undefined ? undefined : Number(match[3]) };
}
