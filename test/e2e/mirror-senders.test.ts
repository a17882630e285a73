// Every request through real proxies is seen once by the receiver, and its client sees nothing of that.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Http1Connection } from './support/http-client.ts';
import { type MirrorDaemon, mirrorDaemon, sendRaw, TolerantOrigin } from './support/mirror-rig.ts';
import { describeEachSender, type MirrorSender } from './support/mirror-sender.ts';

const multipart = (value: string): string =>
  `--b\r\nContent-Disposition: form-data; name="q"\r\n\r\n${value}\r\n--b--\r\n`;

/** Where an attack may stand. */
const places: readonly ((mark: string, attack: string) => Parameters<Http1Connection['request']>[0])[] = [
  (mark, attack) => ({ target: `/${mark}?q=${attack}` }),
  (mark, attack) => ({
    ...{ method: 'POST', target: `/${mark}`, headers: { 'Content-Type': 'application/json' } },
    body: JSON.stringify({ q: attack }),
  }),
  (mark, attack) => ({
    ...{
      method: 'POST',
      target: `/${mark}`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    },
    body: `a=b&q=${attack}`,
  }),
  (mark, attack) => ({
    ...{ method: 'PUT', target: `/${mark}` },
    ...{ headers: { 'Content-Type': 'multipart/form-data; boundary=b' }, body: multipart(attack) },
  }),
];

describeEachSender('a mirrored request', (kind) => {
  let receiver: MirrorDaemon;
  let origin: TolerantOrigin;
  let sender: MirrorSender;

  beforeAll(async () => {
    [receiver, origin] = [await mirrorDaemon(), await new TolerantOrigin().start()];
    await receiver.daemon.start();
    sender = await kind.start({ originPort: origin.port, mirrorPort: receiver.port });
  });
  afterAll(async () => {
    await sender?.stop();
    await receiver?.daemon.stop();
    await origin?.stop();
  });

  const seen = (): Promise<number> => receiver.daemon.metric('messages_total', { door: 'mirror' });
  const untilSeen = async (count: number): Promise<void> => {
    const deadline = Date.now() + 30_000;
    while ((await seen()) < count && Date.now() < deadline) await pause(20);
    expect(await seen()).toBe(count);
  };

  it('is seen once, whatever it carries, and its origin sees it once', async () => {
    const [before, reached] = [await seen(), origin.targets.length];
    const connections = Array.from({ length: 8 }, () => new Http1Connection(sender.port));
    const perConnection = 40;
    await Promise.all(
      connections.map(async (connection, client) => {
        for (let count = 0; count < perConnection; count += 1) {
          const attack = count % 10 === 0 ? 'attack-block' : 'harmless';
          const place = places[(client + count) % places.length] ?? places[0];
          const { status } = await connection.request(place?.(`seen-${client}-${count}-`, attack));
          expect(status).toBe(200);
        }
      }),
    );
    await untilSeen(before + 8 * perConnection);
    // Not before: Traefik mirrors nothing of a client that has left by the time its answer is finished.
    for (const connection of connections) connection.close();
    expect(origin.targets.length - reached).toBe(8 * perConnection);
    const attacked = connections.flatMap((_, client) =>
      [0, 10, 20, 30].map((at) => `/seen-${client}-${at}-`),
    );
    const events = receiver.daemon.securityEvents('/seen-');
    expect(events.map(({ path }) => path?.replace(/\?.*/, '')).toSorted()).toEqual(attacked.toSorted());
    expect(new Set(events.map(({ verdict }) => verdict))).toEqual(new Set(['report']));
    expect(await receiver.daemon.metric('skipped_total')).toBe(0);
  });

  it.each([
    ['2 KB', 2000],
    ['1 MB', 1_000_000],
    ['9 MB', 9_000_000],
  ])('brings its body whole: %s', async (_name, size) => {
    const mark = `whole-${size}`;
    const body = `q=${'x'.repeat(size)}&end=attack-report`;
    const connection = new Http1Connection(sender.port);
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const { status } = await connection.request({ method: 'POST', target: `/${mark}`, headers, body });
    connection.close();
    expect(status).toBe(200);
    expect(await receiver.daemon.securityEvent(mark)).toMatchObject({ phase: 'request-body' });
  });

  it('of 20 MB is judged by its beginning, and its upload does not hang', async () => {
    const connection = new Http1Connection(sender.port);
    const body = Buffer.from(`q=attack-report&x=${'x'.repeat(20_000_000)}`);
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const { status } = await connection.request({ method: 'POST', target: '/large-20', headers, body });
    connection.close();
    expect(status).toBe(200);
    expect(await receiver.daemon.securityEvent('/large-20')).toMatchObject({ phase: 'request-body' });
  });

  it('in chunks that come slowly arrives whole', async () => {
    const connection = new Http1Connection(sender.port);
    connection.write('POST /slow-chunks HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n');
    connection.write('Content-Type: application/x-www-form-urlencoded\r\n\r\n');
    for (const piece of ['q=att', 'ack-', 'rep', 'ort']) {
      connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await pause(60);
    }
    connection.write('0\r\n\r\n');
    expect((await connection.response()).status).toBe(200);
    connection.close();
    expect(await receiver.daemon.securityEvent('/slow-chunks')).toMatchObject({ phase: 'request-body' });
  });

  it('tells which client sent it, to which host', async () => {
    const request = 'GET /which-client?q=attack-report HTTP/1.1\r\nHost: shop.example.com:8443\r\n\r\n';
    expect(await sendRaw(sender.port, request, { localAddress: '127.0.0.42' })).toBe(200);
    expect(await receiver.daemon.securityEvent('/which-client')).toMatchObject({
      client: '127.0.0.42',
      host: 'shop.example.com:8443',
    });
  });

  it('that waits for 100 Continue is answered at once', async () => {
    const connection = new Http1Connection(sender.port);
    connection.write('POST /expects HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n');
    connection.write('Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15\r\n\r\n');
    const { status } = await connection.head();
    expect(status).toBe(100);
    connection.write('q=attack-report');
    expect((await connection.response()).status).toBe(200);
    connection.close();
    expect(await receiver.daemon.securityEvent('/expects')).toMatchObject({ phase: 'request-body' });
  });
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
