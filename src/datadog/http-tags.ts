import { STATUS_CODES } from 'node:http';
import { isIP } from 'node:net';
import { clientIpFields } from '../engine/client-ip.ts';
import { type HeaderList, headerValue, type RequestHead } from '../engine/http.ts';
import type { QueryObfuscator } from '../engine/query-obfuscator.ts';
import { cleanPath, endpointOf } from './endpoint.ts';

/*
 * HTTP as tags of a span: names and values as in Datadog's own proxies.
 */

export type Tags = Record<string, string | number>;

export interface HttpTagSettings {
  readonly queryObfuscator: QueryObfuscator;
  /** Drop the query from `http.url`. */
  readonly queryDisabled: boolean;
  /** Keep only these parameters; wins over the obfuscator. */
  readonly queryAllowlist: readonly string[] | undefined;
  /** Statuses that make a span an error. */
  readonly isErrorStatus: (status: number) => boolean;
  /** The configured client IP header is collected too. */
  readonly clientIpHeader: string | undefined;
}

/** Collected on request and response alike, whether or not anything was detected. */
const collectedHeaders: ReadonlySet<string> = new Set([
  ...clientIpFields,
  'accept',
  'accept-encoding',
  'accept-language',
  'akamai-user-risk',
  'cf-ray',
  'cloudfront-viewer-ja3-fingerprint',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'host',
  'user-agent',
  'via',
  'x-amzn-trace-id',
  'x-appgw-trace-id',
  'x-cloud-trace-context',
  'x-forwarded',
  'x-sigsci-requestid',
  'x-sigsci-tags',
]);

/** Requests of Datadog's own scanners say so. */
const scannerHeaders: ReadonlySet<string> = new Set(['x-datadog-endpoint-scan', 'x-datadog-security-test']);

export function requestTags(request: RequestHead, settings: HttpTagSettings): Tags {
  const host = headerValue(request.headers, 'host') ?? '';
  const queryStart = request.target.indexOf('?');
  const path = queryStart === -1 ? request.target : request.target.slice(0, queryStart);
  const tags: Tags = {
    'resource.name': `${request.method} ${cleanPath(path)}`,
    'http.method': request.method,
    'http.url': urlOf(request, host, path, settings),
    'http.useragent': headerValue(request.headers, 'user-agent') ?? '',
    'http.endpoint': endpointOf(path),
  };
  if (host !== '') tags['http.host'] = host;
  if (request.peerAddress !== undefined && isIP(request.peerAddress) !== 0) {
    tags['network.client.ip'] = request.peerAddress;
  }
  addHeaders(tags, 'http.request.headers.', request.headers, settings.clientIpHeader);
  for (const name of scannerHeaders) {
    const value = headerValue(request.headers, name);
    if (value !== undefined) tags[`http.request.headers.${name}`] = value;
  }
  return tags;
}

/** @param headers of the origin's response; empty when the client got ours instead. */
export function responseTags(
  status: number | undefined,
  headers: HeaderList,
  settings: HttpTagSettings,
): Tags {
  const tags: Tags = {};
  if (status !== undefined) {
    tags['http.status_code'] = String(status);
    if (settings.isErrorStatus(status)) {
      tags['error'] = 1;
      tags['error.type'] = String(status);
      tags['error.message'] = `${status}: ${STATUS_CODES[status] ?? 'unknown'}`;
    }
  }
  addHeaders(tags, 'http.response.headers.', headers, settings.clientIpHeader);
  return tags;
}

function addHeaders(tags: Tags, prefix: string, headers: HeaderList, extra: string | undefined): void {
  for (const [name, value] of headers) {
    if (!collectedHeaders.has(name) && name !== extra) continue;
    const tag = prefix + name;
    const former = tags[tag];
    tags[tag] = former === undefined ? value : `${former},${value}`;
  }
}

function urlOf(request: RequestHead, host: string, path: string, settings: HttpTagSettings): string {
  const origin = path.startsWith('/') ? `${request.https ? 'https' : 'http'}://${host}` : '';
  return origin + path + queryOf(request.target, path.length, settings);
}

function queryOf(target: string, pathLength: number, settings: HttpTagSettings): string {
  if (settings.queryDisabled || target.length === pathLength) return '';
  const allowed = settings.queryAllowlist;
  if (allowed === undefined) return settings.queryObfuscator.obfuscate(target).slice(pathLength);
  const pairs = target
    .slice(pathLength + 1)
    .split('&')
    .filter((pair) => allowed.includes(pair.split('=', 1)[0] ?? ''));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}
