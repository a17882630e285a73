import { resolveClientIp } from './client-ip.ts';
import { parseCookies } from './cookies.ts';
import type { HeaderList, RequestHead, ResponseHead } from './http.ts';
import { headerValues } from './http.ts';
import { decodePercent, parseQuery } from './query.ts';
import type { WafInput } from './waf/waf-context.ts';

/*
 * HTTP values to WAF addresses. Names are libddwaf's; the shapes (arrays of values by lower-case name, the status as
 * text) are those that Datadog's rules are written for.
 */

export function requestInput(request: RequestHead, clientIp: string | undefined): WafInput {
  return {
    'server.request.method': request.method,
    'server.request.uri.raw': request.target,
    'server.request.headers.no_cookies': fieldsByName(request.headers, 'cookie'),
    'server.request.cookies': parseCookies(headerValues(request.headers, 'cookie')),
    'server.request.query': parseQuery(request.target),
    'server.request.path_params': pathParameters(request.target),
    'http.client_ip': clientIp,
  };
}

export function responseInput(response: ResponseHead): WafInput {
  return {
    'server.response.status': String(response.status),
    'server.response.headers.no_cookies': fieldsByName(response.headers, 'set-cookie'),
  };
}

export function clientIpOf(request: RequestHead, clientIpHeader: string | undefined): string | undefined {
  return resolveClientIp(
    request.headers,
    request.peerAddress,
    clientIpHeader === undefined ? {} : { header: clientIpHeader },
  );
}

/** What an ordinary path is made of: nothing that an attack could do without. */
const plainPath = /^[\w\-./~]*$/;

/**
 * Routes of an application turn parts of the path into parameters, and most rules look into parameters only. A proxy
 * knows no routes, so the whole decoded path is given as one parameter, unless it is plain.
 */
function pathParameters(target: string): { readonly path: string } | undefined {
  const queryStart = target.indexOf('?');
  const path = queryStart === -1 ? target : target.slice(0, queryStart);
  return plainPath.test(path) ? undefined : { path: decodePercent(path) };
}

/** A record without a prototype: `__proto__` is a legal field name and must not disappear. */
function fieldsByName(headers: HeaderList, excluded: string): Record<string, string[]> {
  const fields: Record<string, string[]> = Object.create(null);
  for (const [name, value] of headers) {
    if (name === excluded) continue;
    const values = fields[name];
    if (values === undefined) fields[name] = [value];
    else values.push(value);
  }
  return fields;
}
