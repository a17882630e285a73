import type { BodyPhase } from './body/body-streams.ts';
import type { InspectedBody } from './body/inspected-body.ts';
import { resolveClientIp } from './client-ip.ts';
import { parseCookies } from './cookies.ts';
import type { HeaderList, RequestHead, ResponseHead } from './http.ts';
import { headerValues } from './http.ts';
import { decodePercent, doubtfulReadings, hasDoubtfulEscape, type Parameters, parseQuery } from './query.ts';
import type { WafInput } from './waf/waf-context.ts';
import type { WafEvent } from './waf/waf-result.ts';

/*
 * HTTP values to WAF addresses. Names are libddwaf's; the shapes (arrays of values by lower-case name, the status as
 * text) are those that Datadog's rules are written for.
 *
 * A name with one value has the value itself in place of an array of one: rules see no difference, and half of the
 * binding's work is saved. What differs is put right where it shows: schemas are taken of arrays (`asLists`), and
 * events name the place in the array (see withListIndices).
 */

/** @param asLists every name has an array of values, for the schema. */
export function requestInput(request: RequestHead, clientIp: string | undefined, asLists = false): WafInput {
  const shaped = (parameters: Parameters): Record<string, Values> =>
    asLists ? parameters : compacted(parameters);
  return {
    'server.request.method': request.method,
    'server.request.uri.raw': request.target,
    'server.request.headers.no_cookies': () => fieldsByName(request.headers, 'cookie', asLists),
    'server.request.cookies': () => shaped(parseCookies(headerValues(request.headers, 'cookie'))),
    'server.request.query': () => shaped(parseQuery(request.target)),
    'server.request.path_params': () => pathParameters(request.target),
    'http.client_ip': clientIp,
  };
}

/** As `requestInput`. */
export function responseInput(response: ResponseHead, asLists = false): WafInput {
  return {
    'server.response.status': String(response.status),
    'server.response.headers.no_cookies': () => fieldsByName(response.headers, 'set-cookie', asLists),
  };
}

/** Of a body, and of the names of the files in it. */
export const bodyAddresses = {
  'request-body': ['server.request.body', 'server.request.body.filenames'],
  'response-body': ['server.response.body', 'server.response.body.filenames'],
} as const;

export function bodyInput(phase: BodyPhase, { body, filenames }: InspectedBody): WafInput {
  const [bodyAddress, filenamesAddress] = bodyAddresses[phase];
  return { [bodyAddress]: body, [filenamesAddress]: filenames.length > 0 ? filenames : undefined };
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
function pathParameters(target: string): { readonly path: Values } | undefined {
  const queryStart = target.indexOf('?');
  const path = queryStart === -1 ? target : target.slice(0, queryStart);
  if (plainPath.test(path)) return undefined;
  const decoded = decodePercent(path);
  return { path: hasDoubtfulEscape(path) ? [decoded, ...doubtfulReadings(path)] : decoded };
}

type Values = string | string[];

/** A record without a prototype: `__proto__` is a legal field name and must not disappear. */
function fieldsByName(headers: HeaderList, excluded: string, asLists: boolean): Record<string, Values> {
  const fields: Record<string, Values> = Object.create(null);
  for (const [name, value] of headers) {
    if (name === excluded) continue;
    const values = fields[name];
    if (values === undefined) fields[name] = asLists ? [value] : value;
    else if (typeof values === 'string') fields[name] = [values, value];
    else values.push(value);
  }
  return fields;
}

function compacted(parameters: Parameters): Record<string, Values> {
  const values: Record<string, Values> = parameters;
  for (const name in parameters) {
    const [first, ...more] = parameters[name] ?? [];
    if (first !== undefined && more.length === 0) values[name] = first;
  }
  return values;
}

const listAddresses: ReadonlySet<string> = new Set([
  'server.request.headers.no_cookies',
  'server.request.cookies',
  'server.request.query',
  'server.response.headers.no_cookies',
]);

/**
 * The same events, as they are when every name has an array of values: a match in the only value of a name lies at its
 * index 0. A match in the name itself (its text is the inspected value) has no index.
 */
export function withListIndices(events: readonly WafEvent[]): readonly WafEvent[] {
  return events.map((event) => ({
    ...event,
    rule_matches: event.rule_matches.map((match) => ({
      ...match,
      parameters: match.parameters.map((parameter) => {
        const { address, key_path: path, value } = parameter;
        const [name] = path ?? [];
        const inOnlyValue =
          path?.length === 1 && name !== value && address !== undefined && listAddresses.has(address);
        return inOnlyValue ? { ...parameter, key_path: [...path, '0'] } : parameter;
      }),
    })),
  }));
}
