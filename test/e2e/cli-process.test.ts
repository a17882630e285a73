// Exit codes and what is said on which stream: the real process, as it is built.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const root = fileURLToPath(new URL('../../', import.meta.url));
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'appsec-edge-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  args: readonly string[],
  more: { readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DD_|FORCE_COLOR|NO_COLOR)/.test(name));
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...Object.fromEntries(inherited), ...more.env },
    cwd: root,
  });
  child.stdin.end(more.input ?? '');
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code: code as number | null, stdout, stderr };
}

const attack = 'GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: dd-test-scanner-log-block\r\n\r\n';

describe('appsec-edge', () => {
  it('prints its help and version, and ends with 0', async () => {
    const help = await run(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('Usage: appsec-edge');
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect((await run(['inspect', '--help'])).code).toBe(0);
  });

  it.each<[readonly string[], string]>([
    [['--prot', '3000'], "unknown option '--prot'\n(Did you mean --port?)"],
    [
      ['sopa'],
      "unknown command 'sopa'; it must be one of run, spoa, ext-proc, mirror, inspect, haproxyconf, envoyconf, check, policy, healthcheck",
    ],
    [['inspect', 'http://x/', 'y'], "too many arguments for 'inspect'"],
    [['inspect'], "inspect needs a URL, or a raw HTTP request on standard input with '--raw'"],
    [['inspect', 'http://x/', '--raw'], 'cannot be combined with a URL, -X, -H or -d'],
    [
      ['inspect', '-', '--client-ip', 'me'],
      "--client-ip: 'me' is not allowed; it must be an IPv4 or IPv6 address",
    ],
    [['haproxyconf'], "missing required argument 'folder'"],
    [['haproxyconf', 'x', '--server', 'x'], "--server: 'x' is not allowed; it must be host:port"],
    [['haproxyconf', 'x', '--timeout', 'soon'], "--timeout: 'soon' is not allowed; it must be a duration"],
    [['haproxyconf', 'x', '--lua', '/a"b'], `--lua: '/a"b' is not allowed; it must be a path without`],
    [['envoyconf', 'envoy'], "missing required argument 'folder'"],
    [['envoyconf', 'traefik', 'x'], "unknown set 'traefik'; it must be one of envoy, istio-gateway"],
    [['envoyconf', 'gcp', 'x', '--app', 'shop'], '--app changes nothing in gcp'],
    [
      ['envoyconf', 'envoy', 'x', '--address', 'waf'],
      "--address: 'waf' is not allowed; it must be host:port",
    ],
    [['envoyconf', 'envoy', 'x', '--address', 'waf:70000'], "--address: 'waf:70000' is not allowed"],
    [['envoyconf', 'envoy', 'x', '--ca', '/nowhere'], '--ca: ENOENT'],
    [['envoyconf', 'envoy', 'x', '--ca', '/dev/null'], "--ca: '/dev/null' is not allowed; it must be a file"],
    [
      ['envoyconf', 'kubernetes', 'x', '--image', 'waf'],
      "--image: 'waf' is not allowed; it must be an image",
    ],
    [['envoyconf', 'kubernetes', 'x', '--namespace', 'A'], "--namespace: 'A' is not allowed"],
    [['check'], "missing required argument 'files'"],
    [['check', '/nowhere.cfg'], '/nowhere.cfg cannot be read'],
    [
      ['check', '/dev/null', '--haproxy-version', 'new'],
      "--haproxy-version: 'new' is not allowed; it must be a version",
    ],
    [['healthcheck', '--healthcheck-port', 'x'], "--healthcheck-port: 'x' is not allowed"],
    [['healthcheck', '--healthcheck-port'], "option '--healthcheck-port <value>' argument missing"],
    [['healthcheck', '--port', '1'], "unknown option '--port'"],
    [['healthcheck', '--wait', 'long'], "--wait: 'long' is not allowed; it must be a duration"],
    [['--port', '70000'], "--port: '70000' is not allowed; it must be a port from 0 to 65535"],
  ])('%j is a wrong use: says so and ends with 2', async (args, sentence) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain('appsec-edge: ');
    expect(stderr).toContain(sentence);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('names the variable of a bad value, and ends with 2', async () => {
    const { code, stderr } = await run(['spoa'], { env: { DD_APPSEC_WAF_TIMEOUT: 'fast' } });
    expect(code).toBe(2);
    expect(stderr).toBe(
      "appsec-edge: DD_APPSEC_WAF_TIMEOUT: 'fast' is not allowed; it must be a duration above zero with us, ms or s (default: microseconds), for example '10ms'\n",
    );
  });

  it('names a ruleset that is none, and ends with 1', async () => {
    const file = join(folder, 'rules.json');
    writeFileSync(file, '{');
    const { code, stderr } = await run(['inspect', 'http://x/', '--rules', file]);
    expect(code).toBe(1);
    expect(stderr).toContain(file);
  });

  it.each([
    ['--port', 'DD_HAPROXY_SPOA_PORT'],
    ['--healthcheck-port', 'APPSEC_EDGE_HEALTHCHECK_PORT'],
  ])('says that the %s is in use, and ends with 1', async (flag, variable) => {
    const blocker = createServer();
    blocker.listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as AddressInfo;
    const other = flag === '--port' ? '--healthcheck-port' : '--port';
    const args = ['--host', '127.0.0.1', '--trace-enabled', 'false', flag, String(port), other, '0'];
    const { code, stderr } = await run(args);
    blocker.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `appsec-edge: cannot listen on 127.0.0.1:${port}: already in use; stop the other process or set ${variable}\n`,
    );
  });
});

describe('appsec-edge inspect', () => {
  it('ends with 0 whatever the verdict', async () => {
    const { code, stdout, stderr } = await run(['inspect', '--raw'], { input: attack });
    expect(stdout).toContain('verdict: block: 1 rule matched; the client would get 403');
    expect(stdout).toContain('»dd-test-scanner-log-block«');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each([
    ['http://x/?q=1', 0, 'pass'],
    ['http://x/?q=<script>alert(1)</script>', 3, 'report'],
  ])('--exit-code: %s ends with %i (%s)', async (url, exitCode, verdict) => {
    const { code, stdout } = await run(['inspect', url, '--exit-code', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ verdict });
    expect(code).toBe(exitCode);
  });

  it('--exit-code: a block ends with 4, read from "-"', async () => {
    expect((await run(['inspect', '-', '--exit-code'], { input: attack })).code).toBe(4);
  });

  it('looks at bodies, and says that the daemon would not', async () => {
    const args = ['inspect', 'http://x/', '-d', 'a=1', '-d', 'q=<script>alert(1)</script>', '--json'];
    const alone = JSON.parse((await run(args)).stdout);
    expect(alone.matches[0]).toMatchObject({ phase: 'request-body', key_path: ['q', '0'] });
    expect(alone.notes).toEqual([expect.stringContaining('DD_APPSEC_BODY_PARSING_SIZE_LIMIT is 0')]);
    const set = JSON.parse((await run(args, { env: { DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '1000' } })).stdout);
    expect(set.notes).toEqual([]);
  });

  it('reads bodies and responses from files', async () => {
    writeFileSync(join(folder, 'body'), '{"q":"<script>alert(1)</script>"}');
    writeFileSync(join(folder, 'response'), 'HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\n\r\n{}');
    const args = ['-H', 'content-type: application/json', '-d', `@${join(folder, 'body')}`];
    const { stdout } = await run([
      'inspect',
      'http://x/',
      ...args,
      '--response',
      join(folder, 'response'),
      '--json',
    ]);
    const { inspected, notes } = JSON.parse(stdout);
    const phases = inspected.map(({ phase }: { phase: string }) => phase);
    expect(phases).toEqual(['request-headers', 'request-body', 'response-headers']);
    // Datadog's rules do not read bodies of responses.
    expect(notes[0]).toMatch(/^The response body was not inspected: .*when a rule reads response bodies/);
  });
});

describe('appsec-edge with a value or a variable that was hardly meant', () => {
  const env = { DD_APPSEC_WAF_TIMEOUT: '10', DD_HAPROXY_SPOA_PROT: 'hunter2', DD_SPOA_TIMEOT: '2m' };
  const tooShort = expect.stringMatching(/^DD_APPSEC_WAF_TIMEOUT \(--waf-timeout\) is only 10 µs: .*'10ms'$/);
  const misspelt = 'DD_HAPROXY_SPOA_PROT is not a setting and is ignored; did you mean DD_HAPROXY_SPOA_PORT?';

  it('warns at the start of the daemon', async () => {
    // A ruleset that is none ends the start, and what was said before stays.
    const { stdout } = await run(['spoa', '--rules', '/dev/null'], { env });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ level, msg }) => ({ level, msg }))).toEqual([
      { level: 'warn', msg: tooShort },
      { level: 'warn', msg: misspelt },
    ]);
    expect(stdout).not.toContain('hunter2');
  });

  it('says so in inspect, whose verdict is that of the daemon', async () => {
    const args = ['inspect', 'http://x/?q=<script>alert(1)</script>', '--json'];
    const { verdict, notes, inspected } = JSON.parse((await run(args, { env })).stdout);
    expect(verdict).toBe('partial');
    expect(notes).toEqual([tooShort, misspelt, expect.stringContaining('timed out')]);
    expect(inspected[0]).toMatchObject({ phase: 'request-headers', waf_timeout: true });
  });

  it('says in check what concerns HAProxy: the time of the WAF, and variables that no file reads', async () => {
    const file = join(folder, 'own.cfg');
    writeFileSync(
      file,
      'global\n    presetenv DD_SPOA_ADRESS 127.0.0.1:3000\n    presetenv DD_SPOA_OWN 1\n    node "${DD_SPOA_OWN}"\n',
    );
    const { stdout } = await run(['check', file, '--haproxy-version', '3.2', '--json'], { env });
    const { findings } = JSON.parse(stdout);
    const found = findings.map(({ rule, line, what }: Record<string, unknown>) => [rule, line, what]);
    expect(found).toEqual(
      expect.arrayContaining([
        ['low-setting', 1, 'DD_APPSEC_WAF_TIMEOUT (--waf-timeout) is only 10 µs'],
        ['unknown-variable', 1, 'no line reads the variable DD_SPOA_TIMEOT; did you mean DD_SPOA_TIMEOUT?'],
        ['unknown-variable', 2, 'no line reads the variable DD_SPOA_ADRESS; did you mean DD_SPOA_ADDRESS?'],
      ]),
    );
    expect(found.filter(([rule]: [string]) => rule === 'unknown-variable')).toHaveLength(2);
  });
});

describe('appsec-edge inspect with a policy', () => {
  const request = 'GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: dd-test-scanner-log\r\n\r\n';
  const verdictOf = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    JSON.parse((await run(['inspect', '--raw', '--json', ...args], { input: request, env })).stdout);
  const newFolder = (files: Readonly<Record<string, string>>): string => {
    const policy = mkdtempSync(join(folder, 'policy-'));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(policy, name), content);
    return policy;
  };
  const toTeapot = JSON.stringify({
    rules_override: [{ rules_target: [{ rule_id: 'ua0-600-55x' }], on_match: ['teapot'] }],
    actions: [{ id: 'teapot', type: 'block_request', parameters: { status_code: 418, type: 'json' } }],
  });

  it('tries the files of the folder', async () => {
    expect(await verdictOf([])).toMatchObject({ verdict: 'report' });
    const policy = newFolder({ 'teapot.json': toTeapot });
    const answer = { verdict: 'block', answer: { status: 418 }, notes: [] };
    expect(await verdictOf(['--policy-folder', policy])).toMatchObject(answer);
    expect(await verdictOf([], { APPSEC_EDGE_POLICY_FOLDER: policy })).toMatchObject(answer);
  });

  it('names the files that are not in effect, and says when inspection is off', async () => {
    const policy = newFolder({ 'bad.json': '{', 'off.json': '{"asm":{"enabled":false}}' });
    const { verdict, notes } = await verdictOf(['--policy-folder', policy]);
    expect(verdict).toBe('report');
    expect(notes).toEqual([
      expect.stringMatching(/^policy .*bad\.json: .*JSON/),
      'A running appsec-edge would not inspect this request: inspection is switched off.',
    ]);
    const on = await verdictOf(['--policy-folder', policy], { DD_APPSEC_ENABLED: 'true' });
    expect(on.notes).toHaveLength(1);
  });

  it('says what does nothing in the files that are in effect', async () => {
    const policy = newFolder({ 'typo.json': '{"rule_overrides": []}' });
    const { notes } = await verdictOf(['--policy-folder', policy]);
    expect(notes).toEqual([
      `policy ${policy}/typo.json: rule_overrides: unknown key 'rule_overrides': ignored; did you mean 'rules_override'?`,
    ]);
  });

  it('ends with the reason when there is no such folder', async () => {
    const { code, stderr } = await run(['inspect', 'http://x/', '--policy-folder', '/no/such']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('APPSEC_EDGE_POLICY_FOLDER: /no/such cannot be read: ENOENT');
  });

  it('tries a protect level, which an override outranks', async () => {
    expect(await verdictOf(['--protect', 'all'])).toMatchObject({
      verdict: 'block',
      answer: { status: 403 },
    });
    const rules_override = [{ rules_target: [{ rule_id: 'ua0-600-55x' }], on_match: [] }];
    const policy = newFolder({ 'report.json': JSON.stringify({ rules_override }) });
    const both = await verdictOf(['--protect', 'all', '--policy-folder', policy]);
    expect(both).toMatchObject({ verdict: 'report' });
  });
});

describe('appsec-edge policy check', () => {
  const newFolder = (files: Readonly<Record<string, unknown>>): string => {
    const policy = mkdtempSync(join(folder, 'checked-'));
    for (const [name, content] of Object.entries(files))
      writeFileSync(
        join(policy, name),
        typeof content === 'string' ? content : JSON.stringify(content, undefined, 1),
      );
    return policy;
  };
  const check = (policy: string, ...flags: readonly string[]) => run(['policy', 'check', policy, ...flags]);

  it('ends with 0 when there is nothing to say', async () => {
    const policy = newFolder({ 'a.JSON': `\ufeff{"actions": []}`, 'notes.md': 'x' });
    expect(await check(policy)).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: '1 policy file: 0 errors, 0 warnings, 0 hints\n',
    });
  });

  it('ends with 0 when there are only hints', async () => {
    const { code, stdout } = await check(newFolder({ 'a.yaml': 'x' }));
    expect(code).toBe(0);
    expect(stdout).toMatch(/a\.yaml: hint: ignored: .* \[other-name\]\n/);
  });

  it('ends with 1 and names file, line, place and what was meant', async () => {
    const rules_override = [{ rules_target: [{ rule_id: 'crs-942-10' }], enabled: false }];
    const policy = newFolder({ 'a.json': { rules_override }, 'b.json': '{"actions": [\n 1,\n]}' });
    expect(await check(policy)).toEqual({
      ...{ code: 1, stderr: '' },
      stdout: [
        `${policy}/a.json:6: warning: rules_override[0].rules_target[0].rule_id: unknown rule 'crs-942-10'; did you mean 'crs-942-100'? [unknown-rule]`,
        `${policy}/b.json:2: error: is not JSON: line 2, column 3: trailing comma: JSON allows none after the last entry [refused]`,
        '2 policy files: 1 errors, 1 warnings, 0 hints',
        '',
      ].join('\n'),
    });
  });

  it('says of a mistake that libddwaf refuses once where it is, and what else it refuses', async () => {
    const rule = (id: string, operator: string, parameters: object): object => ({
      ...{ id, name: id, tags: { type: 'x' } },
      conditions: [
        { operator, parameters: { inputs: [{ address: 'server.request.query' }], ...parameters } },
      ],
    });
    const policy = newFolder({
      'a.json': { custom_rules: [rule('one', 'contains', { list: ['x'] })] },
      'b.json': { custom_rules: [rule('two', 'match_regex', { regex: '(' }), rule('two', 'is_xss', {})] },
      'c.json': { custom_rules: [rule('two', 'is_sqli', {})] },
    });
    const { code, stdout } = await check(policy, '--json');
    const { files, findings } = JSON.parse(stdout) as { files: number; findings: Record<string, unknown>[] };
    expect({ code, files }).toEqual({ code: 1, files: 3 });
    expect(findings.map(({ place, rule: id }) => [place, id])).toEqual([
      ['custom_rules[0].conditions[0].operator', 'unknown-operator'],
      ['custom_rules[0]', 'refused'],
      ['custom_rules[1].id', 'duplicate-id'],
      ['custom_rules[0].id', 'duplicate-id'],
    ]);
  });

  it('looks up rules in the ruleset that is named', async () => {
    const rules_override = [{ rules_target: [{ rule_id: 'req-report' }], enabled: false }];
    const policy = newFolder({ 'a.json': { rules_override } });
    expect((await check(policy)).code).toBe(1);
    expect((await check(policy, '--rules', 'test/fixtures/rules/e2e.json')).code).toBe(0);
  });

  it.each([
    ['folder', ['/no/such'], '/no/such cannot be read: ENOENT'],
    ['ruleset', ['.', '--rules', '/no/such.json'], 'ruleset /no/such.json: cannot be read: ENOENT'],
  ])('ends with 2 when there is no such %s', async (_what, args, reason) => {
    const { code, stderr } = await run(['policy', 'check', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(`appsec-edge: ${reason}`);
  });
});

describe('appsec-edge envoyconf and check', () => {
  it('write the files, refuse to overwrite them, and say of them what an operator is to know', async () => {
    const out = join(folder, 'envoy');
    const written = await run(['envoyconf', 'envoy', out, '--address', '10.0.0.5:8443']);
    expect(written).toMatchObject({ code: 0, stderr: '' });
    expect(written.stdout).toContain(`wrote ${join(out, 'envoy.yaml')}`);
    const again = await run(['envoyconf', 'envoy', out]);
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('--force overwrites them') });
    expect(readFileSync(join(out, 'envoy.yaml'), 'utf8')).toContain('10.0.0.5');
    expect((await run(['envoyconf', 'envoy', out, '--force', '--fail-closed'])).code).toBe(0);
    expect(await run(['check', out])).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: '0 errors, 0 warnings, 0 hints for Envoy\n',
    });
  });

  it('end with 1 when something is wrong, and print JSON when asked', async () => {
    const file = join(folder, 'bootstrap');
    writeFileSync(file, 'static_resources: {}\n');
    const { code, stdout } = await run(['check', file, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      findings: [expect.objectContaining({ file, line: 1, severity: 'error', rule: 'no-ext-proc' })],
    });
  });

  it('end with 2 where a file is not YAML', async () => {
    const file = join(folder, 'broken.yaml');
    writeFileSync(file, 'a: [\n');
    expect(await run(['check', file])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${file}:2: not YAML`),
    });
  });
});

describe('appsec-edge haproxyconf and check', () => {
  it('write the files, refuse to overwrite them, and find nothing in them', async () => {
    const out = join(folder, 'conf');
    const written = await run(['haproxyconf', out, '--server', '10.0.0.5:3000']);
    expect(written).toMatchObject({ code: 0, stderr: '' });
    expect(written.stdout).toContain(`wrote ${join(out, 'spoe.cfg')}`);
    expect(readdirSync(out).sort()).toEqual([
      ...[
        'backend.cfg',
        'datadog_aap_blocking_response.lua',
        'frontend-config.cfg',
        'global-config.cfg',
        'spoe.cfg',
      ],
    ]);
    const again = await run(['haproxyconf', out]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('--force overwrites them');
    expect(readFileSync(join(out, 'backend.cfg'), 'utf8')).toContain('10.0.0.5:3000');
    expect((await run(['haproxyconf', out, '--force'])).code).toBe(0);
    expect(readFileSync(join(out, 'backend.cfg'), 'utf8')).not.toContain('10.0.0.5');

    const files = ['global-config.cfg', 'frontend-config.cfg', 'backend.cfg'].map((name) => join(out, name));
    expect(await run(['check', ...files, '--haproxy-version', 'all'])).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: '0 errors, 0 warnings, 0 hints for HAProxy 2.6, 3.0, 3.1, 3.2 (--haproxy-version all)\n',
    });
  });

  it('read a folder as HAProxy does: what ends in .cfg, in the order of its name, and not what is hidden', async () => {
    const conf = join(folder, 'conf.d');
    mkdirSync(conf);
    writeFileSync(join(conf, '20-site.cfg'), 'frontend main\n    bind :80\n');
    writeFileSync(join(conf, '10-base.cfg'), 'defaults\n    mode http\n');
    for (const name of ['.hidden.cfg', '05-old.cfg.bak']) writeFileSync(join(conf, name), 'frontend bad\n');
    const { stdout } = await run(['check', conf, '--haproxy-version', '3.2', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [{ file: join(conf, '20-site.cfg'), line: 1, rule: 'no-filter' }],
    });
  });

  it('end with 1 when there is more than a hint, as JSON too', async () => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, 'frontend main\n    mode http\n    bind :80\n');
    const { code, stdout } = await run(['check', file, '--haproxy-version', '3.2', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      haproxy_versions: ['3.2'],
      findings: [{ file, line: 1, severity: 'error', rule: 'no-filter' }],
    });
  });
});

describe('appsec-edge healthcheck', () => {
  it('ends with 1 and one line when nobody listens', async () => {
    const { code, stdout, stderr } = await run([
      'healthcheck',
      '--host',
      '127.0.0.1',
      '--healthcheck-port',
      '1',
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^not ready: http:\/\/127\.0\.0\.1:1\/ready cannot be reached: .*\n$/);
  });

  it('shows its help', async () => {
    const { code, stdout } = await run(['healthcheck', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--wait <time>');
  });

  it('ends with 0 while the SPOA runs, and the SPOA ends with 0 on SIGTERM', async () => {
    const args = ['--host', '127.0.0.1', '--port', '0', '--trace-enabled', 'false', '--shutdown-grace', '0'];
    const port = await unusedPort();
    const spoa = spawn(process.execPath, [main, ...args, '--healthcheck-port', String(port)], { cwd: root });
    const ended = once(spoa, 'exit');
    const log = createInterface({ input: spoa.stdout });
    // Drained, for a full pipe would hold the SPOA up.
    log.resume();
    const { code, stdout } = await run(['healthcheck', `--healthcheck-port=${port}`, '--wait', '30s']);
    spoa.kill('SIGTERM');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `ready: http://127.0.0.1:${port}/ready answered 200\n`,
    });
    expect((await ended)[0]).toBe(0);
  });
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
