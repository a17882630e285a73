// Ten thousand requests of fifty clients through each proxy: every attack in their copies is reported once, with its client,
// host and path, and no copy is lost.
import { Agent, request } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { mirrorDaemon, TolerantOrigin } from '../e2e/support/mirror-rig.ts';
import { describeOneSenderEach } from '../e2e/support/mirror-sender.ts';

const requests = 10_000;
const clients = 50;
const attackEvery = 20;

interface Shot {
  readonly method: string;
  readonly path: string;
  readonly type: string | undefined;
  readonly body: string;
}

const padding = 'x'.repeat(1_000_000);

/** One in a hundred has 100 KB, one in a thousand 1 MB. */
function sizeOf(number: number): number {
  if (number % 1000 === 999) return 1_000_000;
  return number % 100 === 99 ? 100_000 : (number * 37) % 2000;
}

function shotOf(number: number): Shot {
  const value = number % attackEvery === 0 ? 'attack-report' : 'harmless';
  const pad = padding.slice(0, sizeOf(number));
  const path = `/load-${number}-`;
  switch (Math.floor(number / attackEvery) % 4) {
    case 0:
      return { method: 'GET', path: `${path}?q=${value}`, type: undefined, body: '' };
    case 1:
      return { method: 'POST', path, type: 'application/json', body: JSON.stringify({ pad, q: value }) };
    case 2:
      return {
        method: 'POST',
        path,
        type: 'application/x-www-form-urlencoded',
        body: `pad=${pad}&q=${value}`,
      };
    default: {
      const part = (name: string, text: string): string =>
        `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
      const body = `${part('pad', pad)}${part('q', value)}--b--\r\n`;
      return { method: 'POST', path, type: 'multipart/form-data; boundary=b', body };
    }
  }
}

const addressOf = (client: number): string => `127.0.1.${client + 1}`;
const hostOf = (number: number): string => `shop-${number % 7}.example.com`;

function shoot(port: number, agent: Agent, client: number, number: number): Promise<number> {
  const { method, path, type, body } = shotOf(number);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ host: '127.0.0.1', port, agent, method, path, localAddress: addressOf(client) },
        headers: {
          host: hostOf(number),
          ...(type === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

describeOneSenderEach('ten thousand requests', (kind) => {
  const cleanUp: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).reverse()) await undo();
  });

  it('are copied, and every attack among them is reported once', { timeout: 240_000 }, async () => {
    const env = { DD_REQUEST_MIRROR_BACKLOG_AGE: '10m', DD_REQUEST_MIRROR_BACKLOG_SIZE: '1000000000' };
    const { daemon, port: mirrorPort } = await mirrorDaemon({ env });
    const origin = await new TolerantOrigin().start();
    cleanUp.push(
      () => origin.stop(),
      () => daemon.stop('SIGKILL'),
    );
    await daemon.start();
    const sender = await kind.start({ originPort: origin.port, mirrorPort });
    cleanUp.push(() => sender.stop());
    const before = await daemon.metric('mirrored_requests_total');

    const statuses = new Set<number>();
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        for (let number = client; number < requests; number += clients) {
          statuses.add(await shoot(sender.port, agent, client, number));
        }
        agent.destroy();
      }),
    );
    expect([...statuses]).toEqual([200]);

    const analysed = () => daemon.metric('messages_total', { door: 'mirror' });
    const deadline = Date.now() + 90_000;
    while ((await analysed()) < before + requests && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await daemon.metric('mirrored_requests_total')).toBe(before + requests);
    expect(await analysed()).toBe(before + requests);
    expect(await daemon.metric('skipped_total')).toBe(0);

    const seen = daemon
      .securityEvents('/load-')
      .map(({ path, client, host, method }) => `${method} ${host} ${path?.split('?')[0]} from ${client}`);
    const expected = Array.from({ length: requests / attackEvery }, (_, index) => {
      const number = index * attackEvery;
      const { method } = shotOf(number);
      return `${method} ${hostOf(number)} /load-${number}- from ${addressOf(number % clients)}`;
    });
    expect(seen.toSorted()).toEqual(expected.toSorted());
  });
});
