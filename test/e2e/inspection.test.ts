// What the daemon looks at, through real HAProxy with the shipped files: each part of a request and of a response,
// once with an attack that is reported and once with one that is blocked.
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { fetchOnce, Http1Connection, header, type RequestParts } from './support/http-client.ts';
import { shareProtectedProxy } from './support/protected-proxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

/** An attack hidden in one part of a request, and where the log must say that it was found. */
interface Hiding {
  readonly where: string;
  readonly request: (attack: string) => RequestParts;
  readonly address: string;
  readonly keyPath?: readonly string[];
}

const post = (type: string, body: string | Buffer, headers: Record<string, string> = {}): RequestParts => ({
  ...{ method: 'POST', body, headers: { 'content-type': type, ...headers } },
});
const multipart = (part: string, content: string): RequestParts =>
  post(
    'multipart/form-data; boundary=zz',
    `--zz\r\ncontent-disposition: form-data; ${part}\r\n\r\n${content}\r\n--zz--\r\n`,
  );
const body = 'server.request.body';
const fields = 'server.request.headers.no_cookies';
/** Larger than everything that HAProxy can keep of it. */
const filler = 'x'.repeat(60_000);

const hidings: readonly Hiding[] = [
  {
    where: 'a request header',
    request: (attack) => ({ headers: { 'x-any': attack } }),
    ...{ address: fields, keyPath: ['x-any', '0'] },
  },
  {
    where: 'the query, percent-encoded',
    request: (attack) => ({ target: `/?a=1&b=${attack.replace('-', '%2D')}` }),
    ...{ address: 'server.request.query', keyPath: ['b', '0'] },
  },
  {
    where: 'a cookie',
    request: (attack) => ({ headers: { cookie: `a=1; b=${attack}` } }),
    ...{ address: 'server.request.cookies', keyPath: ['b', '0'] },
  },
  {
    where: 'a whole body of text',
    request: (attack) => post('text/plain', `some ${attack} words`),
    address: body,
  },
  {
    where: 'a JSON body',
    request: (attack) => post('application/json', JSON.stringify({ a: { b: [attack] } })),
    ...{ address: body, keyPath: ['a', 'b', '0'] },
  },
  {
    where: "the beginning of a JSON body that is cut off at HAProxy's buffer",
    request: (attack) => post('application/json', JSON.stringify({ a: attack, filler })),
    ...{ address: body, keyPath: ['a'] },
  },
  {
    where: 'a form',
    request: (attack) => post('application/x-www-form-urlencoded', `a=1&b=${attack.replace('-', '%2D')}`),
    ...{ address: body, keyPath: ['b', '0'] },
  },
  {
    where: 'a multipart field',
    request: (attack) => multipart('name="field"', attack),
    ...{ address: body, keyPath: ['field', '0'] },
  },
  {
    where: 'a multipart file name',
    request: (attack) => multipart(`name="file"; filename="${attack}.txt"`, 'harmless'),
    address: 'server.request.body.filenames',
  },
  {
    where: 'a gzip body',
    request: (attack) =>
      post('application/json', gzipSync(JSON.stringify({ a: attack })), { 'content-encoding': 'gzip' }),
    ...{ address: body, keyPath: ['a'] },
  },
  {
    where: 'XML',
    request: (attack) => post('application/xml', `<a b="c"><d>${attack}</d></a>`),
    address: body,
  },
  {
    where: 'a body whose media type is malformed by a repeated parameter',
    request: (attack) =>
      post('application/json; charset=utf-8; charset=utf-8', JSON.stringify({ a: attack })),
    address: body,
  },
  {
    where: 'a body whose media type nobody knows',
    request: (attack) => post('x-made/up', `?${attack}?`),
    address: body,
  },
  {
    where: 'a body that calls itself JSON and is none',
    request: (attack) => post('application/json', `{"a": oops ${attack}`),
    address: body,
  },
];

describeEachHaproxy('requests are inspected', (binary) => {
  const proxy = shareProtectedProxy(binary);
  let requests = 0;

  it.each(hidings)('an attack in $where is reported', async ({ request, address, keyPath }) => {
    const mark = `reported-${requests++}`;
    const { target, ...rest } = request('attack-report');
    const response = await fetchOnce(proxy().httpPort, {
      ...rest,
      target: `${target ?? '/echo?'}&mark=${mark}`,
    });
    expect(response.status).toBe(200);
    const event = await proxy().daemon.securityEvent(mark);
    expect(event).toMatchObject({ verdict: 'report', msg: 'attack reported' });
    expect(event.rules.map(({ id }) => id)).toEqual(['req-report']);
    expect(event.rules[0]?.matches[0]?.address).toBe(address);
    if (keyPath !== undefined) expect(event.rules[0]?.matches[0]?.key_path).toEqual(keyPath);
    expect(proxy().reached(mark)).toBe(true);
  });

  it.each(hidings)('an attack in $where is blocked', async ({ request, address }) => {
    const mark = `blocked-${requests++}`;
    const { target, ...rest } = request('attack-block');
    const response = await fetchOnce(proxy().httpPort, {
      ...rest,
      target: `${target ?? '/echo?'}&mark=${mark}`,
    });
    expect(response.status).toBe(403);
    expect(header(response, 'content-type')).toBe('application/json');
    const event = await proxy().daemon.securityEvent(mark);
    expect(event).toMatchObject({ verdict: 'block', msg: 'attack blocked' });
    expect(event.rules.map(({ id }) => id)).toEqual(['req-block']);
    expect(event.rules[0]?.matches[0]?.address).toBe(address);
    expect(JSON.parse(response.body)).toMatchObject({ security_response_id: event.security_response_id });
    expect(proxy().reached(mark)).toBe(false);
  });

  it('a body of which HAProxy sends only a part is counted as partial', async () => {
    const before = await proxy().daemon.metric('bodies_partial_total', { phase: 'request-body' });
    const partial = post('application/json', JSON.stringify({ a: 'harmless', filler }));
    const response = await fetchOnce(proxy().httpPort, { ...partial, target: '/echo' });
    expect(response.body).toHaveLength(String(partial.body).length);
    const after = await proxy().daemon.metric('bodies_partial_total', { phase: 'request-body' });
    expect(after - before).toBe(1);
  });

  it.each([
    ['without a Host header', 'GET /?q=attack-block&mark=MARK HTTP/1.0\r\n\r\n'],
    ['with a Host that fits into no URL', 'GET /?q=attack-block&mark=MARK HTTP/1.1\r\nhost: a%zz\r\n\r\n'],
    [
      'with a target full of bad escapes',
      'GET /%zz%zz%%%q%1%z%?q=attack-block&mark=MARK HTTP/1.1\r\nhost: a\r\n\r\n',
    ],
    [
      'with an absolute target',
      'GET http://site.example/?q=attack-block&mark=MARK HTTP/1.1\r\nhost: site.example\r\n\r\n',
    ],
    ['for *', 'OPTIONS * HTTP/1.1\r\nhost: site.example\r\nx-any: attack-block\r\n\r\n'],
  ])('a request %s is inspected like any other', async (_what, bytes) => {
    const connection = new Http1Connection(proxy().httpPort);
    connection.write(bytes.replace('MARK', `odd-${requests++}`));
    const { status } = await connection.response();
    connection.close();
    expect(status).toBe(403);
  });

  it('a client cannot bring a verdict along', async () => {
    const headers = { 'txn.dd.blocked': 'true', 'dd.verdict': 'pass', 'dd-span-id': '1' };
    const { status } = await fetchOnce(proxy().httpPort, { headers, target: '/?q=attack-block' });
    expect(status).toBe(403);
  });
});

describeEachHaproxy('responses are inspected', (binary) => {
  const proxy = shareProtectedProxy(binary);
  const parts = [
    ['headers', (kind: string) => `/say?header=leak-${kind}`, 'res-header', 'response-headers'],
    [
      'status',
      (kind: string) => `/status/${kind === 'block' ? 508 : 507}?`,
      'res-status',
      'response-headers',
    ],
    ['body', (kind: string) => `/say?leak=leak-${kind}`, 'res-body', 'response-body'],
  ] as const;

  it.each(parts)('an attack in the response %s is reported', async (part, target, rule, phase) => {
    const mark = `reported-${part}`;
    const response = await fetchOnce(proxy().httpPort, { target: `${target('report')}&mark=${mark}` });
    expect(response.status).toBe(part === 'status' ? 507 : 200);
    expect(response.body).toContain(part === 'status' ? 'status 507' : 'page that a block must hide');
    const event = await proxy().daemon.securityEvent(mark);
    expect(event).toMatchObject({ phase, verdict: 'report', status: response.status });
    expect(event.rules.map(({ id }) => id)).toEqual([`${rule}-report`]);
  });

  it.each(parts)('an attack in the response %s is blocked', async (part, target, rule, phase) => {
    const mark = `blocked-${part}`;
    const response = await fetchOnce(proxy().httpPort, { target: `${target('block')}&mark=${mark}` });
    const event = await proxy().daemon.securityEvent(mark);
    expect(event).toMatchObject({ phase, verdict: 'block', msg: 'attack blocked' });
    expect(event.rules.map(({ id }) => id)).toEqual([`${rule}-block`]);
    expect(response.status).toBe(403);
    expect(JSON.parse(response.body)).toMatchObject({ security_response_id: event.security_response_id });
    expect(response.body).not.toContain('page that a block must hide');
    expect(header(response, 'x-leak')).toBeUndefined();
    expect(proxy().reached(mark)).toBe(true);
  });

  it('a rule about request and response together blocks', async () => {
    expect((await fetchOnce(proxy().httpPort, { target: '/?exposed=yes' })).status).toBe(403);
    expect((await fetchOnce(proxy().httpPort, { target: '/status/404?exposed=yes' })).status).toBe(404);
    expect((await fetchOnce(proxy().httpPort, { target: '/?exposed=no' })).status).toBe(200);
  });
});
