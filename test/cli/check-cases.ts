import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { SourceFile } from '../../src/cli/check-parse.ts';
import { checkFiles, type Finding } from '../../src/cli/check-run.ts';
import type { CheckSettings } from '../../src/cli/check-setup.ts';

// What an operator may do to the shipped files, and the rule of `check` that must notice.

export function repositoryFile(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
}

export const luaPath = '/etc/haproxy/lua/datadog_aap_blocking_response.lua';

/** A whole configuration around the shipped files, as an operator would put it together. */
export interface Files {
  main: string;
  spoe: string;
  lua: string;
}

export type Edit = (files: Files) => void;

export function shipped(): Files {
  return {
    main: `
${repositoryFile('haproxyconf/global-config.cfg')}
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s

frontend main
    bind :80
${repositoryFile('haproxyconf/frontend-config.cfg')}
    http-request set-header x-own 1
    http-request deny if { path /secret }
    default_backend origin

backend origin
    server origin 127.0.0.1:8000

${repositoryFile('haproxyconf/backend.cfg')}`,
    spoe: repositoryFile('haproxyconf/spoe.cfg'),
    lua: repositoryFile('lua/datadog_aap_blocking_response.lua'),
  };
}

export const defaultSettings: CheckSettings = {
  bodyLimitBytes: 0,
  wafTimeoutUs: 10_000,
  maxFrameSizeBytes: 131_072,
};

interface Around {
  readonly versions?: readonly string[];
  readonly settings?: Partial<CheckSettings>;
  readonly more?: readonly SourceFile[];
  readonly environment?: Readonly<Record<string, string>>;
}

export function check(files: Files, around: Around = {}): Finding[] {
  const onDisk: Record<string, string> = { '/etc/haproxy/spoe.cfg': files.spoe, [luaPath]: files.lua };
  return checkFiles(
    {
      files: [{ path: 'haproxy.cfg', text: files.main }, ...(around.more ?? [])],
      spoe: undefined,
      environment: new Map(Object.entries(around.environment ?? {})),
      settings: { ...defaultSettings, ...around.settings },
      readFile: (path) => onDisk[path],
    },
    around.versions ?? ['3.2'],
  );
}

/** Replaces the one place where `text` stands; a test that edits nothing would prove nothing. */
export function replace(file: keyof Files, text: string | RegExp, by: string): Edit {
  return (files) => {
    const edited = files[file].replace(text, () => by);
    expect(edited, `no ${text} in ${file}`).not.toBe(files[file]);
    files[file] = edited;
  };
}

const drop = (file: keyof Files, text: string | RegExp): Edit => replace(file, text, '');
export const firstRule = '    http-request set-var(txn.dd_target) pathq\n';
export const prepend = (line: string): Edit => replace('main', firstRule, `    ${line}\n${firstRule}`);
export function both(one: Edit, other: Edit): Edit {
  return (files) => {
    one(files);
    other(files);
  };
}
/** A line of the operator's own `global` section, which HAProxy reads after ours. */
export const inGlobal = (line: string): Edit =>
  replace('main', '\ndefaults\n', `\nglobal\n    ${line}\n\ndefaults\n`);
/** A rule of the operator's below ours. */
export const behind = (line: string): Edit =>
  replace('main', '    http-request deny if { path /secret }\n', `    ${line}\n`);
export const agentBackend = 'backend dd-spoa from dd-spoa-defaults';
export const secondServer = replace('main', '# server spoa2', 'server spoa2');

/** The backend as configuration 1.3.0 had it: it takes the last defaults above it. */
export const withoutOwnDefaults = replace(
  'main',
  `defaults dd-spoa-defaults\n\n${agentBackend}`,
  'backend dd-spoa',
);
/** A line in the operator's defaults. */
export const inDefaults = (line: string): Edit => replace('main', 'mode http\n', `mode http\n    ${line}\n`);
const named = replace('main', '\ndefaults\n', '\ndefaults base\n');
const namedByFrontend = both(named, replace('main', 'frontend main\n', 'frontend main from base\n'));

/** Rule, what an operator did, the words of the line that is named, and what is around it. */
export const cases: [string, Edit, string | RegExp, Around?][] = [
  ['no-filter', drop('main', /^ *filter spoe.*$/m), 'frontend main'],
  [
    'unprotected-frontend',
    replace('main', '\nbackend origin\n', '\nfrontend other\n    bind :81\nbackend origin\n'),
    'frontend other',
  ],
  ['not-http', replace('main', 'bind :80', 'mode tcp'), 'frontend main'],
  ['group-without-filter', drop('main', /^ *filter spoe.*$/m), /send-spoe-group dd-spoe dd-request-headers/],
  ['request-not-sent', drop('main', /^.*send-spoe-group dd-spoe dd-request-headers .*$/m), /filter spoe/],
  ['part-not-sent', drop('main', /^.*send-spoe-group dd-spoe dd-response-body.*$/m), /filter spoe/],
  [
    'request-not-blocked',
    (files) => {
      files.main = files.main.replaceAll(/^ *http-request lua\..*$/gm, '');
    },
    /send-spoe-group dd-spoe dd-request-headers/,
  ],
  [
    'response-not-blocked',
    (files) => {
      files.main = files.main.replaceAll('http-response lua.', 'http-request lua.');
    },
    /send-spoe-group dd-spoe dd-response-headers/,
  ],
  [
    'blocks-everything',
    replace(
      'main',
      'http-request lua.send_blocking_response if { var(txn.dd.blocked) -m bool }',
      'http-request lua.send_blocking_response',
    ),
    'http-request lua.send_blocking_response',
  ],
  ['rewritten-before', prepend('http-request set-path /x%[path]'), /set-path/],
  ['headers-before', prepend('http-request set-header X-Forwarded-For %[src]'), /X-Forwarded-For/],
  ['answered-before', prepend('http-request redirect scheme https unless { ssl_fc }'), /redirect scheme/],
  ['skipped-inspection', prepend('http-request allow if { path /health }'), /allow if/],
  ['session-variable', prepend('http-request set-var(sess.id) var(txn.dd.span_id)'), /sess\.id/],
  [
    'session-variable',
    replace('spoe', 'span_id=var(txn.dd.span_id) body_size=req', 'span_id=var(sess.id) body_size=req'),
    /sess\.id/,
  ],
  [
    'response-body-flag',
    replace('main', 'var(txn.dd.response_body)', 'var(txn.dd.request_body)'),
    /http-response wait-for-body/,
  ],
  [
    'short-wait',
    replace('main', 'http-request wait-for-body time 1h', 'http-request wait-for-body time 1s'),
    /time 1s/,
  ],
  [
    'short-wait',
    replace('main', 'http-response wait-for-body time 1h', 'http-response wait-for-body time 5000'),
    /time 5000/,
  ],
  [
    'stream-held-back',
    replace('main', 'dd_response_wanted dd_response_fits', 'dd_response_wanted'),
    /http-response wait-for-body/,
  ],
  [
    'body-not-awaited',
    drop('main', /^ *http-request wait-for-body.* dd_body_wanted .*$/m),
    /send-spoe-group dd-spoe dd-request-body/,
  ],
  [
    'spoe-not-read',
    replace('main', 'DD_SPOA_SPOA_CONF_FILE /etc/haproxy/spoe.cfg', 'DD_SPOA_SPOA_CONF_FILE /nowhere.cfg'),
    /filter spoe/,
  ],
  ['spoe-not-read', replace('spoe', '[dd-spoe]', '[other]'), /filter spoe/],
  ['no-agent', drop('spoe', /^spoe-agent dd-agent$/m), /^# appsec-edge/],
  [
    'group-missing',
    replace('spoe', 'spoe-group dd-request-body', 'spoe-group other'),
    /send-spoe-group dd-spoe dd-request-body/,
  ],
  [
    'group-missing',
    replace('spoe', 'groups dd-request-headers ', 'groups '),
    /send-spoe-group dd-spoe dd-request-headers/,
  ],
  ['message-missing', replace('spoe', 'messages http-request-body-msg', 'messages other'), /messages other/],
  [
    'argument-missing',
    replace('spoe', 'path=var(txn.dd_target) ', ''),
    'spoe-message http-request-headers-msg',
  ],
  [
    'argument-missing',
    replace('spoe', 'span_id=var(txn.dd.span_id) body_size=res.body_size\n    args "proc', 'args "proc'),
    'spoe-message http-response-body-msg',
  ],
  ['argument-useful', replace('spoe', 'ip=src ', ''), 'spoe-message http-request-headers-msg'],
  [
    'no-body-size',
    replace(
      'spoe',
      'args span_id=var(txn.dd.span_id) body_size=req.body_size',
      'args span_id=var(txn.dd.span_id)',
    ),
    'spoe-message http-request-body-msg',
  ],
  [
    'no-conf-version',
    replace('spoe', 'args conf_version=str(1.4.0)', ''),
    'spoe-message http-request-headers-msg',
  ],
  ['conf-version', replace('spoe', 'conf_version=str(1.4.0)', 'conf_version=str(0.9.0)'), /0\.9\.0/],
  ['var-prefix', replace('spoe', 'option var-prefix dd', 'option var-prefix waf'), /var-prefix waf/],
  ['continue-on-error', drop('spoe', 'option continue-on-error'), 'spoe-agent dd-agent'],
  ['set-on-error', replace('spoe', 'option set-on-error', 'no option set-on-error'), 'spoe-agent dd-agent'],
  ['processing-timeout', drop('spoe', /^ *timeout processing.*$/m), 'spoe-agent dd-agent'],
  ['processing-timeout', replace('main', 'TIMEOUT 200ms', 'TIMEOUT 10ms'), /timeout processing/],
  ['low-setting', () => undefined, 'spoe-agent dd-agent', { settings: { wafTimeoutUs: 10 } }],
  [
    'unknown-variable',
    replace('main', 'presetenv DD_SPOA_TIMEOUT 1m', 'presetenv DD_SPOA_TIMOUT 5m'),
    'presetenv DD_SPOA_TIMOUT 5m',
  ],
  [
    'frame-size',
    replace('spoe', '    use-backend', '    max-frame-size 4096\n    use-backend'),
    'max-frame-size 4096',
  ],
  ['frame-limit', inGlobal('tune.bufsize 1m'), 'tune.bufsize 1m'],
  // HAProxy makes 131088 of it.
  ['frame-limit', inGlobal('tune.bufsize 131076'), 'tune.bufsize 131076'],
  ['frame-limit', () => undefined, /tune\.bufsize/, { settings: { maxFrameSizeBytes: 8_192 } }],
  ['body-beyond-buffer', () => undefined, /tune\.bufsize/, { settings: { bodyLimitBytes: 10_000_000 } }],
  ['rewriting-room', behind(`http-request set-header X-Own ${'x'.repeat(9_000)}`), /X-Own/],
  [
    'rewriting-copies',
    both(inGlobal('tune.maxrewrite 1024'), behind('http-request set-header X-Url %[url]')),
    /X-Url/,
  ],
  ['small-maxrewrite', inGlobal('tune.maxrewrite 64'), 'tune.maxrewrite 64'],
  ['small-head-room', inGlobal('tune.bufsize 16384'), 'tune.bufsize 16384'],
  ['no-lua-load', drop('main', /^ *lua-load-per-thread.*$/m), /lua\.send_blocking_response/],
  ['lua-request-only', replace('lua', '{ "http-req", "http-res" }', '{ "http-req" }'), /lua-load-per-thread/],
  ['lua-bool', drop('main', /^ *tune\.lua\.bool.*$/m), /lua-load-per-thread/],
  [
    'lua-bool',
    replace('main', '    .if version_atleast(3.2)', '    lua-load first.lua\n    .if version_atleast(3.2)'),
    /tune\.lua\.bool/,
  ],
  [
    'lua-bool-unknown',
    replace('main', '.if version_atleast(3.2)', '.if version_atleast(2.0)'),
    /tune\.lua\.bool/,
    { versions: ['3.0'] },
  ],
  ['no-backend', replace('main', 'backend dd-spoa', 'backend other'), /use-backend dd-spoa/],
  ['backend-mode', replace('main', 'mode spop', 'mode http'), 'mode http'],
  [
    'backend-mode',
    replace('main', '.if version_atleast(3.1)\n    mode', '.if version_atleast(2.0)\n    mode'),
    'mode spop',
    { versions: ['3.0'] },
  ],
  ['no-server', drop('main', /^ *server spoa1.*$/m), agentBackend],
  ['no-spop-check', drop('main', 'option spop-check'), agentBackend],
  ['no-spop-check', drop('main', 'default-server check'), /server spoa1/],
  [
    'no-balance-hash',
    both(secondServer, replace('main', 'balance hash var(ptxn.dd_shard)', 'balance leastconn')),
    'balance leastconn',
  ],
  ['no-balance-hash', both(secondServer, drop('main', /^.*set-var\(txn\.dd_shard\).*$/m)), /balance hash/],
  ['several-agents', secondServer, /server spoa2/, { versions: ['3.0'] }],
  ['outdated-file', replace('main', 'configuration 1.4.0: rules', 'configuration 0.9.1: rules'), /0\.9\.1/],
  ['outdated-file', replace('lua', 'configuration 1.4.0', 'configuration 2.0.0'), /2\.0\.0/],
  ['unset-variable', replace('spoe', '-100ms}', '}'), /timeout hello/],
  ['implicit-filter', inDefaults('compression algo gzip'), /compression algo/],
  ['implicit-filter', replace('main', 'x-own 1', 'x-own 1\n    http-request cache-use c'), /cache-use c/],
  [
    'fcgi-app-beside',
    replace('main', 'frontend main\n', 'listen main\n    use-fcgi-app php\n'),
    /use-fcgi-app/,
    { versions: ['3.0'] },
  ],
  ['misplaced-lines', prepend('use_backend origin if { path /x }'), /use_backend/],
  ['misplaced-lines', replace('main', 'x-own 1', 'x-own 1\n    tcp-request content accept'), /tcp-request/],
  [
    'lua-twice',
    (files) => {
      files.main = repositoryFile('haproxyconf/global-config.cfg') + files.main;
    },
    /lua-load-per-thread/,
  ],
  [
    'loaded-twice',
    (files) => {
      files.main += repositoryFile('haproxyconf/backend.cfg');
    },
    agentBackend,
  ],
  ['loaded-twice', prepend('filter spoe engine dd-spoe config /etc/haproxy/spoe.cfg'), /filter spoe/],
  ['backend-inherits-options', both(withoutOwnDefaults, inDefaults('option forwardfor')), /forwardfor/],
  ['backend-inherits-server', both(withoutOwnDefaults, inDefaults('default-server ssl')), /default-server/],
  [
    'defaults-with-rules',
    both(withoutOwnDefaults, both(named, inDefaults('http-request deny if { path /x }'))),
    /http-request deny if { path \/x }/,
  ],
  ['defaults-mixed', both(withoutOwnDefaults, namedByFrontend), 'backend dd-spoa'],
  [
    'agent-defaults-taken',
    (files) => {
      files.main += 'frontend late\n    bind :81\n';
    },
    'frontend late',
  ],
];
