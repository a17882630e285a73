// Multipart forms.
import {
  attack,
  type HostileRequest,
  inBody,
  type Outcome,
  passes,
  postRow,
  somewhereInBody,
} from './hostile-request.ts';

const inFileNames: Outcome = { kind: 'found', address: 'server.request.body.filenames' };

/** One part of a form, with its headers as they are given. */
function part(headers: string, content: string, boundary = 'zz', lineEnd = '\r\n'): string {
  return [`--${boundary}`, ...headers.split('\n'), '', content, ''].join(lineEnd);
}
const field = 'content-disposition: form-data; name="a"';
const fileOf = (parameter: string): string => `content-disposition: form-data; name="a"; ${parameter}`;
const form = 'multipart/form-data; boundary=zz';
const end = '--zz--\r\n';

export const hostileForms: readonly HostileRequest[] = [
  postRow(
    'multipart-boundary-quoted',
    'multipart: quoted boundary with a space and a colon',
    'multipart/form-data; boundary="z z:z"',
    `${part(field, attack, 'z z:z')}--z z:z--\r\n`,
    inBody('a', '0'),
  ),
  postRow(
    'multipart-boundary-long',
    'multipart: boundary of 200 characters',
    `multipart/form-data; boundary=${'z'.repeat(200)}`,
    `${part(field, attack, 'z'.repeat(200))}--${'z'.repeat(200)}--\r\n`,
    somewhereInBody,
  ),
  postRow(
    'multipart-boundary-missing',
    'multipart: no boundary',
    'multipart/form-data',
    `${part(field, attack)}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-boundary-other',
    'multipart: another boundary in the body',
    form,
    `${part(field, attack, 'yy')}--yy--\r\n`,
    somewhereInBody,
  ),
  postRow(
    'multipart-boundary-two',
    'multipart: two different boundaries',
    'multipart/form-data; boundary=yy; boundary=zz',
    `${part(field, attack)}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-boundary-continued',
    'multipart: boundary in pieces (`boundary*0`) beside another',
    'multipart/form-data; boundary=yy; boundary*0=z; boundary*1=z',
    `${part(field, 'x', 'yy')}--yy--\r\n${part(field, attack)}${end}`,
    somewhereInBody,
  ),
  postRow('multipart-no-end', 'multipart: no end', form, part(field, attack), inBody('a', '0')),
  postRow(
    'multipart-cut',
    'multipart: cut off inside the field',
    form,
    `--zz\r\n${field}\r\n\r\nsome ${attack}`,
    inBody('a', '0'),
  ),
  postRow(
    'multipart-preamble',
    'multipart: text before the first part',
    form,
    `${attack}\r\n${part(field, 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-epilogue',
    'multipart: text after the last part',
    form,
    `${part(field, 'x')}${end}${attack}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-line-feeds',
    'multipart: line ends without carriage return',
    form,
    `${part(field, attack, 'zz', '\n')}--zz--\n`,
    somewhereInBody,
  ),
  postRow(
    'multipart-no-name',
    'multipart: a part without a name',
    form,
    `${part('content-disposition: form-data', attack)}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-no-disposition',
    'multipart: a part without headers',
    form,
    `--zz\r\n\r\n${attack}\r\n${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-repeated',
    'multipart: repeated name',
    form,
    `${part(field, 'x')}${part(field, attack)}${end}`,
    inBody('a', '1'),
  ),
  postRow(
    'multipart-nested',
    'multipart: a form inside a part',
    form,
    `${part(`${field}\ncontent-type: multipart/mixed; boundary=yy`, `${part('content-disposition: file; filename="b"', attack, 'yy')}--yy--`)}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-base64',
    'multipart: base64',
    form,
    `${part(`${field}\ncontent-transfer-encoding: base64`, Buffer.from(attack).toString('base64'))}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-quoted-printable',
    'multipart: quoted-printable',
    form,
    `${part(`${field}\ncontent-transfer-encoding: quoted-printable`, '=61tta=\r\nck-block')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-charset',
    'multipart: UTF-16 in a part that does not begin with ASCII',
    form,
    Buffer.concat([
      Buffer.from(`--zz\r\n${field}\r\ncontent-type: text/plain; charset=utf-16le\r\n\r\n`),
      Buffer.from(`\u4e00${attack}`, 'utf16le'),
      Buffer.from(`\r\n${end}`),
    ]),
    somewhereInBody,
  ),
  postRow(
    'multipart-json',
    'multipart: JSON in a part',
    form,
    `${part(`${field}\ncontent-type: application/json`, '{"b":"\\u0061ttack-block"}')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'multipart-file',
    'multipart: a text file declared as an image',
    form,
    `${part(`${fileOf('filename="a.png"')}\ncontent-type: image/png`, attack)}${end}`,
    inBody('a', '0'),
  ),
  postRow(
    'multipart-file-binary',
    'multipart: in a binary file declared as an image',
    form,
    Buffer.concat([
      Buffer.from(`--zz\r\n${fileOf('filename="a.png"')}\r\ncontent-type: image/png\r\n\r\n`),
      Buffer.from([0x89, 0, 0xff]),
      Buffer.from(`${attack}\r\n${end}`),
    ]),
    passes('binary by declaration and by content'),
  ),
  postRow(
    'filename-plain',
    'file name',
    form,
    `${part(fileOf(`filename="${attack}"`), 'x')}${end}`,
    inFileNames,
  ),
  postRow(
    'filename-extended',
    'file name: `filename*` with escapes',
    form,
    `${part(fileOf("filename*=UTF-8''%61ttack-block"), 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'filename-both',
    'file name: `filename` harmless, `filename*` not',
    form,
    `${part(fileOf('filename="x"; filename*=UTF-8\'\'%61ttack-block'), 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'filename-escaped',
    'file name: percent-escapes',
    form,
    `${part(fileOf('filename="%61ttack-block"'), 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'filename-backslashes',
    'file name: backslash escapes',
    form,
    `${part(fileOf('filename="\\"\\attack-block"'), 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'filename-unquoted',
    'file name: unquoted, odd spaces and case',
    form,
    `${part(`Content-DISPOSITION : form-data;name=a ;FileName = ${attack}`, 'x')}${end}`,
    somewhereInBody,
  ),
  postRow(
    'filename-folded',
    'file name: folded over two lines',
    form,
    `${part(fileOf(`\n filename="${attack}"`), 'x')}${end}`,
    somewhereInBody,
  ),
];
