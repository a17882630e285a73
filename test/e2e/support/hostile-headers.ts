// Header fields, and the framing of messages.
import {
  attack,
  closed,
  type HostileRequest,
  inFields,
  passes,
  refused,
  row,
  somewhereInBody,
} from './hostile-request.ts';

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const chunked = 'transfer-encoding: chunked';

const fields: readonly HostileRequest[] = [
  row('field-odd-case', 'header: name in odd case', { lines: [`X-aNY: ${attack}`] }, inFields('x-any', '0')),
  row(
    'field-repeated',
    'header: repeated',
    { lines: ['x-any: 1', `X-Any: ${attack}`, 'x-any: 2'] },
    inFields('x-any', '1'),
  ),
  row(
    'field-folded',
    'header: value folded over two lines',
    { lines: ['x-any: a', ` ${attack}`] },
    inFields('x-any', '0'),
  ),
  row(
    'field-underscore',
    'header: name with `_`, which some servers take for `-`',
    { lines: [`x_any: ${attack}`] },
    inFields('x_any', '0'),
  ),
  row(
    'field-proto',
    'header: named `__proto__`',
    { lines: [`__proto__: ${attack}`] },
    inFields('__proto__', '0'),
  ),
  row('field-bad-name', 'header: a space in the name', { lines: [`x any: ${attack}`] }, refused),
  row('field-space-colon', 'header: a space before the colon', { lines: [`x-any : ${attack}`] }, refused),
  row('field-nul', 'header: NUL in the value', { lines: [`x-any: \0${attack}`] }, refused, {
    but: { '2.6': inFields('x-any', '0') },
  }),
  row(
    'field-control',
    'header: a control byte in the value',
    { lines: [`x-any: \x01${attack}`] },
    inFields('x-any', '0'),
  ),
  row(
    'field-high-bytes',
    'header: invalid UTF-8',
    { lines: [`x-any: \xff\xc0${attack}\xe9`] },
    inFields('x-any', '0'),
  ),
  row(
    'field-escaped',
    'header: percent-escapes',
    { lines: ['x-any: %61ttack-block'] },
    passes('servers do not decode header values'),
  ),
  row(
    'field-many',
    'header: after 90 others',
    { lines: [...Array.from({ length: 90 }, (_, index) => `x-${index}: 1`), `x-any: ${attack}`] },
    inFields('x-any', '0'),
  ),
  row(
    'field-too-many',
    'header: after 200 others',
    { lines: [...Array.from({ length: 200 }, (_, index) => `x-${index}: 1`), `x-any: ${attack}`] },
    refused,
  ),
  row(
    'field-long',
    'header: at the end of 13,000 bytes',
    { lines: [`x-any: ${'x'.repeat(13_000)}${attack}`] },
    { kind: 'found', address: 'server.request.headers.no_cookies' },
  ),
  row(
    'field-listed-in-connection',
    'header: named by Connection',
    { lines: ['connection: x-any', `x-any: ${attack}`] },
    inFields('x-any', '0'),
  ),
];

const framing: readonly HostileRequest[] = [
  row(
    'length-conflict',
    'two different Content-Lengths',
    { method: 'POST', lines: ['content-length: 1', 'content-length: 2'] },
    refused,
    { but: { '3.2': closed } },
  ),
  row(
    'length-invalid',
    'a Content-Length that is not a number',
    { method: 'POST', lines: ['content-length: +12'] },
    refused,
  ),
  row(
    'length-and-chunked',
    'Content-Length and Transfer-Encoding',
    { method: 'POST', lines: ['content-length: 0', chunked], body: `${chunk(attack)}0\r\n\r\n` },
    somewhereInBody,
  ),
  row(
    'chunked-odd-case',
    'Transfer-Encoding in odd case',
    { method: 'POST', lines: ['Transfer-Encoding: cHuNkEd'], body: `${chunk(attack)}0\r\n\r\n` },
    somewhereInBody,
  ),
  row(
    'chunked-tiny',
    'a chunk for every byte, with extensions',
    {
      method: 'POST',
      lines: [chunked],
      body: `${[...attack].map((byte) => `1;a="b"\r\n${byte}\r\n`).join('')}0\r\n\r\n`,
    },
    somewhereInBody,
  ),
  row(
    'transfer-coding-unknown',
    'an unknown transfer coding',
    { method: 'POST', lines: ['transfer-encoding: x-any, chunked'] },
    { kind: 'refused', status: 422 },
  ),
  row(
    'chunked-not-last',
    'Transfer-Encoding with `chunked` not last',
    { method: 'POST', lines: ['transfer-encoding: chunked, identity'] },
    refused,
  ),
  row(
    'http10-chunked',
    'HTTP/1.0 with Transfer-Encoding',
    { method: 'POST', version: 'HTTP/1.0', lines: [chunked], body: `${chunk(attack)}0\r\n\r\n` },
    somewhereInBody,
  ),
  row(
    'trailer',
    'a trailer after a chunked body',
    { method: 'POST', lines: [chunked], body: `${chunk('x')}0\r\nx-any: ${attack}\r\n\r\n` },
    passes('HAProxy does not send trailers to the agent'),
  ),
  row(
    'expect-continue',
    'Expect: 100-continue',
    { method: 'POST', lines: ['expect: 100-continue'], body: attack },
    somewhereInBody,
  ),
  row(
    'expect-continue-waits',
    'Expect: 100-continue, the body sent after the 100',
    { method: 'POST', lines: ['expect: 100-continue', `content-length: ${attack.length}`] },
    somewhereInBody,
    { afterContinue: attack },
  ),
  row(
    'upgrade-body',
    'a body on an upgrade request',
    { method: 'POST', lines: ['connection: upgrade', 'upgrade: websocket'], body: attack },
    somewhereInBody,
    { but: { '2.8': refused, '3.0': refused, '3.2': closed } },
  ),
  row(
    'get-chunked',
    'a chunked body on GET, without a type',
    { lines: [chunked], body: `${chunk(attack)}0\r\n\r\n` },
    somewhereInBody,
  ),
  row(
    'transfer-coding-gzip',
    'a body that is compressed by Transfer-Encoding',
    { method: 'POST', lines: ['transfer-encoding: gzip, chunked'] },
    { kind: 'refused', status: 422 },
  ),
  row(
    'get-body',
    'a body on GET',
    { lines: ['content-type: application/json'], body: JSON.stringify({ a: attack }) },
    somewhereInBody,
  ),
  row(
    'upgrade',
    'what follows an upgrade (WebSocket)',
    {
      lines: [
        'connection: upgrade',
        'upgrade: websocket',
        'sec-websocket-version: 13',
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      ],
      after: attack,
    },
    passes('it is no longer HTTP', 101),
  ),
];

export const hostileHeaders: readonly HostileRequest[] = [...fields, ...framing];
