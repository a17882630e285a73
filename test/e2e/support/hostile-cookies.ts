// Cookies.
import { attack, type HostileRequest, inCookies, passes, row } from './hostile-request.ts';

function cookie(id: string, what: string, value: string, outcome: HostileRequest['outcome']): HostileRequest {
  return row(id, what, { lines: [`cookie: ${value}`] }, outcome);
}

export const hostileCookies: readonly HostileRequest[] = [
  cookie('cookie-bare', 'cookie: no `=`', `a=1; ${attack}`, inCookies('', '0')),
  cookie('cookie-no-name', 'cookie: no name', `a=1; =${attack}`, inCookies('', '0')),
  cookie('cookie-quoted', 'cookie: quoted', `a="${attack}"`, inCookies('a', '0')),
  cookie(
    'cookie-quoted-semicolon',
    'cookie: quoted, with `;` inside',
    'a="attack-;block"; b=attack-block',
    inCookies('b', '0'),
  ),
  cookie('cookie-octal', 'cookie: quoted with octal escapes', 'a="\\141ttack-block"', {
    kind: 'found',
    address: 'server.request.cookies',
  }),
  cookie('cookie-escaped', 'cookie: percent-escapes, valid and broken', 'a=%zz%61ttack-block%', {
    kind: 'found',
    address: 'server.request.cookies',
  }),
  cookie('cookie-escaped-twice', 'cookie: escaped twice', 'a=%2561ttack-block', {
    kind: 'found',
    address: 'server.request.cookies',
  }),
  cookie('cookie-repeated', 'cookie: repeated name', `a=1; a=${attack}; a=2`, inCookies('a', '1')),
  cookie(
    'cookie-many',
    'cookie: behind 2,000 others',
    `${Array.from({ length: 2_000 }, (_, index) => `${index.toString(36)}=`).join(';')};z=${attack}`,
    { kind: 'found', address: 'server.request.cookies' },
  ),
  cookie('cookie-commas', 'cookie: separated by commas', `a=1, b=${attack}`, inCookies('a', '0')),
  row(
    'cookie-fields',
    'cookie: in the second of two Cookie headers',
    { lines: ['cookie: a=1', `COOKIE: b=${attack}`] },
    inCookies('b', '0'),
  ),
  cookie(
    'cookie-name',
    'cookie: in its name',
    `${attack}=1`,
    passes('most rules inspect only values; the ruleset decides'),
  ),
];
