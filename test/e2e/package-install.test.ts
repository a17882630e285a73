// The package as it would come from the registry: packed, installed by npm into a clean folder by a user who is not root,
// and run by that user, on the oldest Node.js that package.json promises and on that of the tests.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import own from '../../package.json' with { type: 'json' };
import { allNodeBinaries } from '../../tools/node-binaries.ts';
import { dieTogether } from '../support/child-processes.ts';
import { freePort } from './support/free-port.ts';
import { attackTarget, cleanTarget, statusesBehindHaproxy } from './support/installed-agent.ts';

const repository = join(import.meta.dirname, '..', '..');
const work = mkdtempSync(join(tmpdir(), 'appsec-edge-install-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** `nobody`, when there is a choice. */
const user: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const run = promisify(execFile);

const nodes = await allNodeBinaries();
const offline = await run('npm', ['ping', '--fetch-retries=0']).then(
  () => undefined,
  () => 'the npm registry cannot be reached',
);

/** A folder of the user's, which nobody else has touched. */
function folderOfUser(...path: readonly string[]): string {
  const folder = join(work, ...path);
  mkdirSync(folder, { recursive: true });
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** npm's program, where the user can read it. */
function npmProgram(): string {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'npm'))
    .find((path) => isThere(path));
  if (found === undefined) throw new Error('npm is not on the PATH');
  const program = realpathSync(found);
  if (!program.startsWith(homedir())) return program;
  cpSync(dirname(dirname(program)), join(work, 'npm'), { recursive: true });
  return join(work, 'npm/bin/npm-cli.js');
}

function isThere(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a user on a clean machine has: a Node.js and nothing else. */
class Home {
  readonly prefix: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(version: string, node: string) {
    this.prefix = folderOfUser(version, 'prefix');
    const bin = folderOfUser(version, 'bin');
    try {
      linkSync(node, join(bin, 'node'));
    } catch {
      copyFileSync(node, join(bin, 'node'));
    }
    const network = Object.entries(process.env).filter(([name]) =>
      /proxy$|^NODE_EXTRA_CA_CERTS$/i.test(name),
    );
    this.#env = {
      ...Object.fromEntries(network),
      HOME: folderOfUser(version, 'home'),
      PATH: [join(this.prefix, 'bin'), bin, '/usr/bin', '/bin'].join(delimiter),
      npm_config_cache: folderOfUser('npm-cache'),
      npm_config_registry: execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim(),
    };
  }

  /** Where the package is. */
  get installed(): string {
    return join(this.prefix, 'lib/node_modules/appsec-edge');
  }

  async install(npm: string, tarball: string): Promise<void> {
    const args = [npm, 'install', '--global', '--prefix', this.prefix, '--no-audit', '--no-fund', tarball];
    await run('node', args, { ...user, env: this.#env, cwd: this.prefix });
  }

  /** Like a shell: the exit code is an answer. */
  async run(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const options = { ...user, env: { ...this.#env, ...env }, cwd: this.prefix };
    return new Promise((resolve) =>
      execFile(command, args, options, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  }

  start(...args: readonly string[]): ChildProcess {
    return dieTogether(
      spawn('appsec-edge', args, {
        ...user,
        env: this.#env,
        cwd: this.prefix,
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    );
  }
}

describe('npm install -g of the packed package', () => {
  if (offline !== undefined) {
    it('is not tested here', (context) => context.skip(offline));
    return;
  }
  const homes = new Map<string, Home>();
  beforeAll(async () => {
    folderOfUser();
    // Without prepack: `npm test` has just built, and other tests use that.
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', work], {
      cwd: repository,
    });
    const tarball = join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? 'none');
    chmodSync(tarball, 0o644);
    const npm = npmProgram();
    for (const node of nodes)
      if (node.kind === 'found') homes.set(node.version, new Home(node.version, node.path));
    await Promise.all([...homes.values()].map((home) => home.install(npm, tarball)));
  }, 240_000);

  describe.each(nodes)('on Node.js $version', (node) => {
    if (node.kind === 'missing') {
      it('is not tested here', (context) => context.skip(node.reason));
      return;
    }
    const home = (): Home => {
      const found = homes.get(node.version);
      if (found === undefined) throw new Error(`not installed for ${node.version}`);
      return found;
    };

    it('says its version', async () => {
      expect((await home().run('node', ['--version'])).stdout).toBe(`v${node.version}\n`);
      expect(await home().run('appsec-edge', ['--version'])).toEqual({
        ...{ code: 0, stdout: `${own.version}\n`, stderr: '' },
      });
    });

    it('has the documents that its help and README name', async () => {
      const said = (await home().run('appsec-edge', ['check', '--help'])).stdout;
      const text = `${said}${readFileSync(join(home().installed, 'README.md'), 'utf8')}`;
      const named = new Set([...text.matchAll(/\bdocs\/[a-z]+\.md/g)].map(([path]) => path));
      expect(named.size).toBeGreaterThan(5);
      expect([...named].filter((path) => !isReadable(join(home().installed, path)))).toEqual([]);
    });

    it('protects a site behind HAProxy, and says that it is ready', async () => {
      const [port, healthPort] = [await freePort(), await freePort()];
      const health = ['healthcheck', '--healthcheck-port', String(healthPort)];
      expect((await home().run('appsec-edge', health)).code).toBe(1);
      const agent = home().start(
        ...['spoa', '--host', '127.0.0.1', '--port', String(port), '--healthcheck-port', String(healthPort)],
        ...['--protect', 'all', '--trace-enabled', 'false', '--shutdown-grace', '0'],
      );
      const ended = once(agent, 'exit');
      const waiting = home().run('appsec-edge', [...health, '--wait', '60s']);
      expect(await Promise.race([waiting, ended])).toMatchObject({ code: 0 });

      const found = inject('haproxyBinaries').findLast((binary) => binary.kind === 'found');
      if (found?.kind === 'found') {
        const set = {
          folder: join(home().installed, 'haproxyconf'),
          luaFile: join(home().installed, 'lua/datadog_aap_blocking_response.lua'),
        };
        expect(await statusesBehindHaproxy(found, port, set, [cleanTarget, attackTarget])).toEqual([
          200, 403,
        ]);
      }
      agent.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    });

    it('takes little more for a health check than Node.js does for nothing', async () => {
      const meter = join(work, 'meter.cjs');
      writeFileSync(meter, meterSource);
      const cost = async (command: string, args: readonly string[]): Promise<Cost> => {
        const { stderr } = await home().run(command, args, { NODE_OPTIONS: `--require ${meter}` });
        return JSON.parse(stderr.slice(stderr.lastIndexOf('{')));
      };
      const nothing = await cost('node', ['-e', '0']);
      const health = await cost('appsec-edge', ['healthcheck', '--healthcheck-port', '1']);
      // 2 to 3 MB and 0.03 s when this was written. With every command loaded it was 30 MB and 0.25 s.
      expect(health.memoryKb - nothing.memoryKb).toBeLessThan(8000);
      expect(health.cpuUs - nothing.cpuUs).toBeLessThan(150_000);
      expect(health.http).toBe(false);
    });
  });
});

interface Cost {
  /** Of its own: how much of the executable is mapped is up to the kernel, and differs by megabytes. */
  readonly memoryKb: number;
  readonly cpuUs: number;
  /** Whether node:http was loaded. */
  readonly http: boolean;
}

/** Loaded before a program: writes its cost to stderr when it ends. */
const meterSource = `process.once('exit', () => {
  const fs = require('fs');
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  fs.writeSync(2, JSON.stringify({
    memoryKb: Number(/RssAnon:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]),
    cpuUs: userCPUTime + systemCPUTime,
    http: process.moduleLoadList.includes('NativeModule http'),
  }));
});`;

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
