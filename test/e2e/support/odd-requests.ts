// Requests that some proxy was seen to let through and that a strict server would refuse, each with an attack.

export interface OddRequest {
  readonly name: string;
  /** `MARK` stands in its target; latin1. */
  readonly bytes: string;
}

const attack = 'q=attack-report';
const form = 'Content-Type: application/x-www-form-urlencoded\r\n';

/** With a usual rest. */
const line = (name: string, requestLine: string, fields = 'Host: a.test\r\n'): OddRequest => ({
  name,
  bytes: `${requestLine}\r\n${fields}\r\n`,
});

const withFields = (name: string, fields: string): OddRequest =>
  line(name, `GET /MARK?${attack} HTTP/1.1`, `Host: a.test\r\n${fields}\r\n`);

const withTarget = (name: string, target: string): OddRequest => line(name, `GET ${target} HTTP/1.1`);

const withMethod = (method: string): OddRequest =>
  line(`method ${method}`, `${method} /MARK?${attack} HTTP/1.1`);

const withHost = (host: string): OddRequest =>
  line(`host ${JSON.stringify(host)}`, `GET /MARK?${attack} HTTP/1.1`, `Host: ${host}\r\n`);

const withBody = (name: string, fields: string, body: string, method = 'POST'): OddRequest => ({
  name,
  bytes: `${method} /MARK HTTP/1.1\r\nHost: a.test\r\n${form}${fields}\r\n${body}`,
});

const chunked = 'Transfer-Encoding: chunked\r\n';
const inOneChunk = `${attack.length.toString(16)}\r\n${attack}\r\n0\r\n\r\n`;

export const oddRequests: readonly OddRequest[] = [
  ...[
    'FOO',
    'FOO_BAR',
    'get',
    'VERSION-CONTROL',
    'PRI',
    'PROPFIND',
    'X',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PATCH',
  ].map(withMethod),
  ...['HEAD', 'PURGE', 'QUERY', 'M-SEARCH'].map(withMethod),
  withTarget('two slashes', `//MARK?${attack}`),
  withTarget('slashes inside', `/a//MARK///b?${attack}`),
  withTarget('dots', `/a/../MARK/./b?${attack}`),
  withTarget('escaped dots', `/a/%2e%2e/MARK?${attack}`),
  withTarget('a bad escape', `/MARK/%zz?${attack}`),
  withTarget('a cut escape', `/MARK?a=%&${attack}`),
  withTarget('bytes above 0x7f in the path', `/MARK/\u00c3\u00a9?${attack}`),
  withTarget('bytes above 0x7f in the query', `/MARK?x=\u00e9\u00ff&${attack}`),
  withTarget('UTF-8 in the query', `/MARK?x=\u00c3\u00a9&${attack}`),
  withTarget('a space in the query', `/MARK?x=a b&${attack}`),
  withTarget('a tab in the query', `/MARK?x=a\tb&${attack}`),
  withTarget('quotes and brackets', `/MARK?x="<>[]{}|\\^\`&${attack}`),
  withTarget('a fragment', `/MARK?${attack}#fragment`),
  withTarget('a semicolon', `/MARK;v=1?${attack}`),
  withTarget('two question marks', `/MARK?a?b&${attack}`),
  withTarget('an absolute target', `http://a.test/MARK?${attack}`),
  withTarget('an absolute target of another host', `http://other.test/MARK?${attack}`),
  withTarget('a long query', `/MARK?x=${'y'.repeat(6000)}&${attack}`),
  withTarget('an escaped null', `/MARK?x=%00&${attack}`),
  line('HTTP/1.0', `GET /MARK?${attack} HTTP/1.0`),
  line('HTTP/1.0 without a host', `GET /MARK?${attack} HTTP/1.0`, ''),
  line('HTTP/1.0 that keeps its connection', `GET /MARK?${attack} HTTP/1.0`, 'Connection: keep-alive\r\n'),
  line('HTTP/0.9', `GET /MARK?${attack}`, ''),
  line('HTTP/1.2', `GET /MARK?${attack} HTTP/1.2`),
  line('two spaces', `GET  /MARK?${attack} HTTP/1.1`),
  ...[
    'a.test:80',
    'a.test:',
    'user@a.test',
    '"a.test"',
    'A.TEST.',
    '[::1]',
    '[::1]:80',
    'a_b.test',
    'a-shadow',
    '',
  ].map(withHost),
  withFields('no space after colons', 'X-A:b\r\nX-C:\r\n'),
  withFields('a control character in a value', 'X-A: a\x01b\r\n'),
  withFields('bytes above 0x7f in a value', 'X-A: \u00e9\u00ff\r\n'),
  withFields('a name with an underscore', 'X_A: b\r\n'),
  withFields('a name with a dot', 'X.A: b\r\n'),
  withFields('an odd name', 'X(A): b\r\n'),
  withFields('many fields', Array.from({ length: 90 }, (_, at) => `X-${at}: v\r\n`).join('')),
  withFields('long fields', `X-Long: ${'v'.repeat(7000)}\r\nX-Longer: ${'w'.repeat(7000)}\r\n`),
  withFields('two user agents', 'User-Agent: one\r\nUser-Agent: two\r\n'),
  withFields('an upgrade', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'),
  withFields('a strange expectation', 'Expect: foo\r\n'),
  withFields('a range and a condition', 'Range: bytes=0-1\r\nIf-None-Match: "x"\r\n'),
  withFields('spoofed fields of Envoy', 'x-envoy-internal: true\r\nx-envoy-original-path: /harmless\r\n'),
  withFields('fields of a connection', 'Connection: X-A\r\nX-A: b\r\nTE: trailers\r\n'),
  withFields('a body of length 0', 'Content-Length: 0\r\n'),
  withBody('a body in a chunk', chunked, inOneChunk),
  withBody('a chunk with an extension', chunked, inOneChunk.replace('\r\n', ';x=y\r\n')),
  withBody(
    'a body in many chunks',
    chunked,
    `${[...attack].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`,
  ),
  withBody('trailers', `${chunked}Trailer: X-T\r\n`, inOneChunk.replace(/\r\n$/, 'X-T: v\r\n\r\n')),
  withBody('a body of a GET', `Content-Length: ${attack.length}\r\n`, attack, 'GET'),
  withBody('a body of a DELETE', `Content-Length: ${attack.length}\r\n`, attack, 'DELETE'),
  withBody('a body of a method of its own', `Content-Length: ${attack.length}\r\n`, attack, 'FOO'),
  withBody('a length with zeros', `Content-Length: 000${attack.length}\r\n`, attack),
  withBody('both lengths', `${chunked}Content-Length: 3\r\n`, inOneChunk),
  withBody('the same length twice', `Content-Length: ${attack.length}\r\n`.repeat(2), attack),
  {
    name: 'bare line feeds',
    bytes: `GET /MARK?${attack} HTTP/1.1\nHost: a.test\n\n`,
  },
  {
    name: 'a folded field',
    bytes: `GET /MARK?${attack} HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n c\r\n\r\n`,
  },
  {
    name: 'a field without a colon',
    bytes: `GET /MARK?${attack} HTTP/1.1\r\nHost: a.test\r\nNoColon\r\n\r\n`,
  },
  {
    name: 'empty lines before it',
    bytes: `\r\n\r\nGET /MARK?${attack} HTTP/1.1\r\nHost: a.test\r\n\r\n`,
  },
];
