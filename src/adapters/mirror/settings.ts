import {
  addressList,
  fileMode,
  haproxyTime,
  headerName,
  integer,
  oneOf,
  path,
} from '../../config/parsers.ts';
import { type ConfigOf, optional, withDefault } from '../../config/setting.ts';
import type { HealthHost } from '../../daemon/door.ts';
import { everyAddress, goAddress, mirrorAddresses } from './addresses.ts';
import { hostServices } from './applications.ts';

/** Settings of the door for mirrored requests. */
export const mirrorSettings = {
  mirrorListen: withDefault(mirrorAddresses, ':8080', {
    env: 'DD_REQUEST_MIRROR_LISTEN_ADDR',
    flag: 'mirror-listen',
    group: 'Mirrored requests',
    description:
      'Where mirrored requests arrive: an address and a port (`:8080` is every address) or `unix:/path`, several separated by commas. `:8080=shop` says whose they are.',
  }),
  mirrorHealthcheck: withDefault(goAddress, ':8081', {
    env: 'DD_REQUEST_MIRROR_HEALTHCHECK_ADDR',
    flag: 'mirror-healthcheck',
    group: 'Mirrored requests',
    description:
      'Where health checks of the receiver are answered: 200 to everything, but to `/ready` 503 once the agent is about to stop.',
  }),
  mirrorSender: withDefault(oneOf('auto', 'envoy', 'nginx', 'traefik', 'none'), 'auto', {
    env: 'DD_REQUEST_MIRROR_SENDER',
    flag: 'mirror-sender',
    group: 'Mirrored requests',
    description:
      'Who makes the copies, which decides what their fields mean: see docs/mirror.md. auto: told by the copy. none: only the fields of the client are read.',
  }),
  mirrorTrusted: optional(addressList, {
    env: 'DD_REQUEST_MIRROR_TRUSTED_CIDRS',
    flag: 'mirror-trusted',
    group: 'Mirrored requests',
    description:
      'Proxies whose fields are believed (client, host, scheme, service). Copies of others are analysed as requests of their own. Unset: everybody who may connect.',
  }),
  mirrorAllowed: optional(addressList, {
    env: 'DD_REQUEST_MIRROR_ALLOW',
    flag: 'mirror-allow',
    group: 'Mirrored requests',
    description:
      'Who may connect to the ports for mirrored requests. All others are closed unread. Unset: everybody. Unix sockets and the health port are not meant.',
  }),
  mirrorHosts: optional(hostServices, {
    env: 'DD_REQUEST_MIRROR_SERVICES',
    flag: 'mirror-services',
    group: 'Mirrored requests',
    description: 'Services by host: `shop.example.com=shop,*.example.com=other`. An exact host goes first.',
  }),
  mirrorServiceField: optional(headerName, {
    env: 'DD_REQUEST_MIRROR_SERVICE_HEADER',
    flag: 'mirror-service-header',
    group: 'Mirrored requests',
    description:
      'Header field in which a trusted proxy names the service. The proxy must set it on every request, or clients can.',
  }),
  mirrorSocketMode: withDefault(fileMode, '660', {
    env: 'DD_REQUEST_MIRROR_SOCKET_MODE',
    flag: 'mirror-socket-mode',
    group: 'Mirrored requests',
    description: 'Permissions of unix sockets for mirrored requests.',
  }),
  mirrorTlsCertificatePath: optional(path, {
    env: 'DD_REQUEST_MIRROR_TLS_CERT',
    flag: 'mirror-tls-cert',
    group: 'Mirrored requests',
    description:
      'File with the certificate of the receiver, in PEM, and those between it and its CA: senders must speak TLS. Read again on SIGHUP.',
  }),
  mirrorTlsKeyPath: optional(path, {
    env: 'DD_REQUEST_MIRROR_TLS_KEY',
    flag: 'mirror-tls-key',
    group: 'Mirrored requests',
    description: 'File with its key, in PEM without a passphrase; unset: in the file of the certificate.',
  }),
  mirrorTlsCaPath: optional(path, {
    env: 'DD_REQUEST_MIRROR_TLS_CA',
    flag: 'mirror-tls-ca',
    group: 'Mirrored requests',
    description:
      'File with CA certificates, in PEM: senders must show a certificate of one of them. Unset: nobody is asked for one.',
  }),
  mirrorMaxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'DD_REQUEST_MIRROR_MAX_CONNECTIONS',
    flag: 'mirror-max-connections',
    group: 'Limits',
    description: 'Connections of senders at a time; one more is closed at once.',
  }),
  mirrorBacklogBytes: withDefault(integer(1_048_576, 17_179_869_184, 'bytes'), '67108864', {
    env: 'DD_REQUEST_MIRROR_BACKLOG_SIZE',
    flag: 'mirror-backlog-size',
    group: 'Limits',
    description:
      'Bytes of mirrored requests that wait for their analysis; beyond it the oldest go unseen. Bodies that are still arriving may take as much again; beyond it the largest is cut.',
  }),
  mirrorBacklogAgeMs: withDefault(haproxyTime, '10s', {
    env: 'DD_REQUEST_MIRROR_BACKLOG_AGE',
    flag: 'mirror-backlog-age',
    group: 'Limits',
    description: 'A mirrored request that has waited so long for its analysis goes unseen.',
  }),
  mirrorStallMs: withDefault(haproxyTime, '5m', {
    env: 'DD_REQUEST_MIRROR_STALL_TIMEOUT',
    flag: 'mirror-stall-timeout',
    group: 'Limits',
    description:
      'A mirrored request of which nothing more came for so long is analysed as far as it came, and its connection closed. Idle connections stay open.',
  }),
} as const;

export type MirrorConfig = ConfigOf<typeof mirrorSettings>;

/** What the door reads of the settings: its own, and some of the process. */
export type MirrorDoorConfig = MirrorConfig & {
  /** How much of a body the engine looks at. */
  readonly bodyLimitBytes: number;
  /** The only field that the engine takes the client's address from. */
  readonly clientIpHeader: string | undefined;
};

/** The process's health port listens where the first of our addresses is, unless a setting says it. */
export function mirrorHealthHost({ mirrorListen: [first] }: MirrorConfig): HealthHost {
  const { env: variable } = mirrorSettings.mirrorListen;
  const address = first?.address;
  const host = address !== undefined && 'host' in address ? address.host : everyAddress;
  return { host: host === everyAddress ? '0.0.0.0' : host, variable };
}
