// Bodies of one document: JSON, forms, XML.
import {
  attack,
  type HostileRequest,
  inBody,
  type Outcome,
  passes,
  postRow,
  somewhereInBody,
} from './hostile-request.ts';

const escaped = '\\u0061ttack-block';

type BodyRow = [
  id: string,
  what: string,
  body: string | Buffer,
  outcome: Outcome,
  rest?: Parameters<typeof postRow>[5],
];

const jsonRows: readonly BodyRow[] = [
  ['json-escaped', 'JSON: escapes', `{"a":"${escaped}"}`, inBody('a')],
  [
    'json-duplicate-first',
    'JSON: repeated key, the attack first',
    `{"a":"${escaped}","a":"x"}`,
    somewhereInBody,
  ],
  [
    'json-duplicate-last',
    'JSON: repeated key, the attack last',
    `{"a":"x","\\u0061":"${escaped}"}`,
    somewhereInBody,
  ],
  ['json-comments', 'JSON: comments', `/* { */ {"a":/* " */"${escaped}"} // }`, somewhereInBody],
  ['json-mark', 'JSON: byte order mark', `\uFEFF{"a":"${escaped}"}`, inBody('a')],
  [
    'json-single-quotes',
    'JSON: single quotes, unquoted keys, trailing commas (JSON5)',
    `{a:'${escaped}',}`,
    somewhereInBody,
  ],
  ['json-hex-escapes', 'JSON: `\\x61` (JSON5, YAML)', "{a:'\\x61ttack-block'}", somewhereInBody],
  ['json-deep', 'JSON: 200 levels deep', `${'['.repeat(200)}"${escaped}"${']'.repeat(200)}`, somewhereInBody],
  [
    'json-very-deep',
    'JSON: 5,000 levels deep',
    `${'['.repeat(5_000)}"${escaped}"${']'.repeat(5_000)}`,
    somewhereInBody,
  ],
  [
    'json-huge-number',
    'JSON: numbers of 5,000 digits and out of range',
    `[1e999999,-${'9'.repeat(5_000)},"${escaped}"]`,
    somewhereInBody,
  ],
  ['json-lone-surrogate', 'JSON: half a surrogate pair', `{"a":"\\ud800${escaped}\\udfff"}`, inBody('a')],
  ['json-control', 'JSON: unescaped control characters', `{"a":"\u0001\n\u0000${escaped}"}`, somewhereInBody],
  [
    'json-invalid-utf8',
    'JSON: invalid UTF-8',
    Buffer.from(`{"a":"\xff\xc0${escaped}"}`, 'latin1'),
    inBody('a'),
  ],
  ['json-cut-in-string', 'JSON: cut off inside the string', `{"b":1,"a":"${escaped}`, inBody('a')],
  ['json-cut-in-escape', 'JSON: cut off inside an escape', `{"b":1,"a":"${escaped}\\u00`, inBody('a')],
  ['json-cut-in-key', 'JSON: cut off inside a later key', `{"a":"${escaped}","b`, inBody('a')],
  ['json-two-documents', 'JSON: two documents', `{"b":1}\n{"a":"${escaped}"}`, somewhereInBody],
  ['json-prefix', "JSON: after a prefix such as `)]}',`", `)]}',\n{"a":"${escaped}"}`, somewhereInBody],
  ['json-only-string', 'JSON: nothing but a string', `"${escaped}"`, somewhereInBody],
  [
    'json-in-json',
    'JSON: escaped again, in a string of JSON',
    JSON.stringify({ a: `{"b":"${escaped}"}` }),
    passes('how the application may interpret a string is not tried'),
  ],
  [
    'json-key',
    'JSON: in a key',
    `{"${escaped}":1}`,
    passes('most rules inspect only values; the ruleset decides'),
  ],
];

const formRows: readonly BodyRow[] = [
  ['form-escaped', 'form: escapes, valid and broken', 'a=%zz%61ttack-block%', inBody('a', '0')],
  ['form-escaped-twice', 'form: escaped twice', 'a=%2561ttack-block', inBody('a', '1')],
  ['form-semicolon', 'form: `;` instead of `&`', 'a=1;b=%61ttack-block', inBody('a', '0')],
  ['form-repeated', 'form: repeated name', 'a=1&a=%61ttack-block&a=2', inBody('a', '1')],
  ['form-bare', 'form: a name without `=`', '%61ttack-block', somewhereInBody],
  ['form-proto', 'form: named `__proto__`', '__proto__=%61ttack-block', inBody('__proto__', '0')],
  [
    'form-10000',
    'form: after 10,000 fields',
    `${'a&'.repeat(10_000)}b=%61ttack-block`,
    somewhereInBody,
    { setup: 'large-buffer' },
  ],
  [
    'form-25000',
    'form: after 25,000 fields',
    `${'a&'.repeat(25_000)}b=%61ttack-block`,
    somewhereInBody,
    { setup: 'large-buffer' },
  ],
  [
    'form-json-value',
    'form: JSON escapes in a value',
    `a={"b":"${escaped}"}`,
    passes('how the application may interpret a string is not tried'),
  ],
];

const xmlRows: readonly BodyRow[] = [
  ['xml-plain', 'XML', `<a b="c">${attack}</a>`, somewhereInBody],
  ['xml-references', 'XML: character references', '<a>&#97;&#x74;tack-block</a>', somewhereInBody],
  ['xml-cdata', 'XML: split by CDATA', '<a>att<![CDATA[ack-]]>block</a>', somewhereInBody],
  [
    'xml-utf7',
    'XML: UTF-7, declared in its first line',
    "<?xml version='1.0' encoding='utf-7'?><a>+AGEAdAB0-ack-block</a>",
    somewhereInBody,
  ],
  ['xml-comment', 'XML: split by a comment', '<a>att<!-- -->ack-block</a>', somewhereInBody],
  [
    'xml-entity',
    'XML: assembled from entities',
    '<!DOCTYPE a [<!ENTITY b "attack-">]><a>&b;block</a>',
    passes('entities that the document defines are not expanded'),
  ],
];

export const hostileDocuments: readonly HostileRequest[] = [
  ...jsonRows.map(([id, what, ...rest]) => postRow(id, what, 'application/json', ...rest)),
  ...formRows.map(([id, what, ...rest]) => postRow(id, what, 'application/x-www-form-urlencoded', ...rest)),
  ...xmlRows.map(([id, what, ...rest]) => postRow(id, what, 'application/xml', ...rest)),
];
