import { describe, expect, it } from 'vitest';
import {
  both,
  check,
  type Edit,
  inDefaults,
  prepend,
  replace,
  shipped,
  withoutOwnDefaults,
} from './cases.ts';

// What HAProxy does with defaults, `from`, and lines in backends was seen on 2.6, 3.0 and 3.2; test/e2e holds it.

const rulesOf = (edit: Edit): string[] => {
  const files = shipped();
  edit(files);
  return check(files).map(({ rule }) => rule);
};
const whatOf = (edit: Edit): string[] => {
  const files = shipped();
  edit(files);
  return check(files).map(({ what }) => what);
};
/** The one defaults section becomes a chain, and the frontend takes its end. */
const chain = (base: string, web: string): Edit =>
  replace(
    'main',
    /\ndefaults\n {4}mode http\n[\s\S]*?\n\nfrontend main\n/,
    `
defaults base
${base}    timeout connect 2s
    timeout client 30s
    timeout server 30s

defaults web from base
${web}
defaults
    mode http

frontend main from web
`,
  );
/** The agent's lines stand in the backend, and `lines` of the frontend before it. */
const inBackend =
  (lines: string): Edit =>
  (files) => {
    const start = files.main.indexOf('# appsec-edge HAProxy configuration 1.4.0: rules of a frontend');
    const own = files.main.indexOf('    http-request set-header x-own 1');
    const pasted = files.main.slice(start, own);
    files.main = files.main
      .replace(/ {4}http-request set-header x-own 1\n.*\n/, '')
      .replace(pasted, () => lines)
      .replace('backend origin\n    server', () => `backend origin\n${pasted}\n    server`);
  };

describe('check on what is inherited', () => {
  it.each<[string, Edit]>([
    ['a mode that comes through a chain of defaults', chain('    mode http\n', '')],
    ['a time-out that comes through it', chain('    mode http\n', '    log global\n')],
    ['options of HTTP in the defaults', inDefaults('option forwardfor')],
    ['a default-server of others in the defaults', inDefaults('default-server ssl verify none send-proxy')],
    [
      'an option that is taken back further down',
      both(withoutOwnDefaults, inDefaults('option forwardfor\n    no option forwardfor')),
    ],
    [
      'TLS to the agent that its own lines take back',
      both(
        both(withoutOwnDefaults, inDefaults('default-server ssl verify none')),
        replace('main', 'default-server check', 'default-server no-ssl check'),
      ),
    ],
    [
      'defaults below the backend of the agent',
      (files) => {
        files.main += 'defaults\n    mode tcp\nlisten late\n    bind :81\n';
      },
    ],
    ['the lines in a backend', inBackend('')],
    [
      'compression that is declared',
      both(
        inDefaults('compression algo gzip'),
        replace('main', 'x-own 1', 'x-own 1\n    filter compression'),
      ),
    ],
    [
      'compression that is declared above the agent',
      both(inDefaults('compression algo gzip'), prepend('filter compression')),
    ],
    [
      'a cache that is declared',
      replace(
        'main',
        'x-own 1',
        'x-own 1\n    filter cache c\n    http-request cache-use c\n    http-response cache-store c',
      ),
    ],
    [
      'an FCGI application behind the frontend',
      replace('main', 'server origin 127', 'use-fcgi-app php\n    server origin 127'),
    ],
  ])('finds nothing wrong with %s', (_what, edit) => {
    expect(rulesOf(edit)).toEqual([]);
  });

  it('does not take the mode of defaults that are not in the chain', () => {
    expect(rulesOf(chain('', ''))).toContain('not-http');
  });

  it('gives defaults nothing that they do not name', () => {
    expect(
      rulesOf(replace('main', '\nfrontend main', '\ndefaults\n    log global\n\nfrontend main')),
    ).toContain('not-http');
  });

  it('reads `defaults from NAME` as unnamed defaults that take from NAME', () => {
    const edit = replace('main', '\ndefaults\n', '\ndefaults base\n');
    const more = replace('main', '\nfrontend main', '\ndefaults from base\n\nfrontend main');
    expect(rulesOf(both(edit, more))).toEqual([]);
  });

  it.each([
    ['http-request allow if { path /health }', "'allow' in defaults web comes before the agent's rules"],
    [
      'http-request deny if { path /x }',
      "'deny' in defaults web answers requests before the agent is called",
    ],
    ['http-request set-path /x', "'set-path' in defaults web changes the request before the agent is called"],
    [
      'http-request lua.maintenance',
      "'lua.maintenance' in defaults web may answer requests before the agent is called",
    ],
  ])('finds %s in the defaults of the frontend', (line, what) => {
    expect(whatOf(chain('    mode http\n', `    ${line}\n`))).toEqual([what]);
  });

  it('counts a line of defaults once, however many proxies take it', () => {
    const twice = replace(
      'main',
      'backend origin\n',
      'frontend other from web\n    bind :81\n    filter spoe engine dd-spoe config /etc/haproxy/spoe.cfg\n    http-request send-spoe-group dd-spoe dd-request-headers\n    http-request lua.send_blocking_response if { var(txn.dd.blocked) -m bool }\nbackend origin\n',
    );
    const files = shipped();
    both(chain('    mode http\n', '    http-request allow if { path /health }\n'), twice)(files);
    const found = check(files, { versions: ['3.2'] }).filter(({ rule }) => rule === 'skipped-inspection');
    expect(found).toEqual([expect.objectContaining({ severity: 'warning' })]);
  });

  it('finds authentication that answers above the agent', () => {
    expect(rulesOf(prepend('http-request auth unless { http_auth(users) }'))).toEqual(['answered-before']);
  });

  it('finds our rules in defaults, where no filter can stand', () => {
    const edit = chain('    mode http\n', '    http-request send-spoe-group dd-spoe dd-request-headers\n');
    expect(rulesOf(edit)).toContain('group-without-filter');
  });

  it('finds what a frontend does before the agent is called in the backend, but for allow', () => {
    const lines = ['set-path /x', 'allow if { path /y }', 'deny if { path /z }'];
    const edit = inBackend(lines.map((line) => `    http-request ${line}\n`).join(''));
    expect(rulesOf(edit)).toEqual(['rewritten-before', 'answered-before']);
  });

  it('names the backends that have no lines when others have them', () => {
    const edit = both(
      inBackend('    use_backend %[req.hdr(host)]\n'),
      replace(
        'main',
        '\ndefaults dd-spoa-defaults',
        '\nbackend bare\n    server b 127.0.0.1:1\n\ndefaults dd-spoa-defaults',
      ),
    );
    expect(whatOf(edit)).toEqual(["backend bare has no 'filter spoe' for the agent"]);
  });
});
