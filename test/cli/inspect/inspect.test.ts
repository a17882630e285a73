import { beforeAll, describe, expect, it } from 'vitest';
import {
  type GivenRequest,
  parseRawRequest,
  parseRawResponse,
  type RequestFlags,
  requestFromUrl,
} from '../../../src/cli/inspect/message.ts';
import { printReport } from '../../../src/cli/inspect/print.ts';
import {
  createInspectEngine,
  InspectObserver,
  type InspectReport,
  inspect,
} from '../../../src/cli/inspect/run.ts';
import { readConfig } from '../../../src/daemon/settings.ts';
import { Waf } from '../../../src/engine/waf/waf.ts';

const peerAddress = '203.0.113.9';
const noFlags: RequestFlags = { method: undefined, headers: [], body: undefined, peerAddress };

function raw(text: string): GivenRequest {
  return parseRawRequest(Buffer.from(text), 'standard input', peerAddress);
}

describe('a request from a URL', () => {
  it('is a GET of path and query as typed, with the Host', () => {
    const { head, body } = requestFromUrl('http://shop.example:81/a//b/../c?q=%zz&q=<x>#part', noFlags);
    expect(head).toMatchObject({
      method: 'GET',
      target: '/a//b/../c?q=%zz&q=<x>',
      https: false,
      peerAddress,
    });
    expect(head.headers).toEqual([['host', 'shop.example:81']]);
    expect(body).toHaveLength(0);
  });

  it.each([
    ['https://shop.example', '/', 'shop.example', true],
    ['shop.example?q', '/?q', 'shop.example', false],
    ['/only/path', '/only/path', undefined, false],
    ['http://user:secret@shop.example/', '/', 'shop.example', false],
    ['http://x/a b\té', '/a%20b%09%C3%A9', 'x', false],
  ])('%s asks for %s', (url, target, host, https) => {
    const { head } = requestFromUrl(url, noFlags);
    expect(head).toMatchObject({ target, https });
    expect(head.headers.find(([name]) => name === 'host')?.[1]).toBe(host);
  });

  it('with a body is a POST of a form, as with curl', () => {
    const { head } = requestFromUrl('http://x/', { ...noFlags, body: Buffer.from('a=1') });
    expect(head.method).toBe('POST');
    expect(head.declaredBodySize).toBe(3);
    expect(head.headers).toContainEqual(['content-type', 'application/x-www-form-urlencoded']);
    expect(head.headers).toContainEqual(['content-length', '3']);
  });

  it('takes method, header fields and Host as given', () => {
    const headers = ['X-A:  b: c ', 'HOST: other', 'X-A: d'];
    const { head } = requestFromUrl('http://x/', { ...noFlags, method: 'PURGE', headers });
    expect(head.method).toBe('PURGE');
    expect(head.headers).toEqual([
      ['x-a', 'b: c'],
      ['host', 'other'],
      ['x-a', 'd'],
    ]);
  });

  it('refuses a header without a colon', () => {
    expect(() => requestFromUrl('http://x/', { ...noFlags, headers: ['oops'] })).toThrow(
      "-H 'oops' is not a header; it must be like 'Name: value'",
    );
  });
});

describe('a raw message', () => {
  it.each(['\n', '\r\n'])('is read with lines that end in %j', (eol) => {
    const text = ['POST /a?b HTTP/1.1', 'Host: x', 'X-Empty:', '', 'line 1', 'line 2'].join(eol);
    const { head, body } = raw(text);
    expect(head).toMatchObject({ method: 'POST', target: '/a?b' });
    expect(head.headers).toEqual([
      ['host', 'x'],
      ['x-empty', ''],
    ]);
    expect(Buffer.from(body).toString()).toBe(`line 1${eol}line 2`);
  });

  it('ends with its Content-Length, and may be shorter', () => {
    expect(raw('POST / HTTP/1.1\ncontent-length: 3\n\nabc\n').body).toHaveLength(3);
    expect(raw('POST / HTTP/1.1\ncontent-length: 30\n\nabc').head.declaredBodySize).toBe(30);
  });

  it('loses its chunks, when there are any', () => {
    const head = 'POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n';
    expect(Buffer.from(raw(`${head}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`).body).toString()).toBe(
      'abc0123456789',
    );
    expect(Buffer.from(raw(`${head}plain text`).body).toString()).toBe('plain text');
    expect(Buffer.from(raw(`${head}ff\r\ncut off`).body).toString()).toBe('cut off');
  });

  it('loses scheme and authority of an absolute target, as in HAProxy', () => {
    expect(raw('GET https://x/a?b HTTP/1.1\n\n').head).toMatchObject({ target: '/a?b', https: true });
    expect(raw('GET http://x HTTP/1.1\n\n').head.target).toBe('/');
    expect(raw('OPTIONS * HTTP/1.1\n\n').head.target).toBe('*');
  });

  it.each([
    ['', 'standard input: is empty; it must be an HTTP message'],
    ['\r\n\r\n', 'standard input: is empty; it must be an HTTP message'],
    [
      'nonsense\n\n',
      "standard input: 'nonsense' is not a request line; it must be like 'GET /path?query HTTP/1.1'",
    ],
    [
      'GET / HTTP/1.1\nHost: x\nbad line\n\n',
      "standard input, line 3: 'bad line' is not a header; it must be like 'Name: value'",
    ],
  ])('that is no request is refused: %j', (text, message) => {
    expect(() => raw(text)).toThrow(message);
  });

  it('is a response with status, fields and body', () => {
    const { head, body } = parseRawResponse(Buffer.from('HTTP/2 503\nServer: x\n\n{}'), 'file');
    expect(head).toEqual({ status: 503, headers: [['server', 'x']] });
    expect(Buffer.from(body).toString()).toBe('{}');
    expect(() => parseRawResponse(Buffer.from('GET / HTTP/1.1\n\n'), 'file')).toThrow(
      "file: 'GET / HTTP/1.1' is not a status line; it must be like 'HTTP/1.1 200 OK'",
    );
  });
});

const rule = (id: string, address: string, pattern: string, onMatch: readonly string[] = []): object => ({
  ...{ id, name: `rule ${id}`, tags: { type: 'probe', category: 'attack_attempt', confidence: '1' } },
  conditions: [
    {
      operator: 'match_regex',
      parameters: { inputs: [{ address }], regex: pattern, options: { min_length: 0 } },
    },
  ],
  ...{ transformers: [], on_match: onMatch },
});
const ruleset = {
  ...{ version: '2.2', metadata: { rules_version: '1.0.0' } },
  actions: [{ id: 'away', type: 'redirect_request', parameters: { status_code: 302, location: '/sorry' } }],
  rules: [
    rule('query', 'server.request.query', 'attack'),
    rule('query-block', 'server.request.query', 'stop', ['block']),
    rule('query-away', 'server.request.query', 'leave', ['away']),
    rule('body', 'server.request.body', 'attack'),
    rule('status', 'server.response.status', '^500$'),
    rule('response', 'server.response.body', 'leak', ['block']),
  ],
};

describe('inspect', () => {
  let waf: Waf;
  beforeAll(() => {
    waf = Waf.load(ruleset, 'test', { obfuscatorKeyRegex: 'password', obfuscatorValueRegex: '' });
  });

  function report(request: GivenRequest, response?: string, bodyLimit = '10000000'): Promise<InspectReport> {
    const observer = new InspectObserver();
    const config = readConfig({ bodyLimitBytes: bodyLimit, wafTimeoutUs: '2s' }, {});
    const engine = createInspectEngine(config, waf, observer);
    const given = response === undefined ? undefined : parseRawResponse(Buffer.from(response), 'response');
    return inspect(engine, observer, request, given);
  }

  it('says pass and what it looked at when nothing matches', async () => {
    const clean = await report(raw('GET /?q=1 HTTP/1.1\nhost: x\n\n'));
    expect(clean).toMatchObject({
      verdict: 'pass',
      matches: [],
      rule_ids: [],
      notes: [],
      client_ip: peerAddress,
    });
    expect(clean.inspected.map(({ phase }) => phase)).toEqual(['request-headers']);
    expect(clean).not.toHaveProperty('answer');
  });

  it('names rule, address, key and what matched', async () => {
    const { verdict, matches } = await report(raw('GET /?a=1&q=an+attack+here HTTP/1.1\nhost: x\n\n'));
    expect(verdict).toBe('report');
    expect(matches).toEqual([
      {
        ...{ phase: 'request-headers', rule_id: 'query', rule_name: 'rule query', type: 'probe' },
        ...{ category: 'attack_attempt', confidence: '1', operator: 'match_regex' },
        ...{ address: 'server.request.query', key_path: ['q', '0'] },
        ...{ value: 'an attack here', highlight: ['attack'] },
      },
    ]);
  });

  it('looks into the body, and says how', async () => {
    const request = raw('POST / HTTP/1.1\ncontent-type: application/json\n\n{"a":["attack"]}');
    const { verdict, matches, inspected } = await report(request);
    expect(verdict).toBe('report');
    expect(matches[0]).toMatchObject({
      phase: 'request-body',
      address: 'server.request.body',
      key_path: ['a', '0'],
    });
    expect(inspected[1]).toMatchObject({ phase: 'request-body', format: 'json', bytes: 16, partial: false });
  });

  it('marks a body that is cut off', async () => {
    const head = 'POST / HTTP/1.1\ncontent-type: application/json\ncontent-length: 100\n\n';
    const { inspected } = await report(raw(`${head}{"a":["attack`));
    expect(inspected[1]).toMatchObject({ phase: 'request-body', partial: true });
  });

  it('shows what a blocked client would get, and looks no further', async () => {
    const blocked = await report(
      raw('POST /?q=stop HTTP/1.1\naccept: text/html\n\nattack'),
      'HTTP/1.1 500 x\n\n',
    );
    expect(blocked.verdict).toBe('block');
    expect(blocked.answer).toMatchObject({ status: 403 });
    expect(blocked.answer?.headers).toContainEqual(['Content-Type', 'text/html; charset=utf-8']);
    expect(blocked.answer?.body).toContain('blocked');
    expect(blocked.inspected.map(({ phase }) => phase)).toEqual(['request-headers']);
    expect(blocked.notes).toEqual([
      'The request body was not inspected: the request had already been blocked.',
      'The response was not inspected: the request had already been blocked.',
    ]);
  });

  it('shows where a redirected client would be sent', async () => {
    const { verdict, answer } = await report(raw('GET /?q=leave HTTP/1.1\n\n'));
    expect(verdict).toBe('redirect');
    expect(answer).toEqual({ status: 302, headers: [['Location', '/sorry']], body: '' });
  });

  it('looks into a response, and its JSON', async () => {
    const response = 'HTTP/1.1 500 Oops\ncontent-type: application/json\n\n{"a":"leak"}';
    const { verdict, rule_ids, answer } = await report(raw('GET / HTTP/1.1\n\n'), response);
    expect(verdict).toBe('block');
    expect(rule_ids).toEqual(['status', 'response']);
    expect(answer?.status).toBe(403);
  });

  it('says which bodies the agent does not ask for', async () => {
    const image = raw('POST / HTTP/1.1\ncontent-type: image/png\n\nattack');
    expect((await report(image)).notes).toEqual([
      'The request body was not inspected: no rule reads bodies, or bodies of this type are not requested.',
    ]);
    const html = await report(raw('GET / HTTP/1.1\n\n'), 'HTTP/1.1 200 OK\ncontent-type: text/html\n\nleak');
    expect(html.notes).toEqual([
      'The response body was not inspected: only JSON is requested, and only when a rule reads response bodies.',
    ]);
  });

  it('is printed with the verdict first and the match between marks', async () => {
    const text = printReport(await report(raw('GET /?a=1&q=an+attack+here HTTP/1.1\nhost: x\n\n')));
    expect(text.split('\n').slice(0, 7)).toEqual([
      'GET x/?a=1&q=an+attack+here',
      'verdict: report: 1 rule matched, the traffic passes',
      `client:  ${peerAddress}`,
      '',
      'request-headers: query rule query (probe, confidence 1)',
      '  in server.request.query.q[0]',
      '     an »attack« here',
    ]);
    expect(text).toMatch(/inspected:\n {2}request-headers +\d+ µs in the WAF\n$/);
  });

  it('prints nothing that a terminal would obey', async () => {
    const text = printReport(await report(raw('GET /?q=%1b%5b31mattack%e2%80%ae HTTP/1.1\n\n')));
    expect(text).toContain('\\x1b[31m»attack«\\u{202e}');
    expect(text).not.toContain('\u001b');
  });

  it('prints what surrounds the match of a long value only', async () => {
    const text = printReport(
      await report(raw(`GET /?q=${'a'.repeat(500)}attack${'b'.repeat(500)} HTTP/1.1\n\n`)),
    );
    expect(text).toMatch(/ {5}…a{97}»attack«b{97}…\n/);
  });
});
