import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askReadiness, readinessUrl } from '../../src/cli/healthcheck.ts';
import { createHealthServer } from '../../src/ops/health-server.ts';

const servers: Server[] = [];

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
    server.closeAllConnections();
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

  it('asks the health port at its own address where it has one', () => {
    const settings = { host: '10.1.2.3', healthcheckHost: '127.0.0.1', healthcheckPort: 3080 };
    expect(readinessUrl(settings)).toBe('http://127.0.0.1:3080/ready');
  });

  it('is healthy when the SPOA is ready', async () => {
    const healthcheckPort = await listen(healthServer(true), '0.0.0.0');
    expect(await askReadiness({ host: '0.0.0.0', healthcheckPort })).toEqual({
      healthy: true,
      message: `ready: http://127.0.0.1:${healthcheckPort}/ready answered 200`,
    });
  });

  it('is not healthy while the SPOA starts or drains', async () => {
    const healthcheckPort = await listen(healthServer(false));
    expect(await askReadiness({ host: '127.0.0.1', healthcheckPort })).toEqual({
      healthy: false,
      message: `not ready: http://127.0.0.1:${healthcheckPort}/ready answered 503`,
    });
  });

  it('says so when nobody listens', async () => {
    const server = healthServer(true);
    const healthcheckPort = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const { healthy, message } = await askReadiness({ host: '127.0.0.1', healthcheckPort });
    expect(healthy).toBe(false);
    expect(message).toContain('ECONNREFUSED');
  });

  it('gives up on a server that does not answer', async () => {
    const healthcheckPort = await listen(createServer(() => undefined));
    const { healthy, message } = await askReadiness({ host: '127.0.0.1', healthcheckPort }, 50);
    expect(healthy).toBe(false);
    expect(message).toContain('gave no answer within 50 ms');
  });
});
