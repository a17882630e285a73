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
    description: "Address to listen on, for SPOP and health: IPv4, IPv6 ('::' for both), or a host name.",
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
    description: 'Path of a unix socket to listen on instead of host and port. A stale one is replaced.',
  }),
  socketMode: withDefault(fileMode, '660', {
    env: 'DD_HAPROXY_SPOA_SOCKET_MODE',
    flag: 'socket-mode',
    group: 'HAProxy',
    description:
      'Permissions of the unix socket: who may write may connect. 660: the user and the group of the agent.',
  }),
  allowed: optional(addressList, {
    env: 'DD_HAPROXY_SPOA_ALLOW',
    flag: 'allow',
    group: 'HAProxy',
    description:
      'Who may connect to the port: HAProxy and other agents. All others are closed unread. Unset: everybody. The unix socket and the health port are not meant.',
  }),
  tlsCertificatePath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CERT',
    flag: 'tls-cert',
    group: 'HAProxy',
    description:
      'File with the certificate of the agent, in PEM, and those between it and its CA: HAProxy and other agents must speak TLS. Read again on SIGHUP.',
  }),
  tlsKeyPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_KEY',
    flag: 'tls-key',
    group: 'HAProxy',
    description: 'File with its key, in PEM without a passphrase; unset: in the file of the certificate.',
  }),
  tlsCaPath: optional(path, {
    env: 'DD_HAPROXY_SPOA_TLS_CA',
    flag: 'tls-ca',
    group: 'HAProxy',
    description:
      'File with CA certificates, in PEM: HAProxy and other agents must show a certificate of one of them. Unset: nobody is asked for one.',
  }),
  peers: optional(peerAddresses, {
    env: 'DD_HAPROXY_SPOA_PEERS',
    flag: 'peers',
    group: 'HAProxy',
    description:
      'The agents behind the same HAProxy backend, each by its own address: a message goes on to the one that began its transaction.',
  }),
  peerSecret: optional(secret, {
    env: 'DD_HAPROXY_SPOA_PEER_SECRET',
    flag: 'peer-secret',
    group: 'HAProxy',
    description:
      'Known to all agents: messages go on only to an agent that proves to know it. The variable shows in no list of processes.',
  }),
  processingTimeoutMs: withDefault(haproxyTime, '200ms', {
    env: 'DD_HAPROXY_SPOA_PROCESSING_TIMEOUT',
    flag: 'processing-timeout',
    group: 'HAProxy',
    description:
      "HAProxy's `timeout processing`, when HAProxy does not say (argument `processing_timeout`). What cannot be analysed in time is let through at once.",
  }),
  observabilityMode: withDefault(boolean, 'false', {
    env: 'DD_HAPROXY_SPOA_OBSERVABILITY_MODE',
    flag: 'observability-mode',
    group: 'HAProxy',
    description: 'true: HAProxy is answered first and traffic is analysed afterwards. Nothing is blocked.',
  }),
  maxFrameSizeBytes: withDefault(integer(256, 16_777_216, 'bytes'), '16777216', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAME_SIZE',
    flag: 'max-frame-size',
    group: 'Limits',
    description:
      'Largest SPOP frame to analyse. HAProxy sends up to its `tune.bufsize` less 4; what is larger than this is let through at once.',
  }),
  maxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'DD_HAPROXY_SPOA_MAX_CONNECTIONS',
    flag: 'max-connections',
    group: 'Limits',
    description: 'SPOP connections at a time; one more is closed at once.',
  }),
  maxFramesInFlight: withDefault(integer(1, 100_000), '128', {
    env: 'DD_HAPROXY_SPOA_MAX_FRAMES_IN_FLIGHT',
    flag: 'max-frames-in-flight',
    group: 'Limits',
    description: 'NOTIFY frames of one connection under analysis; beyond it the connection is not read.',
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
    description: "A connection without any frame for so long is closed. Keep it above HAProxy's own.",
  }),
} as const;

export type HaproxyConfig = ConfigOf<typeof haproxySettings>;
