import {
  addressList,
  boolean,
  fileMode,
  haproxyTime,
  integer,
  path,
  port,
  secret,
  text,
} from '../../config/parsers.ts';
import { type ConfigOf, optional, withDefault } from '../../config/setting.ts';
import { peerAddresses } from './peers/address.ts';

/** Settings of HAProxy's door. */
export const haproxySettings = {
  host: withDefault(text, '0.0.0.0', {
    env: 'DD_HAPROXY_SPOA_HOST',
    flag: 'host',
    group: 'HAProxy',
    description:
      "Address to listen on, for SPOP and the health port: IPv4, IPv6 ('::' for both) or a host name.",
  }),
  port: withDefault(port, '3000', {
    env: 'DD_HAPROXY_SPOA_PORT',
    flag: 'port',
    group: 'HAProxy',
    description: 'Port that HAProxy connects to.',
  }),
  socketPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_SOCKET',
    flag: 'socket',
    group: 'HAProxy',
    description: 'Path of a unix socket to listen on instead of host and port. A stale socket is replaced.',
  }),
  socketMode: withDefault(fileMode, '660', {
    env: 'DD_HAPROXY_SPOA_SOCKET_MODE',
    flag: 'socket-mode',
    group: 'HAProxy',
    description:
      'Permissions of the unix socket. Who may write to it may connect. 660: the user and group of this process.',
  }),
  allowed: optional(addressList, {
    env: 'DD_HAPROXY_SPOA_ALLOW',
    flag: 'allow',
    group: 'HAProxy',
    description:
      'Addresses that may connect to the port: HAProxy and peers. Others are disconnected. Unset: everyone. Does not apply to the unix socket or the health port.',
  }),
  tlsCertificatePath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CERT',
    flag: 'tls-cert',
    group: 'HAProxy',
    description:
      'PEM file with our certificate and any intermediate certificates. If set, HAProxy and peers must use TLS. Reloaded on SIGHUP.',
  }),
  tlsKeyPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_KEY',
    flag: 'tls-key',
    group: 'HAProxy',
    description: 'PEM file with the private key, without a passphrase. Default: the certificate file.',
  }),
  tlsCaPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CA',
    flag: 'tls-ca',
    group: 'HAProxy',
    description:
      'PEM file with CA certificates. If set, HAProxy and peers must present a certificate of one of these CAs.',
  }),
  peers: optional(peerAddresses, {
    env: 'DD_HAPROXY_SPOA_PEERS',
    flag: 'peers',
    group: 'HAProxy',
    description:
      'Peers: all agents behind the same HAProxy backend, each by its own address. Messages are forwarded to the peer that began their transaction.',
  }),
  peerSecret: optional(secret, {
    env: 'DD_HAPROXY_SPOA_PEER_SECRET',
    flag: 'peer-secret',
    group: 'HAProxy',
    description:
      'Secret shared by all peers. Messages are only forwarded to a peer that proves it knows the secret. Prefer the variable: a flag is visible in process listings.',
  }),
  processingTimeoutMs: withDefault(haproxyTime, '200ms', {
    env: 'DD_HAPROXY_SPOA_PROCESSING_TIMEOUT',
    flag: 'processing-timeout',
    group: 'HAProxy',
    description:
      "HAProxy's `timeout processing`, if HAProxy does not send the argument `processing_timeout`. Messages that cannot be inspected in time are let through at once.",
  }),
  observabilityMode: withDefault(boolean, 'false', {
    env: 'DD_HAPROXY_SPOA_OBSERVABILITY_MODE',
    flag: 'observability-mode',
    group: 'HAProxy',
    description:
      'Detection-only mode. true: answer HAProxy first and inspect afterwards; nothing is blocked.',
  }),
  maxFrameSizeBytes: withDefault(integer(256, 16_777_216, 'bytes'), '16777216', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAME_SIZE',
    flag: 'max-frame-size',
    group: 'Limits',
    description:
      'Largest SPOP frame to inspect. HAProxy sends frames up to its `tune.bufsize` - 4; larger ones than this are let through at once.',
  }),
  maxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'DD_HAPROXY_SPOA_MAX_CONNECTIONS',
    flag: 'max-connections',
    group: 'Limits',
    description: 'Concurrent SPOP connections. Beyond it, new ones are closed at once.',
  }),
  maxFramesInFlight: withDefault(integer(1, 100_000), '128', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAMES_IN_FLIGHT',
    flag: 'max-frames-in-flight',
    group: 'Limits',
    description:
      'NOTIFY frames of one connection that may wait for their ACK. Beyond it, the connection is not read.',
  }),
  helloTimeoutMs: withDefault(haproxyTime, '10s', {
    env: 'DD_HAPROXY_SPOA_HELLO_TIMEOUT',
    flag: 'hello-timeout',
    group: 'Limits',
    description: 'Time for a new connection to send its HELLO.',
  }),
  idleTimeoutMs: withDefault(haproxyTime, '10m', {
    env: 'DD_HAPROXY_SPOA_IDLE_TIMEOUT',
    flag: 'idle-timeout',
    group: 'Limits',
    description:
      "Connections without any frame for this long are closed. Keep it above HAProxy's own idle time-out.",
  }),
} as const;

export type HaproxyConfig = ConfigOf<typeof haproxySettings>;
