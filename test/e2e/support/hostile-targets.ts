// Request lines: forms of the target, escapes in path and query.
import {
  attack,
  type HostileRequest,
  inFields,
  inQuery,
  inRawUri,
  passes,
  rawRequest,
  refused,
  row,
  targetOf,
} from './hostile-request.ts';

/** The query of an ordinary target. */
function query(id: string, what: string, text: string, ...rest: RowEnd): HostileRequest {
  return row(id, what, { target: `${targetOf(id)}?${text}` }, ...rest);
}
type RowEnd = [outcome: HostileRequest['outcome'], rest?: Pick<HostileRequest, 'but' | 'setup' | 'answers'>];

const id = (text: string): string => targetOf(text);

export const hostileTargets: readonly HostileRequest[] = [
  row(
    'http10-no-host',
    'HTTP/1.0 without Host',
    { target: `${id('http10-no-host')}?q=${attack}`, version: 'HTTP/1.0', host: '' },
    inQuery('q', '0'),
  ),
  row(
    'http11-no-host',
    'HTTP/1.1 without Host',
    { target: `${id('http11-no-host')}?q=${attack}`, host: '' },
    inQuery('q', '0'),
  ),
  row('http09', 'HTTP/0.9: no version', { target: `/?q=${attack}`, version: '', host: '' }, refused),
  row(
    'host-no-host',
    'an invalid Host: `a%zz`',
    { target: `${id('host-no-host')}?q=${attack}`, host: 'host: a%zz' },
    inQuery('q', '0'),
  ),
  row('host-repeated', 'two different Hosts', { host: `host: a\r\nhost: ${attack}` }, refused),
  row(
    'absolute-form',
    'target in absolute form',
    { target: `http://site.example${id('absolute-form')}?q=${attack}` },
    inQuery('q', '0'),
  ),
  row(
    'absolute-other-host',
    'target in absolute form, with another host than Host',
    { target: `http://${attack}${id('absolute-other-host')}` },
    refused,
  ),
  row(
    'absolute-userinfo',
    'target in absolute form with the attack before the host: `http://…@host/`',
    { target: `http://${attack}@site.example${id('absolute-userinfo')}` },
    passes('HAProxy sends the path, not the authority, and most servers discard it'),
  ),
  row(
    'target-asterisk',
    'target `*`',
    { method: 'OPTIONS', target: '*', lines: [`x-any: ${attack}`] },
    inFields('x-any', '0'),
  ),
  row(
    'target-authority',
    'CONNECT with an authority',
    {
      method: 'CONNECT',
      target: 'site.example:443',
      host: 'host: site.example:443',
      lines: [`x-any: ${attack}`],
    },
    inFields('x-any', '0'),
  ),
  row(
    'target-double-slash',
    'a path with `//`',
    { target: `/${id('target-double-slash')}//./../${attack}` },
    inRawUri,
  ),
  row(
    'target-path-parameter',
    'a path with `;`',
    { target: `${id('target-path-parameter')};a=${attack};b` },
    inRawUri,
  ),
  row('target-fragment', 'a fragment: `#…`', { target: `${id('target-fragment')}#${attack}` }, refused),
  row(
    'target-control',
    'a control byte in the target',
    { target: `${id('target-control')}?q=\x01${attack}` },
    refused,
  ),
  row('target-nul', 'NUL in the target', { target: `${id('target-nul')}?q=\0${attack}` }, refused),
  row(
    'target-high-bytes',
    'bytes beyond ASCII in the target',
    { target: `${id('target-high-bytes')}?q=\xc3\xa9${attack}` },
    refused,
  ),
  row('target-space', 'a space in the target', { target: `${id('target-space')}?q= ${attack}` }, refused),
  row(
    'method-odd',
    'an unknown method',
    { method: 'attack-block' },
    { kind: 'found', address: 'server.request.method' },
  ),
  {
    id: 'pipelined',
    what: 'two requests in one write, the attack in the second',
    bytes: Buffer.concat([
      rawRequest('pipelined-first', {}),
      rawRequest('pipelined', { lines: [`x-any: ${attack}`] }),
    ]),
    outcome: inFields('x-any', '0'),
    answers: 2,
  },

  query(
    'query-escaped',
    'query: escaped once, as every server decodes it',
    'q=%61ttack%2Dblock',
    inQuery('q', '0'),
  ),
  query(
    'query-escape-broken',
    'query: broken escapes around valid ones',
    'q=%zz%%61ttack%2Dblock%2',
    inQuery('q', '0'),
  ),
  query('query-escaped-twice', 'query: escaped twice', 'q=%2561ttack-block', inQuery('q', '1')),
  query('query-escaped-thrice', 'query: escaped three times', 'q=%252561ttack-block', inQuery('q', '2')),
  query(
    'query-escaped-four-times',
    'query: escaped four times',
    'q=%25252561ttack-block',
    passes('escapes are decoded three times at most'),
  ),
  query('query-escape-u', 'query: `%u0061`, which IIS decodes', 'q=%u0061ttack-block', inQuery('q', '1')),
  query(
    'query-overlong',
    'query: overlong UTF-8: `%c1%a1` for `a`',
    'q=%c1%a1ttack-block',
    inQuery('q', '1'),
  ),
  query(
    'query-invalid-utf8',
    'query: invalid UTF-8 around it',
    'q=%ff%fe%61ttack-block%c3',
    inQuery('q', '0'),
  ),
  query(
    'query-nul',
    'query: NUL and control characters in front of it',
    'q=x%00%01%0d%0a%61ttack-block',
    inQuery('q', '0'),
  ),
  query(
    'query-nul-inside',
    'query: NUL inside it',
    'q=att%00ack-block',
    passes("the rules get the value unchanged; many of Datadog's rules remove NUL themselves"),
  ),
  query(
    'query-full-width',
    'query: look-alike characters: `ａ` for `a`',
    'q=%EF%BD%81ttack-block',
    passes('compatibility characters are not mapped, as few applications do that'),
  ),
  query('query-repeated', 'query: repeated name', 'q=1&q=%61ttack-block&q=2', inQuery('q', '1')),
  query(
    'query-torn',
    'query: split in two by a repeated name',
    'q=attack-&q=block',
    passes('values are not joined, because servers join them in different ways'),
  ),
  query('query-semicolon', 'query: `;` instead of `&`', 'a=1;q=%61ttack-block', inQuery('a', '0')),
  query('query-bare-name', 'query: a name without `=`', 'q%3B%61ttack-block', inQuery('q;attack-block', '1')),
  query(
    'query-name',
    'query: in the name of a parameter',
    '%61ttack-block=1',
    passes('most rules inspect only values; the ruleset decides'),
  ),
  query(
    'query-many',
    'query: after 1,000 others',
    `${'a&'.repeat(500)}${Array.from({ length: 500 }, (_, index) => `a${index}=`).join('&')}&q=%61ttack-block`,
    { kind: 'found', address: 'server.request.query' },
  ),
  query('query-long', 'query: after 10,000 characters', `q=${'x'.repeat(10_000)}%61ttack-block`, {
    kind: 'found',
    address: 'server.request.query',
  }),
];
