// What one HTTP/1 connection is taken for. Requests that proxies were seen to send on: mirror-facts of the project.
import { describe, expect, it } from 'vitest';
import { parseRequestHead, RequestReader } from '../../src/http1/index.ts';
import { readText } from './requests.ts';

const eventsOf = (text: string) => new RequestReader(4096).receive(Buffer.from(text, 'latin1'));
const framingOf = (text: string) => {
  const [event] = eventsOf(text);
  if (event?.kind !== 'head') throw new Error('no head was told');
  return event.framing;
};

describe('a request line', () => {
  it.each([
    ['GET /a?b=c HTTP/1.1', 'GET', '/a?b=c', '1.1'],
    ['get / HTTP/1.1', 'get', '/', '1.1'],
    ['FOO_BAR / HTTP/1.1', 'FOO_BAR', '/', '1.1'],
    ['VERSION-CONTROL / HTTP/1.1', 'VERSION-CONTROL', '/', '1.1'],
    ['PRI * HTTP/1.1', 'PRI', '*', '1.1'],
    ['GET /a b?c d HTTP/1.1', 'GET', '/a b?c d', '1.1'],
    ['GET /x HTTP/1.1?y HTTP/1.1', 'GET', '/x HTTP/1.1?y', '1.1'],
    ['GET /\u00e9\u00ff\u0001 HTTP/1.0', 'GET', '/\u00e9\u00ff\u0001', '1.0'],
    ['GET  /two HTTP/1.1', 'GET', '/two', '1.1'],
    ['GET http://a.example/b HTTP/1.1', 'GET', 'http://a.example/b', '1.1'],
    ['OPTIONS * HTTP/1.1', 'OPTIONS', '*', '1.1'],
    ['GET //a/../b HTTP/1.1', 'GET', '//a/../b', '1.1'],
    ['GET HTTP/1.1', 'GET', '', '1.1'],
    ['GET /old', 'GET', '/old', undefined],
  ])('%j is read for all there is in it', (line, method, target, version) => {
    expect(parseRequestHead(Buffer.from(`${line}\r\nA: b\r\n\r\n`, 'latin1'))).toEqual({
      ...{ method, target, version },
      fields: [['A', 'b']],
    });
  });
});

describe('field lines', () => {
  it.each([
    ['Name: value', 'Name', 'value'],
    ['name:value', 'name', 'value'],
    ['Name:\t value \t', 'Name', 'value'],
    ['Name : value', 'Name', 'value'],
    ['no colon', 'no colon', ''],
    ['Name:', 'Name', ''],
    [': value', '', 'value'],
    ['a: b: c', 'a', 'b: c'],
    ['caf\u00e9(x): \u0001\u00ff', 'caf\u00e9(x)', '\u0001\u00ff'],
    ['a: b\rc', 'a', 'b\rc'],
    ['a: b\r\n  c\r\n\td', 'a', 'b c d'],
    ['a:\r\n  b', 'a', 'b'],
  ])('%j are one field', (line, name, value) => {
    const { fields } = parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\n${line}\r\n\r\n`, 'latin1'));
    expect(fields).toEqual([[name, value]]);
  });

  it('keep repeated fields apart and in order', () => {
    const { fields } = parseRequestHead(Buffer.from('GET / HTTP/1.1\nB: 1\na: 2\nb: 3\n\n'));
    expect(fields).toEqual([
      ['B', '1'],
      ['a', '2'],
      ['b', '3'],
    ]);
  });
});

describe('the end of a body', () => {
  it.each([
    ['', { kind: 'none' }],
    ['Content-Length: 0', { kind: 'none' }],
    ['Content-Length:', { kind: 'none' }],
    ['Content-Length: 5', { kind: 'length', bytes: 5 }],
    ['content-length: 5\r\nContent-Length: 5', { kind: 'length', bytes: 5 }],
    ['Content-Length: 5, 5', { kind: 'length', bytes: 5 }],
    ['Content-Length:\r\n 5', { kind: 'length', bytes: 5 }],
    ['Transfer-Encoding: chunked\r\nContent-Length: 5', { kind: 'chunked' }],
    ['Content-Length: x\r\nTransfer-Encoding: identity, Chunked', { kind: 'chunked' }],
    ['Transfer-Encoding: identity\r\nContent-Length: 5', { kind: 'length', bytes: 5 }],
    ['Content-Length: 5\r\nContent-Length: 6', { kind: 'unknown' }],
    ['Content-Length: -5', { kind: 'unknown' }],
    ['Content-Length: 0x5', { kind: 'unknown' }],
    ['Transfer-Encoding: chunked, gzip', { kind: 'unknown' }],
    ['Transfer-Encoding: xchunked', { kind: 'unknown' }],
  ])('after %j is where it says', (fields, body) => {
    expect(framingOf(`POST / HTTP/1.1\r\n${fields}${fields && '\r\n'}\r\n`).body).toMatchObject(body);
  });
});

describe('a connection', () => {
  it.each([
    ['GET / HTTP/1.1\r\n', true],
    ['GET / HTTP/1.1\r\nConnection: Close\r\n', false],
    ['GET / HTTP/1.1\r\nConnection: upgrade, close\r\n', false],
    ['GET / HTTP/1.0\r\n', false],
    ['GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n', true],
    ['GET /\r\n', false],
    ['GET / HTTP/2.0\r\n', true],
  ])('after %j stays open: %s', (head, persistent) => {
    expect(framingOf(`${head}\r\n`).persistent).toBe(persistent);
  });

  it('that does not stay open has no further request', () => {
    const { requests, closed } = readText('GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n');
    expect([requests.map(({ target }) => target), closed]).toEqual([['/1'], true]);
  });

  it('has empty lines between its requests', () => {
    const { requests } = readText('\r\n\r\nGET /1 HTTP/1.1\r\n\r\n\r\n\nGET /2 HTTP/1.1\r\n\r\n');
    expect(requests.map(({ target }) => target)).toEqual(['/1', '/2']);
  });

  it.each([
    ['Expect: 100-continue\r\nContent-Length: 1', true],
    ['expect: 100-Continue\r\nTransfer-Encoding: chunked', true],
    ['Expect: 100-continue', false],
    ['Expect: foo\r\nContent-Length: 1', false],
  ])('with %j waits for 100 Continue: %s', (fields, expectsContinue) => {
    expect(framingOf(`POST / HTTP/1.1\r\n${fields}\r\n\r\n`)).toMatchObject({ expectsContinue });
  });
});

describe('a chunked body', () => {
  const chunked = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';

  it.each([
    ['5\r\nhello\r\n0\r\n\r\n', 'hello', ''],
    ['00005 ;name="a;b"\r\nhello\r\n0;x\r\n\r\n', 'hello', ''],
    ['2\nhe\n3\nllo\n0\n\n', 'hello', ''],
    ['A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n', '0123456789', 'X-Sum: 1\r\n'],
  ])('%j is put together', (text, body, trailers) => {
    const { requests, refused } = readText(`${chunked}${text}GET /next HTTP/1.1\r\n\r\n`);
    expect(refused).toBeUndefined();
    expect(requests).toMatchObject([{ body, trailers, complete: true }, { target: '/next' }]);
  });

  it.each([
    ['5\r\nhello\r\nxyz\r\n<script>', 'helloxyz\r\n<script>', '400 a chunk without a size'],
    ['2\r\nhello\r\n0\r\n\r\n', 'hello\r\n0\r\n\r\n', '400 a chunk longer than it says'],
    ['-1\r\nhello', '-1\r\nhello', '400 a chunk without a size'],
    ['fffffffffffffffff\r\nhello', 'fffffffffffffffff\r\nhello', '400 a chunk without a size'],
    ['\r\nhello', '\r\nhello', '400 a chunk without a size'],
  ])('that is none, %j, is told as far as it came', (text, body, refused) => {
    expect(readText(`${chunked}${text}`)).toMatchObject({
      requests: [{ body, complete: false }],
      refused,
      closed: true,
    });
  });

  it('has no endless lines and trailers', () => {
    expect(readText(`${chunked}1;${'x'.repeat(20_000)}`).refused).toMatch('a line of a chunked body above');
    const trailers = 'X: y\r\n'.repeat(1000);
    expect(readText(`${chunked}0\r\n${trailers}\r\n`).refused).toBe('400 trailers above 4096 bytes');
  });
});

describe('what is cut off', () => {
  it.each([
    ['GET /cut HTTP/1.1\r\nA: b', { target: '/cut', fields: [['A', 'b']] }],
    ['POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n', { body: '' }],
    ['POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhello', { body: 'hello' }],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello', { body: 'hello' }],
  ])('is told as far as it came: %j', (text, told) => {
    expect(readText(text, { ends: true }).requests).toMatchObject([{ ...told, complete: false }]);
  });

  it('between two requests is nothing', () => {
    expect(readText('GET / HTTP/1.1\r\n\r\n', { ends: true }).requests).toHaveLength(1);
  });
});

describe('what is refused', () => {
  it('is a head that is too long, and told as far as it is read', () => {
    const { requests, refused } = readText(`GET /?q=attack HTTP/1.1\r\nA: ${'x'.repeat(5000)}\r\n\r\n`);
    expect(requests).toMatchObject([{ target: '/?q=attack', complete: false }]);
    expect(refused).toBe('431 a head above 4096 bytes');
  });

  it('is framing that nobody can know, and what came with it is told', () => {
    const { requests, refused } = readText('POST / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n<script>');
    expect(requests).toMatchObject([{ body: '<script>', complete: false }]);
    expect(refused).toBe('400 Transfer-Encoding that does not end in chunked');
  });

  it.each(['\x16\x03\x01\x02\x00\x01\n\r\n', 'GET\r\n\r\n', ' GET / HTTP/1.1\r\n\r\n'])(
    'is what is no request: %j',
    (text) => {
      expect(readText(text)).toMatchObject({ requests: [], refused: '400 no request line' });
    },
  );
});
