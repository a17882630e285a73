import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createHealthServer, type HealthSource } from '../../src/ops/health-server.ts';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo();
});

async function start(changes: Partial<HealthSource> = {}): Promise<string> {
  const server = createHealthServer('1.2.3', {
    ready: () => true,
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'a 1\n' }),
    ...changes,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the health server', () => {
  it.each(['/', '/?verbose', '/anything'])('answers %s as long as the process lives', async (path) => {
    const response = await fetch((await start({ ready: () => false })) + path);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: 'ok',
      library: { language: 'nodejs', version: '1.2.3' },
    });
  });

  it('answers /ready with 503 before the engine is ready and while it drains', async () => {
    let ready = false;
    const url = await start({ ready: () => ready });
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    ready = true;
    expect((await fetch(`${url}/ready?now`)).status).toBe(200);
  });

  it('answers /metrics with what Prometheus reads', async () => {
    const response = await fetch(`${await start()}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await response.text()).toBe('a 1\n');
  });

  it('answers /metrics with 500 when they cannot be read, and lives on', async () => {
    const url = await start({ metrics: () => Promise.reject(new Error('no metrics')) });
    const failed = await fetch(`${url}/metrics`);
    expect([failed.status, await failed.text()]).toEqual([500, '']);
    expect((await fetch(url)).status).toBe(200);
  });

  it.each(['POST', 'PUT', 'DELETE'])('refuses %s with 405 and says what is allowed', async (method) => {
    const response = await fetch(await start(), { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  it('does not wait for headers without end', async () => {
    const { port } = new URL(await start());
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n'));
      socket.once('data', (chunk) => resolve(chunk.toString()));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('answers HEAD like GET without a body', async () => {
    const response = await fetch(`${await start()}/ready`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});
