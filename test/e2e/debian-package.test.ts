// The Debian package, in the life that it has on a machine: installed, run, upgraded, removed, purged. In a small Debian
// in a folder (tools/debian-root.ts), entered with chroot. systemd does not run there: its tools look through the unit,
// and what the unit starts is started here, as its user and with its settings. The tests build on one another.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import own from '../../package.json' with { type: 'json' };
import { debianRoot } from '../../tools/debian-root.ts';
import { dieTogether } from '../support/child-processes.ts';
import { freePort } from './support/free-port.ts';
import { attackTarget, cleanTarget, statusesBehindHaproxy } from './support/installed-agent.ts';

const repository = join(import.meta.dirname, '..', '..');
const debian = await debianRoot();

const work = mkdtempSync(join(tmpdir(), 'appsec-edge-debian-'));
const root = join(work, 'root');
const settingsFile = join(root, 'etc/appsec-edge/appsec-edge.env');
const unitFile = join(root, 'usr/lib/systemd/system/appsec-edge.service');
const debEnvironment = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  LC_ALL: 'C',
};

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Standard output of a command in the root; what it says on the other stream is in the error when it fails. */
function run(...command: readonly string[]): string {
  return execFileSync('chroot', [root, ...command], {
    ...{ env: debEnvironment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  });
}

/** Builds the package of this checkout; not compressed, which would be most of the time. */
function build(): string {
  const args = ['packaging/deb/build.ts', '--output', work, '--compression', 'none'];
  return execFileSync(process.execPath, args, { cwd: repository, encoding: 'utf8' }).trim();
}

/** The same package as a later version, with another line in the settings file. */
function laterVersion(deb: string): string {
  const folder = join(work, 'later');
  const control = join(folder, 'DEBIAN/control');
  execFileSync('dpkg-deb', ['-R', deb, folder]);
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, 'Version: 999.0-1'));
  appendFileSync(join(folder, 'etc/appsec-edge/appsec-edge.env'), '# A new setting.\n');
  const later = join(work, 'later.deb');
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', folder, later]);
  rmSync(folder, { recursive: true });
  return later;
}

function install(deb: string): void {
  cpSync(deb, join(root, 'new.deb'));
  run('dpkg', '--force-unsafe-io', '--force-confdef', '--force-confold', '--install', '/new.deb');
  rmSync(join(root, 'new.deb'));
}

/** Every path, but for what dpkg and adduser keep for themselves, and what the next start of the machine clears. */
function everything(): string[] {
  const kept =
    /^run\/|^var\/(lib\/dpkg|log|cache)\/|^etc\/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)/;
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !kept.test(path))
    .sort();
}

const users = (): string => run('getent', 'passwd') + run('getent', 'group');

/** What the unit has for `key`. */
function unit(key: string): string {
  const value = new RegExp(`^${key}=(.*)$`, 'm').exec(readFileSync(unitFile, 'utf8'))?.[1];
  if (value === undefined) throw new Error(`${unitFile} has no ${key}`);
  return value;
}

/** As systemd would: as the unit's user, with the unit's settings file. */
function startAsUnit(key: 'ExecStart' | 'ExecStartPost'): ReturnType<typeof spawn> {
  const set = readFileSync(settingsFile, 'utf8').matchAll(/^([A-Z_]+)=(.*)$/gm);
  const env = { ...debEnvironment, ...Object.fromEntries([...set].map(([, name, value]) => [name, value])) };
  const user = `--userspec=${unit('User')}:${unit('Group')}`;
  return dieTogether(
    spawn('chroot', [user, root, ...unit(key).split(' ')], { env, stdio: ['ignore', 'ignore', 'inherit'] }),
  );
}

// Hundreds of megabytes are written: on a busy machine that takes a while.
const patience = { timeout: 240_000 };

describe('the Debian package', patience, () => {
  if (debian.kind === 'missing') {
    it('is not tested here', (context) => context.skip(debian.reason));
    return;
  }

  let deb = '';
  let before: string[] = [];
  let usersBefore = '';
  beforeAll(() => {
    // `cp` keeps owners and hard links.
    execFileSync('cp', ['-a', debian.path, root]);
    before = everything();
    usersBefore = users();
    deb = build();
  }, patience.timeout);

  it('is the same to the byte when it is built again', () => {
    const first = readFileSync(deb);
    expect(first.equals(readFileSync(build()))).toBe(true);
  });

  it('is installed, with a user of its own and a command that anybody may run', () => {
    install(deb);
    expect(run('getent', 'passwd', 'appsec-edge')).toMatch(
      /^appsec-edge:.*:\/nonexistent:\/usr\/sbin\/nologin\n$/,
    );
    expect(run('chroot', '--userspec=nobody:nogroup', '/', 'appsec-edge', '--version')).toBe(
      `${own.version}\n`,
    );
  });

  it('starts with the machine', () => {
    expect(readdirSync(join(root, 'etc/systemd/system/multi-user.target.wants'))).toContain(
      'appsec-edge.service',
    );
  });

  it('lets nobody else read its settings and policies', () => {
    expect(() => run('chroot', '--userspec=nobody:nogroup', '/', 'ls', '/etc/appsec-edge')).toThrow(
      'Permission denied',
    );
    expect(run('chroot', '--userspec=appsec-edge:appsec-edge', '/', 'ls', '/etc/appsec-edge')).toContain(
      'policy',
    );
  });

  it('has a unit in which systemd finds nothing wrong, and little exposed', () => {
    run('systemd-analyze', 'verify', 'appsec-edge.service');
    const judged = run(
      'systemd-analyze',
      'security',
      '--offline=yes',
      '--no-pager',
      unitFile.slice(root.length),
    );
    expect(Number(/exposure level for appsec-edge.service: ([\d.]+)/.exec(judged)?.[1])).toBeLessThan(2);
  });

  it('has every setting in its settings file, and listens on this machine alone unless told otherwise', () => {
    const text = readFileSync(settingsFile, 'utf8');
    const set = [...text.matchAll(/^[A-Z_]+=.*$/gm)].map(([line]) => line);
    expect(set).toEqual(['DD_HAPROXY_SPOA_HOST=127.0.0.1']);
  });

  it('protects a site behind HAProxy', async () => {
    const [port, healthPort] = [await freePort(), await freePort()];
    const settings = [
      ...[`DD_HAPROXY_SPOA_PORT=${port}`, `APPSEC_EDGE_HEALTHCHECK_PORT=${healthPort}`],
      ...['DD_APPSEC_PROTECT=all', 'DD_TRACE_ENABLED=false', 'APPSEC_EDGE_SHUTDOWN_GRACE=0'],
      ...['APPSEC_EDGE_POLICY_FOLDER=/etc/appsec-edge/policy'],
    ];
    appendFileSync(settingsFile, `${settings.join('\n')}\n`);
    const agent = startAsUnit('ExecStart');
    const ended = once(agent, 'exit');
    // When the agent ends, systemd does not wait for the other any longer.
    expect(await Promise.race([once(startAsUnit('ExecStartPost'), 'exit'), ended])).toEqual([0, null]);
    expect(agent.exitCode).toBe(null);

    const found = inject('haproxyBinaries').findLast((binary) => binary.kind === 'found');
    if (found?.kind === 'found') {
      const share = join(root, 'usr/share/appsec-edge');
      const set = {
        folder: join(share, 'haproxyconf'),
        luaFile: join(share, 'lua/datadog_aap_blocking_response.lua'),
      };
      const statuses = await statusesBehindHaproxy(found, port, set, [cleanTarget, attackTarget]);
      expect(statuses).toEqual([200, 403]);
    }
    agent.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('keeps settings that were changed when it is upgraded, and puts the new ones beside them', () => {
    const changed = readFileSync(settingsFile, 'utf8');
    install(laterVersion(deb));
    expect(run('dpkg-query', '-W', 'appsec-edge')).toBe('appsec-edge\t999.0-1\n');
    expect(readFileSync(settingsFile, 'utf8')).toBe(changed);
    expect(readFileSync(`${settingsFile}.dpkg-dist`, 'utf8')).toContain('# A new setting.');
  });

  it('keeps settings and policies when it is removed', () => {
    const policy = join(root, 'etc/appsec-edge/policy/mine.json');
    writeFileSync(policy, '{}');
    run('dpkg', '--remove', 'appsec-edge');
    expect(existsSync(join(root, 'usr/lib/appsec-edge'))).toBe(false);
    expect(readFileSync(settingsFile, 'utf8')).toContain('DD_APPSEC_PROTECT=all');
    expect(existsSync(policy)).toBe(true);
  });

  it('leaves nothing when it is purged: no file, no user', () => {
    run('dpkg', '--purge', 'appsec-edge');
    expect(everything()).toEqual(before);
    expect(users()).toBe(usersBefore);
  });
});
