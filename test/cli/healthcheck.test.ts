import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askReadiness, readinessUrl, waitForReadiness } from '../../src/cli/readiness.ts';
import { healthHost, readConfig } from '../../src/daemon/settings.ts';
import { createHealthServer } from '../../src/ops/health-server.ts';

const servers: (Server | TcpServer)[] = [];

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

function healthServer(ready: boolean): Server {
  return createHealthServer('1.2.3', {
    ready: () => ready,
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
  });
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  }
});

describe('healthcheck', () => {
  it.each([
    ['0.0.0.0', 'http://127.0.0.1:3080/ready'],
    ['::', 'http://[::1]:3080/ready'],
    ['::1', 'http://[::1]:3080/ready'],
    ['[::]', 'http://[::1]:3080/ready'],
    ['10.1.2.3', 'http://10.1.2.3:3080/ready'],
    ['localhost', 'http://localhost:3080/ready'],
  ])('asks a listener on %s at %s', (host, url) => {
    expect(readinessUrl({ host, healthcheckPort: 3080 })).toBe(url);
  });

  it.each([
    [{}, '10.1.2.3', "the door's"],
    [{ healthcheckHost: '127.0.0.1' }, '127.0.0.1', 'its own'],
  ])('with %j asks at %s, %s address', (own, host, _whose) => {
    expect(healthHost(readConfig({ host: '10.1.2.3', ...own }, {})).host).toBe(host);
  });

  it('is healthy when the SPOA is ready', async () => {
    const healthcheckPort = await listen(healthServer(true), '0.0.0.0');
    expect(await askReadiness({ host: '0.0.0.0', healthcheckPort })).toEqual({
      ready: true,
      message: `ready: http://127.0.0.1:${healthcheckPort}/ready answered 200`,
    });
  });

  it('is not healthy while the SPOA starts or drains', async () => {
    const healthcheckPort = await listen(healthServer(false));
    expect(await askReadiness({ host: '127.0.0.1', healthcheckPort })).toEqual({
      ready: false,
      message: `not ready: http://127.0.0.1:${healthcheckPort}/ready answered 503`,
    });
  });

  it('says so when nobody listens', async () => {
    const server = healthServer(true);
    const healthcheckPort = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const { ready, message } = await askReadiness({ host: '127.0.0.1', healthcheckPort });
    expect(ready).toBe(false);
    expect(message).toContain('ECONNREFUSED');
  });

  it('waits until the SPOA is ready', async () => {
    let asked = 0;
    const starting = createHealthServer('1.2.3', {
      ready: () => ++asked > 2,
      metrics: async () => ({ contentType: 'text/plain', body: '' }),
    });
    const healthcheckPort = await listen(starting);
    const { ready } = await waitForReadiness({ host: '127.0.0.1', healthcheckPort }, 20_000);
    expect({ ready, asked }).toEqual({ ready: true, asked: 3 });
  });

  it('says what was answered last when the wait is over', async () => {
    const healthcheckPort = await listen(healthServer(false));
    expect(await waitForReadiness({ host: '127.0.0.1', healthcheckPort }, 2000)).toEqual({
      ready: false,
      message: `not ready: http://127.0.0.1:${healthcheckPort}/ready answered 503`,
    });
  });

  it.each([
    ['SSH-2.0-OpenSSH_9.2', 'did not answer with HTTP'],
    ['', 'closed the connection without answering'],
    ['HTTP', 'closed the connection without answering'],
  ])('is not taken in by another server, which says %j', async (said, what) => {
    const other = createTcpServer((socket) => socket.resume().end(said));
    servers.push(other);
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    expect(await askReadiness({ host: '127.0.0.1', healthcheckPort: port })).toEqual({
      ready: false,
      message: `not ready: http://127.0.0.1:${port}/ready ${what}`,
    });
  });

  it('gives up on a server that does not answer', async () => {
    const healthcheckPort = await listen(createServer(() => undefined));
    const { ready, message } = await askReadiness({ host: '127.0.0.1', healthcheckPort }, 50);
    expect(ready).toBe(false);
    expect(message).toContain('did not answer within 50 ms');
  });
});
