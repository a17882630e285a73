import { gzipSync } from 'node:zlib';
import type { Exchange } from './door-driver.ts';

/** Requests with an attack in them, as an attacker would send them: through no door does one slip past. */
export interface HostileExchange {
  readonly what: string;
  readonly phase: 'request-headers' | 'request-body' | 'response-headers' | 'response-body';
  readonly rule: string;
  /** Added to a target of its own. */
  readonly query?: string;
  readonly path?: string;
  readonly parts?: Omit<Exchange, 'target'>;
}

const block = 'attack-block';

function inHead(what: string, rest: Pick<HostileExchange, 'query' | 'path' | 'parts'>): HostileExchange {
  return { what, phase: 'request-headers', rule: 'req-block', ...rest };
}

function inBody(what: string, type: string, body: string | Buffer, headers = {}): HostileExchange {
  const parts = { method: 'POST', headers: { 'content-type': type, ...headers }, body };
  return { what, phase: 'request-body', rule: 'req-block', parts };
}

function inResponse(
  what: string,
  phase: 'response-headers' | 'response-body',
  rule: string,
  response: NonNullable<Exchange['response']>,
): HostileExchange {
  return { what, phase, rule, parts: { response } };
}

const multipart = (lines: readonly string[]): string => lines.join('\r\n');
const form = 'application/x-www-form-urlencoded';
const formData = 'multipart/form-data; boundary=edge';

export const hostileRequests: readonly HostileExchange[] = [
  inHead('the query', { query: `q=${block}` }),
  inHead('the query, escaped', { query: 'q=%61ttack%2Dblock' }),
  inHead('the query, behind an escape that is none', { query: `a=%zz%&q=${block}` }),
  inHead('a parameter of many', { query: `${'a=1&'.repeat(200)}q=${block}` }),
  inHead('the path', { path: `/${block}` }),
  inHead('a header', { parts: { headers: { 'x-search': block } } }),
  inHead('a header with bytes beyond ASCII', { parts: { headers: { 'x-search': `\u00ff\u00fe ${block}` } } }),
  inHead('a cookie', { parts: { headers: { cookie: `a=1; b=${block}` } } }),
  inHead('a cookie without a name', { parts: { headers: { cookie: `;;=; =${block}` } } }),
  inBody('JSON', 'application/json', JSON.stringify({ list: [1, { deep: block }] })),
  inBody('JSON that breaks off', 'application/json', `{"list":["${block}"`),
  inBody('JSON of a vendor, in another charset', 'application/vnd.x+json; charset=nonsense', `["${block}"]`),
  inBody('JSON that says it is a form', form, JSON.stringify({ a: block })),
  inBody('JSON, compressed', 'application/json', gzipSync(JSON.stringify([block])), {
    'content-encoding': 'gzip',
  }),
  inBody('JSON that only says it is compressed', 'application/json', `["${block}"]`, {
    'content-encoding': 'gzip',
  }),
  inBody('a form', form, `a=1&b=${block}`),
  inBody('a form with escapes that are none', form, `a=%&%zz=%f&b=${block}`),
  inBody(
    'a multipart form',
    formData,
    multipart(['--edge', 'content-disposition: form-data; name="a"', '', block, '--edge--', '']),
  ),
  inBody(
    'the name of a file in a multipart form without an end',
    formData,
    multipart(['--edge', `content-disposition: form-data; name="a"; filename="${block}.php"`, '', 'x']),
  ),
];

export const hostileResponses: readonly HostileExchange[] = [
  inResponse('a header', 'response-headers', 'res-header-block', { headers: { 'x-leak': 'leak-block' } }),
  inResponse('the body', 'response-body', 'res-body-block', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ rows: ['leak-block'] }),
  }),
];

/** For a door's own socket: what no client of its protocol sends. */
export const hostileByteStrings: Readonly<Record<string, Buffer>> = {
  'one byte': Buffer.from([0]),
  'a request of HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: site.example\r\n\r\n'),
  'a ClientHello of TLS': Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]),
  'a length of four gigabytes': Buffer.alloc(64, 0xff),
  'a length of nothing': Buffer.alloc(64, 0),
  'words without meaning': Buffer.from('request\n\n\nrequest-body more\n\n'),
};
