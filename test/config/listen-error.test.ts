// What an operator reads when the daemon cannot listen: Node's own errors, of real attempts, in words.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainListen } from '../../src/config/listen-error.ts';
import { readConfig, type SettingTexts, settings } from '../../src/daemon/settings.ts';

let folder = '';
let blocker: Server;
let takenPort = 0;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'appsec-edge-listen-'));
  blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  takenPort = (blocker.address() as AddressInfo).port;
});
afterAll(() => {
  blocker.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Tries what the daemon would try, and gives what it would say. */
async function complaint(listener: 'spop' | 'health', texts: SettingTexts): Promise<string> {
  const config = readConfig(texts, {});
  const server = createServer();
  const address =
    listener === 'health'
      ? { host: config.healthcheckHost ?? config.host, port: config.healthcheckPort }
      : { host: config.host, port: config.port };
  const cause = await new Promise<unknown>((resolve) => {
    server.once('error', resolve);
    const listening = (): void => {
      server.close();
      resolve(undefined);
    };
    if (listener === 'spop' && config.socketPath !== undefined) server.listen(config.socketPath, listening);
    else server.listen(address, listening);
  });
  expect(cause).toBeInstanceOf(Error);
  const { host, port, socketPath, healthcheckHost, healthcheckPort } = settings;
  if (listener === 'health') {
    const variables = {
      host: (config.healthcheckHost === undefined ? host : healthcheckHost).env,
      port: healthcheckPort.env,
    };
    return explainListen(cause, address, variables).message;
  }
  const taken = [{ port: config.healthcheckPort, variable: healthcheckPort.env, name: 'the health port' }];
  const variables = { host: host.env, port: port.env, socket: socketPath.env };
  const at = config.socketPath === undefined ? address : { socketPath: config.socketPath };
  return explainListen(cause, at, variables, taken).message;
}

describe('a unix socket', () => {
  it('in a folder that is not there', async () => {
    const path = join(folder, 'no', 'such', 'spoa.sock');
    expect(await complaint('spop', { socketPath: path })).toBe(
      `cannot listen on ${path}: the folder ${join(folder, 'no', 'such')} does not exist; create it, or choose another path with DD_HAPROXY_SPOA_SOCKET`,
    );
  });

  it('behind a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'spoa.sock');
    expect(await complaint('spop', { socketPath: path })).toContain(
      `: ${join(folder, 'file')} is not a folder; `,
    );
  });

  it('in the place of a file', async () => {
    writeFileSync(join(folder, 'other'), 'precious');
    expect(await complaint('spop', { socketPath: join(folder, 'other') })).toContain(
      ': the file exists and is not a socket; remove it, or ',
    );
  });

  it('in the place of a folder', async () => {
    mkdirSync(join(folder, 'run'));
    expect(await complaint('spop', { socketPath: join(folder, 'run') })).toContain(
      ': it is a folder; set a file in it with DD_HAPROXY_SPOA_SOCKET',
    );
  });

  it('whose path is too long', async () => {
    const path = join(folder, 'x'.repeat(120));
    expect(await complaint('spop', { socketPath: path })).toContain(
      `: the path has ${path.length} bytes, but a unix socket's path may have at most 107; `,
    );
  });

  it('that another process listens on', async () => {
    const path = join(folder, 'live.sock');
    const other = createServer().listen(path);
    await once(other, 'listening');
    expect(await complaint('spop', { socketPath: path })).toContain(
      ': already in use; stop the other process or set DD_HAPROXY_SPOA_SOCKET',
    );
    other.close();
  });

  it('in a folder that takes no files', async () => {
    const said = await complaint('spop', { socketPath: '/proc/self/fdinfo/spoa.sock' });
    expect(said).toMatch(/(may not write to the folder|not permitted).*; .*DD_HAPROXY_SPOA_SOCKET/);
  });
});

describe('an address', () => {
  const local = { host: '127.0.0.1' };

  it('with a port that is taken', async () => {
    expect(await complaint('spop', { ...local, port: String(takenPort) })).toBe(
      `cannot listen on 127.0.0.1:${takenPort}: already in use; stop the other process or set DD_HAPROXY_SPOA_PORT`,
    );
    expect(await complaint('health', { ...local, healthcheckPort: String(takenPort) })).toContain(
      'already in use; stop the other process or set APPSEC_EDGE_HEALTHCHECK_PORT',
    );
  });

  it('whose port is that of the health server, which listens first', async () => {
    const port = String(takenPort);
    expect(await complaint('spop', { ...local, port, healthcheckPort: port })).toContain(
      'it is also the health port; set DD_HAPROXY_SPOA_PORT and APPSEC_EDGE_HEALTHCHECK_PORT to different ports',
    );
  });

  it('whose name cannot be resolved', async () => {
    expect(await complaint('spop', { host: 'no-such-host.invalid' })).toContain(
      "the name 'no-such-host.invalid' cannot be resolved; set DD_HAPROXY_SPOA_HOST to ",
    );
    expect(await complaint('health', { ...local, healthcheckHost: 'no-such-host.invalid' })).toContain(
      '; set APPSEC_EDGE_HEALTHCHECK_HOST to ',
    );
  });

  it('of another machine', async () => {
    expect(await complaint('spop', { host: '192.0.2.1' })).toContain(
      '192.0.2.1:3000: this machine has no such address; set DD_HAPROXY_SPOA_HOST',
    );
    expect(await complaint('health', { host: '192.0.2.1' })).toContain('set DD_HAPROXY_SPOA_HOST');
  });
});
