// Ways in which real proxies mirror beside their usual one: other configurations, other versions of HTTP, odd hosts.
import { connect as connectHttp2 } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Http1Connection } from './support/http-client.ts';
import { type MirrorDaemon, mirrorDaemon, sendRaw, TolerantOrigin } from './support/mirror-rig.ts';
import {
  type MirrorPlan,
  type MirrorSender,
  newestEnvoy,
  senderPath,
  startMirroringEnvoy,
  startNginx,
  startTraefik,
  wallarmFields,
} from './support/mirror-sender.ts';

const envoy = newestEnvoy();
const envoyPath = envoy.kind === 'found' ? envoy.path : undefined;
const form = { 'Content-Type': 'application/x-www-form-urlencoded' };

/** Fields as docs/mirror.md has them, by HTTP/2. */
const http2Fields = `
  proxy_http_version 2;
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`;

describe('a receiver of real copies', () => {
  let receiver: MirrorDaemon;
  let origin: TolerantOrigin;

  beforeAll(async () => {
    [receiver, origin] = [await mirrorDaemon(), await new TolerantOrigin().start()];
    await receiver.daemon.start();
  });
  afterAll(async () => {
    await receiver?.daemon.stop();
    await origin?.stop();
  });

  /** With one sender, which is skipped where it is not to be had. */
  function through(
    title: string,
    path: string | undefined,
    start: (path: string, plan: MirrorPlan) => Promise<MirrorSender>,
    body: (sender: MirrorSender) => Promise<void>,
  ): void {
    it(title, async (context) => {
      if (path === undefined) context.skip('the proxy is not to be had here');
      const sender = await start(path ?? '', { originPort: origin.port, mirrorPort: receiver.port });
      try {
        await body(sender);
      } finally {
        await sender.stop();
      }
    });
  }

  const post = async (sender: MirrorSender, mark: string): Promise<void> => {
    const connection = new Http1Connection(sender.port);
    const parts = { method: 'POST', target: `/${mark}`, headers: form, body: 'q=attack-report' };
    for (let count = 0; count < 3; count += 1) expect((await connection.request(parts)).status).toBe(200);
    connection.close();
  };
  const bodiesSeen = async (mark: string, count: number): Promise<void> => {
    const deadline = Date.now() + 10_000;
    const seen = () => receiver.daemon.securityEvents(mark);
    while (seen().length < count && Date.now() < deadline) await pause(20);
    expect(seen().map(({ phase }) => phase)).toEqual(Array.from({ length: count }, () => 'request-body'));
  };

  for (const branch of ['1.22', '1.31']) {
    through(
      `takes those of Wallarm's configuration: NGINX ${branch}`,
      senderPath('nginx', branch),
      (path, plan) => startNginx(path, plan, wallarmFields),
      async (sender) => {
        await post(sender, `wallarm-${branch}-`);
        await bodiesSeen(`wallarm-${branch}-`, 3);
      },
    );
  }

  through(
    'takes those of NGINX by HTTP/2',
    senderPath('nginx', '1.31'),
    (path, plan) => startNginx(path, plan, http2Fields),
    async (sender) => {
      await post(sender, 'nginx-http2-');
      await bodiesSeen('nginx-http2-', 3);
      const [event] = receiver.daemon.securityEvents('nginx-http2-');
      expect(event).toMatchObject({ host: 'site.example', client: '127.0.0.1' });
    },
  );

  through(
    'takes those of Traefik without their bodies',
    senderPath('traefik', '3.7'),
    (path, plan) => startTraefik(path, plan, false),
    async (sender) => {
      const connection = new Http1Connection(sender.port);
      const target = '/bodiless?q=attack-report';
      await connection.request({ method: 'POST', target, headers: form, body: 'x'.repeat(3000) });
      connection.close();
      expect(await receiver.daemon.securityEvent('/bodiless')).toMatchObject({ phase: 'request-headers' });
    },
  );

  through(
    'knows hosts that Envoy has marked',
    envoyPath,
    (path, plan) => startMirroringEnvoy(path, plan),
    async (sender) => {
      const hosts = ['a.test', 'a.test:8443', '[::1]:80', 'a-shadow', ''];
      for (const [index, host] of hosts.entries()) {
        const mark = `host-${index}-`;
        await sendRaw(sender.port, `GET /${mark}?q=attack-report HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        expect((await receiver.daemon.securityEvent(mark)).host).toBe(host);
      }
    },
  );

  through(
    'judges a stream of gRPC that stays open when it is reset, at the latest',
    envoyPath,
    (path, plan) => startMirroringEnvoy(path, plan, { http2: true }),
    async (sender) => {
      const session = connectHttp2(`http://127.0.0.1:${sender.port}`);
      session.on('error', () => undefined);
      const stream = session.request({
        ...{ ':method': 'POST', ':path': '/shop.Cart/Watch?q=attack-report' },
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.write(Buffer.alloc(100));
      await pause(100);
      session.destroy();
      expect(await receiver.daemon.securityEvent('/shop.Cart/Watch')).toMatchObject({ verdict: 'report' });
    },
  );

  through(
    'loses none on a connection that was idle, whatever time-out the sender has',
    senderPath('nginx', '1.31'),
    (path, plan) => startNginx(path, plan),
    async (sender) => {
      const before = await receiver.daemon.metric('mirrored_requests_total');
      const connection = new Http1Connection(sender.port);
      for (const pauseMs of [0, 500, 1500, 5100]) {
        await pause(pauseMs);
        await connection.request({ method: 'POST', target: '/idle', body: 'a=b' });
      }
      connection.close();
      await pause(200);
      expect(await receiver.daemon.metric('mirrored_requests_total')).toBe(before + 4);
      expect(await receiver.daemon.metric('mirror_connections')).toBeGreaterThan(0);
    },
  );
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
