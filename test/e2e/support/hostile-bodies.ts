// Bodies: media types, charsets, and what is larger than anybody looks at.
import {
  attack,
  type HostileRequest,
  inBody,
  type Outcome,
  passes,
  passesInPart,
  postRow,
  row,
  somewhereInBody,
} from './hostile-request.ts';

const jsonType = 'application/json';
const formType = 'application/x-www-form-urlencoded';
const escaped = '\\u0061ttack-block';
const document = JSON.stringify({ a: attack });

function utf16(text: string, isBigEndian = false): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return isBigEndian ? bytes.swap16() : bytes;
}

function utf32(text: string): Buffer {
  return Buffer.concat([...text].map((char) => Buffer.from([0, 0, 0, char.charCodeAt(0)])));
}

const hex = (bytes: Buffer): string => bytes.toString('hex').replace(/../g, '%$&');

const types: readonly HostileRequest[] = [
  row('type-missing', 'no Content-Type', { method: 'POST', body: `{"a":"${escaped}"}` }, somewhereInBody),
  postRow('type-empty', 'an empty Content-Type', '', `{"a":"${escaped}"}`, somewhereInBody),
  postRow('type-malformed', 'an invalid Content-Type', ';;=json', `{"a":"${escaped}"}`, somewhereInBody),
  postRow(
    'type-odd-case',
    'a Content-Type in odd case',
    'aPPLICATION/jSON',
    `{"a":"${escaped}"}`,
    inBody('a'),
  ),
  postRow(
    'type-parameters',
    'Content-Type with repeated parameters',
    'application/json; charset=utf-8; charset=utf-8',
    `{"a":"${escaped}"}`,
    inBody('a'),
  ),
  postRow('type-repeated', 'two Content-Types', 'image/png', `{"a":"${escaped}"}`, somewhereInBody, {
    lines: [`content-type: ${jsonType}`],
  }),
  postRow(
    'type-listed',
    'two types in one Content-Type',
    'image/png, application/json',
    `{"a":"${escaped}"}`,
    somewhereInBody,
  ),
  postRow('type-wrong-form', 'JSON declared as a form', formType, `{"a":"${escaped}"}`, somewhereInBody),
  postRow('type-wrong-json', 'a form declared as JSON', jsonType, 'a=%61ttack-block', somewhereInBody),
  postRow(
    'type-wrong-multipart',
    'JSON declared as multipart',
    'multipart/form-data; boundary=zz',
    `{"a":"${escaped}"}`,
    somewhereInBody,
  ),
  postRow('type-unknown', 'an unknown type', 'x-made/up', `{"a":"${escaped}"}`, somewhereInBody),
  postRow(
    'type-stream',
    'JSON declared as a Connect stream',
    'application/connect+json',
    `{"a":"${escaped}"}`,
    somewhereInBody,
  ),
  postRow(
    'type-binary',
    'JSON declared as an image',
    'image/png',
    document,
    passes('bodies of binary types are not requested, because every upload would have to wait'),
  ),
];

const charsetRows: readonly [
  type: string,
  id: string,
  what: string,
  body: string | Buffer,
  outcome: Outcome,
][] = [
  [
    `${jsonType}; charset=utf-16le`,
    'charset-utf16',
    'charset: UTF-16, declared',
    utf16(document),
    somewhereInBody,
  ],
  [
    jsonType,
    'charset-utf16-mark',
    'charset: UTF-16 by its byte order mark',
    Buffer.concat([Buffer.from([0xfe, 0xff]), utf16(document, true)]),
    somewhereInBody,
  ],
  [jsonType, 'charset-utf16-silent', 'charset: UTF-16, undeclared', utf16(document, true), somewhereInBody],
  [jsonType, 'charset-utf32', 'charset: UTF-32, undeclared', utf32(document), somewhereInBody],
  [
    `${jsonType}; charset=utf-7`,
    'charset-utf7',
    'charset: UTF-7',
    '+AHs-"a":"+AGEAdAB0-ack-block"}',
    somewhereInBody,
  ],
  [`${jsonType}; charset=ibm037`, 'charset-lie', 'charset: a wrong one', document, somewhereInBody],
  [
    'text/plain; charset=ibm037',
    'charset-ebcdic',
    'charset: EBCDIC',
    Buffer.from('81a3a3818392608293968392', 'hex'),
    somewhereInBody,
  ],
  [
    `${formType}; charset=utf-16be`,
    'charset-form-escapes',
    'charset: UTF-16 in the escapes of a form',
    `${hex(utf16('a', true))}=${hex(utf16(attack, true))}`,
    somewhereInBody,
  ],
];

const large = 'x'.repeat(60_000);
const sizes: readonly HostileRequest[] = [
  postRow(
    'large-attack-first',
    "larger than HAProxy's buffer, the attack at its start",
    jsonType,
    JSON.stringify({ a: attack, large }),
    inBody('a'),
  ),
  postRow(
    'large-attack-14000',
    "larger than HAProxy's buffer, the attack after 14,000 bytes",
    jsonType,
    JSON.stringify({ b: 'x'.repeat(14_000), a: attack, large }),
    inBody('a'),
  ),
  postRow(
    'large-attack-last',
    "larger than HAProxy's buffer, the attack at its end",
    jsonType,
    JSON.stringify({ large, a: attack }),
    passesInPart('HAProxy sends only what fits into its buffer (`tune.bufsize`)'),
  ),
  postRow(
    'large-head',
    'a body after 12,000 bytes of headers, which leave no room for its end',
    jsonType,
    JSON.stringify({ b: 'x'.repeat(8_000), a: attack }),
    passesInPart("head and body share HAProxy's buffer"),
    { lines: [`x-any: ${'x'.repeat(12_000)}`] },
  ),
];

export const hostileBodies: readonly HostileRequest[] = [
  ...types,
  ...charsetRows.map(([type, id, what, ...rest]) => postRow(id, what, type, ...rest)),
  ...sizes,
];
