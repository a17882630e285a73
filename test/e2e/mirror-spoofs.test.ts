// Fields that a client has made up, through each real sender: what becomes of client, host and scheme.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Applications } from '../../src/adapters/mirror/applications.ts';
import { requestOf } from '../../src/adapters/mirror/handler.ts';
import type { SenderSetting } from '../../src/adapters/mirror/sender.ts';
import { resolveClientIp } from '../../src/engine/client-ip.ts';
import { headerValue } from '../../src/engine/http.ts';
import { closeReceivers, Receiver } from '../adapters/mirror/receiver.ts';
import { sendRaw, TolerantOrigin } from './support/mirror-rig.ts';
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

const client = '127.0.0.9';

const spoofed = [
  'GET /x?q=1 HTTP/1.1',
  'Host: real.test',
  'X-Real-IP: 1.2.3.4',
  'X-Forwarded-For: 1.2.3.4',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 99',
  'X-Forwarded-Server: evil',
  'X-Scheme: https',
  'Forwarded: for=1.2.3.4;proto=https;host=evil.test',
  'X-SERVER-PORT: 77',
  'X-SERVER-ADDR: 7.7.7.7',
  'x-envoy-internal: true',
  'x-envoy-external-address: 1.2.3.4',
  'x-envoy-original-path: /evil',
  '\r\n',
].join('\r\n');

interface Scene {
  readonly name: string;
  readonly path: string | undefined;
  readonly start: (path: string, plan: MirrorPlan) => Promise<MirrorSender>;
  readonly setting: SenderSetting;
  readonly expected: {
    readonly clientIp: string;
    readonly https: boolean;
    readonly forwardedFor: string;
  };
}

const envoy = newestEnvoy();
const envoyPath = envoy.kind === 'found' ? envoy.path : undefined;
const nginxScenes = ['1.22', '1.31'].flatMap((branch): Scene[] => [
  {
    name: `NGINX ${branch}`,
    path: senderPath('nginx', branch),
    start: (path, plan) => startNginx(path, plan),
    setting: 'nginx',
    expected: { clientIp: client, https: false, forwardedFor: `1.2.3.4, ${client}` },
  },
  {
    name: `NGINX ${branch} that nobody told of`,
    path: senderPath('nginx', branch),
    start: (path, plan) => startNginx(path, plan),
    setting: 'auto',
    // Datadog's rule takes the first global address: see docs/mirror.md.
    expected: { clientIp: '1.2.3.4', https: false, forwardedFor: `1.2.3.4, ${client}` },
  },
  {
    name: `NGINX ${branch} with Wallarm's fields`,
    path: senderPath('nginx', branch),
    start: (path, plan) => startNginx(path, plan, wallarmFields),
    setting: 'nginx',
    expected: { clientIp: client, https: false, forwardedFor: client },
  },
]);

const scenes: readonly Scene[] = [
  ...nginxScenes,
  {
    name: 'Traefik',
    path: senderPath('traefik', '3.7'),
    start: (path, plan) => startTraefik(path, plan),
    setting: 'traefik',
    expected: { clientIp: client, https: false, forwardedFor: client },
  },
  ...(
    [
      ['auto', false],
      ['envoy', false],
      // Over HTTP/2 the client's X-Forwarded-Server could be Traefik's: the setting has to say who it is.
      ['envoy', true],
    ] as const
  ).map(
    ([setting, http2]): Scene => ({
      name: `Envoy at the edge${http2 ? ' by HTTP/2' : ''}`,
      path: envoyPath,
      start: (path, plan) => startMirroringEnvoy(path, plan, { http2 }),
      setting,
      expected: { clientIp: client, https: false, forwardedFor: `1.2.3.4,${client}` },
    }),
  ),
  {
    name: 'an inner Envoy, which believes what comes before it',
    path: envoyPath,
    start: (path, plan) => startMirroringEnvoy(path, plan, { manager: { use_remote_address: false } }),
    setting: 'auto',
    expected: { clientIp: '1.2.3.4', https: true, forwardedFor: '1.2.3.4' },
  },
];

describe('fields that a client has made up', () => {
  let origin: TolerantOrigin;
  beforeAll(async () => {
    origin = await new TolerantOrigin().start();
  });
  afterAll(() => origin?.stop());
  afterEach(closeReceivers);

  for (const { name, path, start, setting, expected } of scenes) {
    it(`change nothing that they should not: ${name}, ${setting}`, async (context) => {
      if (path === undefined) context.skip('the proxy is not to be had here');
      const receiver = await Receiver.start();
      const sender = await start(path ?? '', { originPort: origin.port, mirrorPort: receiver.port });
      try {
        await sendRaw(sender.port, spoofed, { localAddress: client });
        const copies = await receiver.copies(1);
        const copy = copies.find(({ request }) => request.target.startsWith('/x')) ?? (await last(receiver));
        const request = requestOf(copy, {
          sender: setting,
          trusted: undefined,
          applications: new Applications({ field: undefined, hosts: [], listeners: [] }),
          clientIpHeaderIsSet: false,
          timeToLiveMs: 1000,
        });
        expect({
          clientIp: request.clientIp ?? resolveClientIp(request.headers, request.peerAddress),
          https: request.https,
          forwardedFor: headerValue(request.headers, 'x-forwarded-for'),
          host: headerValue(request.headers, 'host'),
          target: request.target,
        }).toEqual({ ...expected, host: 'real.test', target: '/x?q=1' });
      } finally {
        await sender.stop();
      }
    });
  }
});

/** Traefik's readiness was asked for by a request of its own. */
async function last(receiver: Receiver) {
  const copy = (await receiver.copies(2)).at(-1);
  if (copy === undefined) throw new Error('no copy came');
  return copy;
}
