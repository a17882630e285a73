// Over HTTP/2: what its frames and HPACK allow and HTTP/1 does not, and the same attacks on their way through
// HAProxy's other parser.
import {
  attack,
  type HostileRequest,
  inBody,
  inCookies,
  inFields,
  inQuery,
  inRawUri,
  type Outcome,
  passes,
  passesInPart,
  refused,
  row,
  somewhereInBody,
  targetOf,
} from './hostile-request.ts';
import {
  data,
  type Field,
  type FrameOptions,
  headers,
  literals,
  ping,
  preface,
  text,
} from './http2-frames.ts';

const json = JSON.stringify({ a: attack });
const jsonType: Field = ['content-type', 'application/json'];
const first = 1;
const last: FrameOptions = { isLast: true };

interface Head {
  readonly method?: string;
  readonly target?: string;
  /** In place of the pseudo-header fields. */
  readonly pseudo?: readonly Field[];
  readonly fields?: readonly Field[];
}

const ordinary = (method: string, target: string): readonly Field[] => [
  [':method', method],
  [':scheme', 'http'],
  [':authority', 'site.example'],
  [':path', target],
];

function block(id: string, { method = 'GET', target = targetOf(id), pseudo, fields = [] }: Head): Buffer {
  return literals([...(pseudo ?? ordinary(method, target)), ...fields]);
}

type Rest = Pick<HostileRequest, 'but' | 'stream' | 'afterHead' | 'afterPing'>;

/** A row whose frames are written behind the preface. */
function framed(
  id: string,
  what: string,
  frames: readonly Buffer[],
  outcome: Outcome,
  rest: Rest = {},
): HostileRequest {
  const bytes = Buffer.concat([preface, ...frames]);
  return { id, what: `HTTP/2: ${what}`, bytes, outcome, stream: first, ...rest };
}

/** A request without a body. */
function bare(id: string, what: string, head: Head, outcome: Outcome, rest: Rest = {}): HostileRequest {
  return framed(id, what, [headers(first, block(id, head), last)], outcome, rest);
}

/** A request with a body, in one frame unless there are several. */
function bodied(
  id: string,
  what: string,
  { body, ...head }: Head & { readonly body: string | readonly string[] },
  outcome: Outcome,
  rest: Rest = {},
): HostileRequest {
  const pieces = typeof body === 'string' ? [body] : body;
  const frames = pieces.map((piece, index) => data(first, piece, { isLast: index === pieces.length - 1 }));
  return framed(id, what, [headers(first, block(id, head)), ...frames], outcome, rest);
}

const reset = (error: string): Outcome => ({ kind: 'refused', status: undefined, error });
const malformed = reset('stream reset: PROTOCOL_ERROR');

/** The pseudo-header fields with some of them changed; one without a value is left out. */
function pseudo(id: string, ...changes: readonly (Field | readonly [name: string])[]): readonly Field[] {
  const names = new Set(changes.map(([name]) => name));
  const kept = ordinary('GET', targetOf(id)).filter(([name]) => !names.has(name));
  return [...kept, ...changes.filter((change) => change.length === 2)];
}

const targets: readonly HostileRequest[] = [
  bare('http2-query', 'query', { target: `${targetOf('http2-query')}?q=%61ttack-block` }, inQuery('q', '0')),
  bare(
    'http2-method',
    'an unknown method',
    { method: attack },
    { kind: 'found', address: 'server.request.method' },
  ),
  bare(
    'http2-method-line',
    'a request line in the method',
    { method: `GET /${attack} HTTP/1.1\r\nx-any:` },
    malformed,
  ),
  bare('http2-fragment', 'a fragment', { target: `${targetOf('http2-fragment')}#${attack}` }, malformed),
  bare('http2-space', 'a space in the path', { target: `${targetOf('http2-space')} ${attack}` }, malformed),
  bare(
    'http2-high-bytes',
    'bytes beyond ASCII in the path',
    { target: `${targetOf('http2-high-bytes')}\xc3\xa9${attack}` },
    inRawUri,
  ),
  bare(
    'http2-absolute',
    'a path in absolute form',
    { target: `http://site.example${targetOf('http2-absolute')}?q=${attack}` },
    malformed,
  ),
  bare(
    'http2-no-slash',
    'a path without a leading `/`',
    { target: `hostile/http2-no-slash/?q=${attack}` },
    malformed,
  ),
  bare(
    'http2-asterisk',
    'path `*`',
    { method: 'OPTIONS', target: '*', fields: [['x-any', attack]] },
    inFields('x-any', '0'),
  ),
  bare(
    'http2-connect',
    'CONNECT',
    {
      pseudo: [
        [':method', 'CONNECT'],
        [':authority', 'site.example:443'],
      ],
      fields: [['x-any', attack]],
    },
    inFields('x-any', '0'),
  ),
  bare(
    'http2-path-twice',
    'two paths, the attack in the second one',
    { fields: [[':path', `${targetOf('http2-path-twice')}?q=${attack}`]] },
    malformed,
  ),
  bare(
    'http2-path-late',
    'the path after a header',
    {
      pseudo: [
        [':method', 'GET'],
        [':scheme', 'http'],
        ['x-any', '1'],
        [':path', `${targetOf('http2-path-late')}?q=${attack}`],
      ],
    },
    malformed,
  ),
  bare(
    'http2-scheme',
    'a non-HTTP scheme, which makes HAProxy send the absolute form',
    {
      pseudo: pseudo(
        'http2-scheme',
        [':scheme', 'ftp'],
        [':path', `${targetOf('http2-scheme')}?q=${attack}`],
      ),
    },
    inQuery('q', '0'),
  ),
  bare(
    'http2-scheme-target',
    'a whole target in the scheme',
    { pseudo: pseudo('http2-scheme-target', [':scheme', `http://site.example/?q=${attack}#`]) },
    refused,
  ),
  bare(
    'http2-authority',
    'the attack as the authority, without Host',
    { pseudo: pseudo('http2-authority', [':authority', attack]) },
    inFields('host', '0'),
  ),
  bare(
    'http2-host',
    'the attack as Host, without an authority',
    { pseudo: pseudo('http2-host', [':authority']), fields: [['host', attack]] },
    inFields('host', '0'),
  ),
  bare(
    'http2-authority-host',
    'an authority, and another Host with the attack',
    { fields: [['host', attack]] },
    passes('HAProxy replaces Host with the authority, so the attack does not reach the origin'),
  ),
  bare(
    'http2-authority-userinfo',
    'an authority with the attack before the host: `…@host`',
    { pseudo: pseudo('http2-authority-userinfo', [':authority', `${attack}@site.example`]) },
    malformed,
    { but: { '2.6': inFields('host', '0') } },
  ),
  bare(
    'http2-authority-query',
    'an authority with a query that holds the attack',
    { pseudo: pseudo('http2-authority-query', [':authority', `site.example?q=${attack}`]) },
    malformed,
    { but: { '2.6': inFields('host', '0') } },
  ),
];

const many = (count: number): Field[] => Array.from({ length: count }, (_, index) => [`x-${index}`, '1']);
const fieldIn = (id: string, what: string, field: Field, outcome: Outcome, rest?: Rest): HostileRequest =>
  bare(id, `header: ${what}`, { fields: [field] }, outcome, rest);

const fields: readonly HostileRequest[] = [
  fieldIn('http2-field', 'as it is', ['x-any', attack], inFields('x-any', '0')),
  framed(
    'http2-field-huffman',
    'header: Huffman-coded',
    [
      headers(
        first,
        Buffer.concat([
          ...[block('http2-field-huffman', {}), Buffer.from([0]), text('x-any')],
          Buffer.from('891a5232755a3a0e4ebf', 'hex'),
        ]),
        last,
      ),
    ],
    inFields('x-any', '0'),
  ),
  framed(
    'http2-field-indexed',
    'header: taken from the table that an earlier request filled',
    [
      headers(
        first,
        // 0x40: a literal that is remembered, at index 62, where HPACK's own table ends.
        Buffer.concat([block('http2-filling', {}), Buffer.from([0x40]), text('x-any'), text(attack)]),
        last,
      ),
      headers(3, Buffer.concat([block('http2-field-indexed', {}), Buffer.from([0x80 | 62])]), last),
    ],
    inFields('x-any', '0'),
    { stream: 3 },
  ),
  framed(
    'http2-continuation',
    'header: cut into CONTINUATION frames of 5 bytes',
    [
      headers(first, block('http2-continuation', { fields: [['x-any', attack]] }), {
        ...last,
        cutAt: 5,
      }),
    ],
    inFields('x-any', '0'),
  ),
  framed(
    'http2-padding',
    'header: in a padded frame',
    [headers(first, block('http2-padding', { fields: [['x-any', attack]] }), { ...last, padding: 255 })],
    inFields('x-any', '0'),
  ),
  bare(
    'http2-field-repeated',
    'header: repeated',
    {
      fields: [
        ['x-any', '1'],
        ['x-any', attack],
      ],
    },
    inFields('x-any', '1'),
  ),
  fieldIn('http2-field-upper-case', 'name in upper case', ['X-Any', attack], malformed),
  fieldIn('http2-field-space', 'a space in the name', ['x any', attack], malformed),
  fieldIn('http2-field-colon', 'a colon in the name', ['x-any:1', attack], malformed),
  fieldIn('http2-field-line', 'a line end in the value', ['x-any', `1\r\nx-other: ${attack}`], malformed),
  fieldIn('http2-field-nul', 'NUL in the value', ['x-any', `\0${attack}`], malformed),
  fieldIn('http2-connection', '`connection`, which HTTP/2 forbids', ['connection', attack], malformed),
  fieldIn(
    'http2-transfer-encoding',
    '`transfer-encoding`, which HTTP/2 forbids',
    ['transfer-encoding', attack],
    malformed,
  ),
  bare(
    'http2-field-many',
    'header: after 90 others',
    { fields: [...many(90), ['x-any', attack]] },
    inFields('x-any', '0'),
  ),
  bare(
    'http2-field-too-many',
    'header: after 200 others',
    { fields: [...many(200), ['x-any', attack]] },
    reset('connection ended: COMPRESSION_ERROR'),
  ),
  fieldIn('http2-field-long', 'at the end of 13,000 bytes', ['x-any', `${'x'.repeat(13_000)}${attack}`], {
    kind: 'found',
    address: 'server.request.headers.no_cookies',
  }),
  bare(
    'http2-cookie-crumbs',
    'cookie: in the second of three Cookie headers',
    {
      fields: [
        ['cookie', 'a=1'],
        ['cookie', `b=${attack}`],
        ['cookie', 'c=1'],
      ],
    },
    inCookies('b', '0'),
  ),
  bare(
    'http2-cookie-many',
    'cookie: in the last of 80 Cookie headers, with other headers in between',
    {
      fields: [
        ...Array.from({ length: 79 }, (_, index): Field[] => [['cookie', `a${index}=1`]]).flat(),
        ['x-any', '1'],
        ['cookie', `b=${attack}`],
      ],
    },
    inCookies('b', '0'),
  ),
  bare(
    'http2-cookie-torn',
    'cookie: split in two by Cookie headers',
    {
      fields: [
        ['cookie', 'a=attack-'],
        ['cookie', 'block'],
      ],
    },
    passes('HAProxy joins the headers with `; `, so the application gets two cookies'),
  ),
];

/** Pieces of JSON, each of which fits into a frame. */
const large: readonly string[] = [
  '{"b":"',
  ...Array.from({ length: 3 }, () => 'x'.repeat(15_000)),
  `","a":"${attack}"}`,
];

const bodies: readonly HostileRequest[] = [
  bodied(
    'http2-body',
    'JSON without a length',
    { method: 'POST', fields: [jsonType], body: json },
    inBody('a'),
  ),
  bodied(
    'http2-body-length',
    'JSON with a length',
    { method: 'POST', fields: [jsonType, ['content-length', String(json.length)]], body: json },
    inBody('a'),
  ),
  bodied(
    'http2-body-pieces',
    'JSON in a frame for every byte, and an empty one at the end',
    { method: 'POST', fields: [jsonType], body: [...json, ''] },
    inBody('a'),
  ),
  framed(
    'http2-body-padded',
    'JSON in a padded frame',
    [
      headers(first, block('http2-body-padded', { method: 'POST', fields: [jsonType] })),
      data(first, json, { ...last, padding: 5 }),
    ],
    inBody('a'),
  ),
  framed(
    'http2-body-interleaved',
    'JSON in frames between those of another request',
    [
      headers(first, block('http2-beside', { method: 'POST', fields: [jsonType] })),
      headers(3, block('http2-body-interleaved', { method: 'POST', fields: [jsonType] })),
      ...[data(first, '{"b":'), data(3, json.slice(0, 9)), data(first, '1}', last)],
      data(3, json.slice(9), last),
    ],
    inBody('a'),
    { stream: 3 },
  ),
  bodied('http2-body-no-type', 'a body without a type', { method: 'POST', body: json }, somewhereInBody),
  bodied(
    'http2-get-type',
    'a body on GET with a type, without a length',
    { fields: [jsonType], body: json },
    somewhereInBody,
  ),
  bodied(
    'http2-get-length',
    'a body on GET with a length, without a type',
    { fields: [['content-length', String(json.length)]], body: json },
    somewhereInBody,
  ),
  bodied(
    'http2-get-silent',
    'a body on GET, without type and length, in one piece with the head',
    { body: json },
    somewhereInBody,
  ),
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE'].map((method) => {
    const id = `http2-${method.toLowerCase()}-silent-late`;
    return framed(
      id,
      `a body on ${method}, without type and length, sent later than the head`,
      [headers(first, block(id, { method })), ping],
      somewhereInBody,
      { afterPing: data(first, json, last) },
    );
  }),
  bodied(
    'http2-head-silent',
    'a body on HEAD, without type and length, in one piece with the head',
    { method: 'HEAD', body: json },
    somewhereInBody,
  ),
  bodied(
    'http2-length-zero',
    'a body after `content-length: 0`',
    { method: 'POST', fields: [jsonType, ['content-length', '0']], body: json },
    malformed,
  ),
  bodied(
    'http2-length-short',
    'a body longer than its length',
    { method: 'POST', fields: [jsonType, ['content-length', '3']], body: json },
    malformed,
  ),
  bodied(
    'http2-length-long',
    'a body shorter than its length',
    { method: 'POST', fields: [jsonType, ['content-length', '300']], body: json },
    malformed,
  ),
  bare(
    'http2-length-conflict',
    'two different lengths',
    {
      method: 'POST',
      fields: [
        ['content-length', '1'],
        ['content-length', '2'],
      ],
    },
    malformed,
  ),
  bodied(
    'http2-large-length',
    "larger than HAProxy's buffer, with a length, the attack at its end",
    { method: 'POST', fields: [jsonType, ['content-length', String(large.join('').length)]], body: large },
    passesInPart('HAProxy sends only what fits into its buffer (`tune.bufsize`)'),
  ),
  bodied(
    'http2-large',
    "larger than HAProxy's buffer, without a length, the attack at its end",
    { method: 'POST', fields: [jsonType], body: large },
    passesInPart('HAProxy sends only what fits into its buffer (`tune.bufsize`)'),
  ),
  framed(
    'http2-trailer',
    'a trailer after a body',
    [
      headers(first, block('http2-trailer', { method: 'POST' })),
      data(first, 'x'),
      headers(first, literals([['x-any', attack]]), last),
    ],
    passes('HAProxy does not send trailers to the agent'),
  ),
  framed(
    'http2-trailer-pseudo',
    'a path among the trailers',
    [
      headers(first, block('http2-trailer-pseudo', { method: 'POST' })),
      data(first, 'x'),
      headers(first, literals([[':path', `/?q=${attack}`]]), last),
    ],
    reset('stream reset: INTERNAL_ERROR'),
    { but: { '3.2': malformed } },
  ),
  framed(
    'http2-websocket',
    'what follows a WebSocket (CONNECT with `:protocol`)',
    [
      headers(
        first,
        block('http2-websocket', {
          pseudo: pseudo('http2-websocket', [':method', 'CONNECT'], [':protocol', 'websocket']),
          fields: [['sec-websocket-version', '13']],
        }),
      ),
    ],
    passes('it is no longer HTTP'),
    { afterHead: data(first, attack, last) },
  ),
  framed(
    'http2-streams',
    'in one of 100 requests at once',
    Array.from({ length: 100 }, (_, index) => {
      const id = index === 50 ? 'http2-streams' : 'http2-harmless';
      return headers(2 * index + 1, block(id, { fields: [['x-any', index === 50 ? attack : '1']] }), last);
    }),
    inFields('x-any', '0'),
    { stream: 101 },
  ),
];

const upgrade: HostileRequest = row(
  'upgrade-h2c',
  'what follows an upgrade of HTTP/1 to HTTP/2 (`h2c`)',
  {
    lines: ['connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQAAP__'],
    after: attack,
  },
  passes('HAProxy removes the upgrade, and what follows is the next request'),
);

export const hostileHttp2: readonly HostileRequest[] = [...targets, ...fields, ...bodies, upgrade];
