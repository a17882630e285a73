// The port for health checks of the receiver: Datadog's manifest and ours both ask it.
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMirrorHealth } from '../../../src/adapters/mirror/health.ts';

let isLeaving = false;
const server = () => createMirrorHealth(() => isLeaving);
let health = server();
const ask = (path: string, method = 'GET') =>
  fetch(`http://127.0.0.1:${(health.address() as AddressInfo).port}${path}`, { method });

beforeEach(async () => {
  isLeaving = false;
  health = server();
  await new Promise<void>((resolve) => health.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  health.close();
  health.closeAllConnections();
});

describe('a health check of the receiver', () => {
  it.each([
    ['GET', '/'],
    ['GET', '/any/path?x'],
    ['POST', '/'],
    ['DELETE', '/ready'],
  ])("is answered with the bytes of Datadog's receiver: %s %s", async (method, path) => {
    const response = await ask(path, method);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'application/json',
      '{"status": "ok"}',
    ]);
    expect(response.headers.get('content-length')).toBe('16');
  });

  it('fails for readiness alone once the receiver is about to stop', async () => {
    isLeaving = true;
    expect((await ask('/ready')).status).toBe(503);
    expect((await ask('/')).status).toBe(200);
  });
});
