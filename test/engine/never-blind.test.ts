import { describe, expect, it } from 'vitest';
import type { HeaderList, RequestHead } from '../../src/engine/http.ts';
import { requestHead, testEngine } from '../support/test-engine.ts';

/** Each of these has stopped some agent from looking; the attack is somewhere else in the request. */
const oddities: [string, RequestHead][] = [
  ['no Host', requestHead('/?q=attack-block', [])],
  ['an empty Host', requestHead('/?q=attack-block', [['host', '']])],
  ['a Host that is no host', requestHead('/?q=attack-block', [['host', 'a b\u0000[']])],
  [
    'two Hosts',
    requestHead('/?q=attack-block', [
      ['host', 'a'],
      ['host', 'b'],
    ]),
  ],
  ['bad escapes in the path', requestHead('/%zz%%%1%c0%ae%ff%u0041%?q=attack-block')],
  ['bad escapes in the query', requestHead('/?a=%&b=%zz&%=%&q=attack-block')],
  ['an empty method', requestHead('/?q=attack-block', undefined, { method: '' })],
  ['a method of another kind', requestHead('/?q=attack-block', undefined, { method: 'P\u0001T' })],
  ['an empty target', requestHead('', [['x-any', 'attack-block']])],
  ['the target *', requestHead('*', [['x-any', 'attack-block']])],
  ['an absolute target', requestHead('http://[::1/?q=attack-block')],
  ['a target of an authority', requestHead('shop.test:443', [['x-any', 'attack-block']])],
  ['a field named __proto__', requestHead('/', [['__proto__', 'attack-block']])],
  ['a parameter named __proto__', requestHead('/?__proto__[a]=attack-block')],
  ['a cookie named __proto__', requestHead('/', [['cookie', '__proto__=attack-block']])],
  ['a field named constructor', requestHead('/', [['constructor', 'attack-block']])],
  ['a broken Content-Length', requestHead('/?q=attack-block', [['content-length', '-1, x']])],
  ['no peer', requestHead('/?q=attack-block', undefined, { peerAddress: undefined })],
  [
    'a peer that is no address',
    requestHead('/?q=attack-block', [['x-forwarded-for', ',,;']], { peerAddress: 'x' }),
  ],
  ['no header at all', requestHead('/?q=attack-block', [])],
  ['the attack in the path', requestHead('/a/attack-block')],
  ['the attack escaped in the path', requestHead('/a/%61ttack-block')],
  ['the attack in a cookie', requestHead('/', [['cookie', 'a=attack-block']])],
  [
    'the attack in the second of two fields',
    requestHead('/', [
      ['x-a', '1'],
      ['x-a', 'attack-block'],
    ]),
  ],
  ['the attack in the method', requestHead('/', [], { method: 'attack-block' })],
];

describe('inspection is not switched off by', () => {
  it.each(oddities)('%s', (_what, request) => {
    const { engine, recorder } = testEngine();
    expect(engine.requestHeaders(request, 1000).verdict).toMatchObject({ kind: 'block', status: 403 });
    expect(recorder.runs).toHaveLength(1);
  });

  it.each<[string, HeaderList]>([
    ['no Content-Type', []],
    ['an unknown Content-Type', [['content-type', 'application/x-unheard-of']]],
    [
      'a Content-Type that does not parse',
      [['content-type', 'application/json; charset=utf-8; charset=utf-8;;=']],
    ],
    [
      'two Content-Types',
      [
        ['content-type', 'text/plain'],
        ['content-type', 'application/json'],
      ],
    ],
    ['a body that is not what it says', [['content-type', 'application/json']]],
    [
      'an unknown Content-Encoding',
      [
        ['content-encoding', 'x-squeezed'],
        ['content-type', 'text/plain'],
      ],
    ],
    [
      'a Content-Encoding that is not true',
      [
        ['content-encoding', 'gzip'],
        ['content-type', 'text/plain'],
      ],
    ],
  ])('%s on a body', async (_what, headers) => {
    const { engine } = testEngine();
    const { transaction, wantsBody } = engine.requestHeaders(
      requestHead('/', [['content-length', '30'], ...headers], { method: 'POST' }),
      1000,
    );
    expect(wantsBody).toBe(true);
    const body = { bytes: Buffer.from('this is: attack-block, you see'), declaredSize: 30 };
    const analysis = await engine.requestBody(transaction.id, body, 1000);
    expect(analysis.verdict.kind).toBe('block');
  });

  it('a response without status or headers', () => {
    const { engine, recorder } = testEngine();
    engine.responseHeaders(undefined, { status: 0, headers: [] }, 1000);
    expect(recorder.runs).toHaveLength(1);
  });
});
