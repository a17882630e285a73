// What `appsec-edge haproxyconf` writes loads in HAProxy as it lies, without a variable in the environment.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkConfig } from './support/haproxy.ts';
import { describeEachHaproxy } from './support/stubbed-proxy.ts';

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

describeEachHaproxy('the files of appsec-edge haproxyconf', (binary) => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'appsec edge conf '));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each<[string, readonly string[]]>([
    ['its defaults', []],
    ['an address of IPv6', ['--server', '[::1]:3000']],
    ['a unix socket', ['--server', 'unix@/run/spoa.sock']],
    [
      'several servers',
      ['--server', '127.0.0.1:3000', '--server', '127.0.0.2:3000', '--server', 'unix@/run/s.sock'],
    ],
    [
      'a backend and time-outs of ours',
      ['--engine-backend', 'waf', '--timeout', '5m', '--processing-timeout', '90'],
    ],
  ])('load without a warning with %s', (_what, flags) => {
    execFileSync(process.execPath, [main, 'haproxyconf', folder, '--force', ...flags], { stdio: 'pipe' });
    const file = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const config = `
${file('global-config.cfg')}
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend main
    bind 127.0.0.1:80
${file('frontend-config.cfg')}
    default_backend origin
backend origin
    server origin 127.0.0.1:81
${file('backend.cfg')}
`;
    const { ok, output } = checkConfig({ binary: binary.path, config });
    expect(output.replace('Configuration file is valid', '')).toBe('');
    expect(ok).toBe(true);
  });
});
