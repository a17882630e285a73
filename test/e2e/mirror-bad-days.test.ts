// What clients of a proxy see of a receiver that is slow, overloaded, or gone: nothing.
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Http1Connection } from './support/http-client.ts';
import { type MirrorDaemon, mirrorDaemon, TolerantOrigin } from './support/mirror-rig.ts';
import { describeOneSenderEach, type MirrorSender } from './support/mirror-sender.ts';

const slow = {
  NODE_OPTIONS: `--require ${join(import.meta.dirname, 'support', 'slow-threads.cjs')}`,
  APPSEC_EDGE_ENGINE_THREADS: '2',
};
/** What `slow-threads.cjs` makes of one request. */
const analysisMs = 500;

describeOneSenderEach('a client', (kind) => {
  const cleanUp: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).reverse()) await undo();
  });

  async function scene(env: Record<string, string>) {
    const [receiver, origin] = [await mirrorDaemon({ env }), await new TolerantOrigin().start()];
    cleanUp.push(
      () => origin.stop(),
      () => receiver.daemon.stop('SIGKILL'),
    );
    await receiver.daemon.start();
    const sender = await kind.start({ originPort: origin.port, mirrorPort: receiver.port });
    cleanUp.push(() => sender.stop());
    return { receiver, origin, sender };
  }

  it('does not wait for the analysis, and what was copied is analysed before the receiver stops', async () => {
    const env = { ...slow, DD_REQUEST_MIRROR_BACKLOG_AGE: '10m', APPSEC_EDGE_SHUTDOWN_TIMEOUT: '60s' };
    const { receiver, sender } = await scene(env);
    const requests = 24;
    const connection = new Http1Connection(sender.port);
    const startedAtMs = performance.now();
    for (let count = 0; count < requests; count += 1) {
      const target = `/slow-${count}-?a=%20slow-analysis&q=attack-report`;
      expect((await connection.request({ target })).status).toBe(200);
    }
    const elapsedMs = performance.now() - startedAtMs;
    connection.close();
    // Two threads need a quarter of a second a request, however fast they are otherwise.
    expect(elapsedMs).toBeLessThan((requests * analysisMs) / 2 / 2);
    await untilArrived(receiver, requests);
    expect(await receiver.daemon.stop()).toBe(0);
    expect(receiver.daemon.securityEvents('/slow-')).toHaveLength(requests);
  });

  it('uploads 20 MB while the backlog is full', async () => {
    const env = { ...slow, DD_REQUEST_MIRROR_BACKLOG_SIZE: '1048576' };
    const { receiver, sender } = await scene(env);
    const attack = { target: '/full?a=%20slow-analysis', method: 'POST', body: 'x'.repeat(300_000) };
    const filling = new Http1Connection(sender.port);
    for (let count = 0; count < 10; count += 1) expect((await filling.request(attack)).status).toBe(200);
    const uploads = [1, 2, 3].map(async () => {
      const connection = new Http1Connection(sender.port);
      const body = Buffer.alloc(20_000_000, 'x');
      const { status } = await connection.request({ method: 'POST', target: '/upload', body });
      connection.close();
      return status;
    });
    expect(await Promise.all(uploads)).toEqual([200, 200, 200]);
    filling.close();
    const { daemon } = receiver;
    expect(await daemon.metric('skipped_total', { door: 'mirror' })).toBeGreaterThan(0);
    expect(await daemon.metric('mirror_backlog_bytes')).toBeLessThanOrEqual(1_048_576);
    expect(await daemon.metric('mirror_arriving_bytes')).toBeLessThanOrEqual(1_048_576);
    expect(daemon.log.lines.some((line) => line.includes('mirrored requests go unseen'))).toBe(true);
  });

  it('sees nothing of a receiver that stops, starts, dies and starts again', async () => {
    const { receiver, sender } = await scene({});
    let over = false;
    const lives = (async () => {
      await receiver.daemon.stop('SIGTERM');
      await receiver.daemon.start();
      await receiver.daemon.stop('SIGKILL');
      await receiver.daemon.start();
      over = true;
    })();
    const statuses = new Set<number>();
    let sent = 0;
    const clients = Array.from({ length: 4 }, async () => {
      const connection = new Http1Connection(sender.port);
      while (!over) {
        statuses.add(
          (await connection.request({ target: `/alive-${sent++}`, body: 'a=b', method: 'POST' })).status,
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      connection.close();
    });
    await Promise.all([lives, ...clients]);
    expect([...statuses]).toEqual([200]);
    await seenAgain(sender, receiver);
  });
});

async function untilArrived({ daemon }: MirrorDaemon, count: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while ((await daemon.metric('mirrored_requests_total')) < count && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The sender uses the receiver again: one copy that arrives is enough. */
async function seenAgain(sender: MirrorSender, { daemon }: MirrorDaemon): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (daemon.securityEvents('/again').length === 0 && Date.now() < deadline) {
    const connection = new Http1Connection(sender.port);
    await connection.request({ target: '/again?q=attack-report' });
    connection.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(daemon.securityEvents('/again')).not.toEqual([]);
}
