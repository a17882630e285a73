import { describe, expect, it } from 'vitest';
import {
  checkFiles,
  checkRules,
  everyVersion,
  type Finding,
  printFinding,
} from '../../../src/cli/check/run.ts';
import {
  cases,
  check,
  defaultSettings,
  type Edit,
  type Files,
  firstRule,
  luaPath,
  prepend,
  replace,
  repositoryFile,
  secondServer,
  shipped,
} from './cases.ts';

function lineOf(files: Files, finding: Finding): string {
  const text =
    finding.file === 'haproxy.cfg' ? files.main : finding.file === luaPath ? files.lua : files.spoe;
  return (text.split('\n')[finding.line - 1] ?? '').trim();
}

describe('check', () => {
  it.each(everyVersion)('finds nothing in the shipped files, for HAProxy %s', (version) => {
    expect(check(shipped(), { versions: [version] })).toEqual([]);
  });

  it('finds nothing in the shipped files when no version is known', () => {
    expect(check(shipped(), { versions: everyVersion })).toEqual([]);
  });

  it('finds nothing in the shipped files given one by one, with CRLF', () => {
    const files = ['global-config.cfg', 'frontend-config.cfg', 'backend.cfg'].map((name) => ({
      path: name,
      text: repositoryFile(`haproxyconf/${name}`).replaceAll('\n', '\r\n'),
    }));
    const spoe = { path: 'spoe.cfg', text: shipped().spoe.replaceAll('\n', '\r\n') };
    const input = {
      files,
      spoe,
      environment: new Map(),
      settings: defaultSettings,
      readFile: () => undefined,
    };
    expect(checkFiles(input, everyVersion)).toEqual([]);
  });

  it.each(cases)('%s: is found where it is (case %#)', (rule, edit, line, around) => {
    const files = shipped();
    edit(files);
    const found = check(files, around).filter((finding) => finding.rule === rule);
    const lines = found.map((finding) => lineOf(files, finding));
    expect(
      lines.some((text) => (typeof line === 'string' ? text === line : line.test(text))),
      lines.join('\n'),
    ).toBe(true);
    expect(found[0]?.severity).toBe(checkRules.find(({ id }) => id === rule)?.severity);
  });

  it('has a case here for every rule, and every rule has its own id', () => {
    const ids = checkRules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...new Set(cases.map(([id]) => id))].sort()).toEqual([...ids].sort());
  });

  it.each<[string, Edit]>([
    [
      'a deny of the agent itself, in place of Lua',
      replace('main', 'lua.send_blocking_response', 'deny deny_status 403'),
    ],
    ['a path changed behind the agent', replace('main', 'set-header x-own 1', 'set-path /x%[path]')],
    ['a session variable of somebody else', prepend('http-request set-var(sess.mine) src')],
    ['several servers with the hash', secondServer],
    ['a comment that looks like a rule', prepend('# http-request set-path /x')],
    ['a quoted word that looks like a comment', prepend('http-request set-var(txn.x) str("# no comment")')],
    [
      'a wait as long as the time-out of the client',
      replace('main', 'http-request wait-for-body time 1h', 'http-request wait-for-body time 30s'),
    ],
    ['another filter behind the agent', replace('main', firstRule, `    filter compression\n${firstRule}`)],
    ['mode tcp for the agent on 3.1 and later', replace('main', 'mode spop', 'mode tcp')],
    ['another engine beside', prepend('http-request send-spoe-group coraza other')],
  ])('finds nothing wrong with %s', (_what, edit) => {
    const files = shipped();
    edit(files);
    expect(check(files)).toEqual([]);
  });

  it('looks at the branch that the version takes', () => {
    const files = shipped();
    prepend(
      '.if version_atleast(3.0)\n    http-request set-path /x\n    .else\n    http-request set-query x\n    .endif',
    )(files);
    const whats = (versions: readonly string[]): string[] =>
      check(files, { versions }).map(({ what }) => what);
    expect(whats(['3.2'])).toEqual(["'set-path' changes the request before the agent is called"]);
    expect(whats(['2.6'])).toEqual(["'set-query' changes the request before the agent is called"]);
  });

  it('calls what holds for some versions a hint, and names them, when the version is not known', () => {
    const files = shipped();
    replace('main', '.if version_atleast(3.1)\n    mode', '.if version_atleast(2.0)\n    mode')(files);
    const [finding] = check(files, { versions: everyVersion });
    expect(finding).toMatchObject({ rule: 'backend-mode', severity: 'hint', versions: ['2.6', '3.0'] });
  });

  it('looks at both branches of what only the running HAProxy knows', () => {
    const files = shipped();
    prepend(
      '.if feature(OPENSSL)\n    http-request set-path /x\n    .else\n    http-request set-query x\n    .endif',
    )(files);
    expect(check(files).map(({ rule }) => rule)).toEqual(['rewritten-before', 'rewritten-before']);
  });

  it('takes the environment before presetenv, and setenv before both', () => {
    const files = shipped();
    const environment = { DD_SPOA_PROCESSING_TIMEOUT: '5ms' };
    expect(check(files, { environment }).map(({ what }) => what)).toEqual([
      "timeout processing 5ms does not exceed the WAF's time-out of 10 ms",
    ]);
    replace('main', 'presetenv DD_SPOA_PROCESSING_TIMEOUT', 'setenv DD_SPOA_PROCESSING_TIMEOUT')(files);
    expect(check(files, { environment })).toEqual([]);
  });

  it('finds the backend in a file of its own', () => {
    const files = shipped();
    const [own, backend] = files.main.split('# appsec-edge HAProxy configuration 1.4.0: the backend');
    files.main = own ?? '';
    expect(check(files).map(({ rule }) => rule)).toEqual(['no-backend']);
    expect(check(files, { more: [{ path: 'backend.cfg', text: `# ${backend ?? ''}` }] })).toEqual([]);
  });

  it('finds what is known about files like those of Datadog', () => {
    const folder = 'test/fixtures/datadog-conf';
    const files = ['global-config.cfg', 'frontend-config.cfg', 'backend.cfg'].map((name) => ({
      path: name,
      text: repositoryFile(`${folder}/${name}`),
    }));
    const input = {
      files,
      spoe: { path: 'spoe.cfg', text: repositoryFile(`${folder}/spoe.cfg`) },
      environment: new Map([['DD_SPOA_LUA_FILE', 'blocking-response.lua']]),
      settings: defaultSettings,
      readFile: (path: string) =>
        path === 'blocking-response.lua' ? repositoryFile(`${folder}/${path}`) : undefined,
    };
    const rulesOf = (version: string): string[] => [
      ...new Set(checkFiles(input, [version]).map(({ rule }) => rule)),
    ];
    const common = [
      'lua-request-only',
      'session-variable',
      'short-wait',
      'response-not-blocked',
      'response-body-flag',
    ];
    expect(rulesOf('3.2')).toEqual(
      expect.arrayContaining([...common, 'stream-held-back', 'continue-on-error', 'lua-bool']),
    );
    expect(rulesOf('3.2')).not.toContain('backend-mode');
    expect(rulesOf('3.0')).toContain('backend-mode');
  });

  it('prints file, line, severity, what, why, remedy and rule', () => {
    const finding = {
      file: 'a.cfg',
      line: 7,
      severity: 'error',
      rule: 'id',
      what: 'W',
      why: 'Y',
      remedy: 'R',
    } as const;
    expect(printFinding(finding)).toBe('a.cfg:7: error: W: Y. Remedy: R [id]');
    expect(printFinding({ ...finding, versions: ['2.6'] })).toBe(
      'a.cfg:7: error: W (on HAProxy 2.6): Y. Remedy: R [id]',
    );
  });

  it('survives any text', () => {
    for (const main of [
      '',
      '\0',
      '.endif',
      '.else',
      'filter spoe',
      'http-request',
      '"',
      "'",
      '\\',
      '.if',
      'frontend',
    ]) {
      expect(() => check({ main, spoe: main, lua: main }, { versions: everyVersion })).not.toThrow();
    }
  });
});
