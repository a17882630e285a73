import {
  addressList,
  boolean,
  fileMode,
  haproxyTime,
  integer,
  oneOf,
  path,
  port,
  text,
} from '../../config/parsers.ts';
import { type ConfigOf, optional, withDefault } from '../../config/setting.ts';
import { components } from './contract.ts';

/** Settings of Envoy's door: those of Datadog's External Processor with its names and defaults, and what it lacks. */
export const extProcSettings = {
  extProcHost: withDefault(text, '0.0.0.0', {
    env: 'DD_SERVICE_EXTENSION_HOST',
    flag: 'ext-proc-host',
    group: 'Envoy',
    description: "Address to listen on for gRPC: IPv4, IPv6 ('::' for both), or a host name.",
  }),
  extProcPort: withDefault(port, '443', {
    env: 'DD_SERVICE_EXTENSION_PORT',
    flag: 'ext-proc-port',
    group: 'Envoy',
    description: 'Port that Envoy connects to. Below 1024 it takes rights of root, or CAP_NET_BIND_SERVICE.',
  }),
  extProcSocketPath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_UDS_PATH',
    flag: 'ext-proc-socket',
    group: 'Envoy',
    description:
      'Path of a unix socket to listen on instead of host and port, without TLS. A stale one is replaced.',
  }),
  extProcSocketMode: withDefault(fileMode, '660', {
    env: 'APPSEC_EDGE_EXT_PROC_SOCKET_MODE',
    flag: 'ext-proc-socket-mode',
    group: 'Envoy',
    description: 'Permissions of the unix socket: who may write may connect.',
  }),
  extProcTls: withDefault(boolean, 'true', {
    env: 'DD_SERVICE_EXTENSION_TLS',
    flag: 'ext-proc-tls',
    group: 'Envoy',
    description: 'Whether Envoy must speak TLS.',
  }),
  extProcTlsCertificatePath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_TLS_CERT_FILE',
    flag: 'ext-proc-tls-cert',
    group: 'Envoy',
    description:
      'File with the certificate, in PEM, and those between it and its CA. Read again on SIGHUP. Unset: one is made at start that nobody can verify.',
  }),
  extProcTlsKeyPath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_TLS_KEY_FILE',
    flag: 'ext-proc-tls-key',
    group: 'Envoy',
    description: 'File with its key, in PEM without a passphrase; unset: in the file of the certificate.',
  }),
  extProcTlsCaPath: optional(path, {
    env: 'APPSEC_EDGE_EXT_PROC_TLS_CA_FILE',
    flag: 'ext-proc-tls-ca',
    group: 'Envoy',
    description:
      'File with CA certificates, in PEM: Envoy must show a certificate of one of them. Unset: it is asked for none.',
  }),
  extProcAllowed: optional(addressList, {
    env: 'APPSEC_EDGE_EXT_PROC_ALLOW',
    flag: 'ext-proc-allow',
    group: 'Envoy',
    description: 'Who may connect to the port; all others are closed unread. Unset: everybody.',
  }),
  extProcObservabilityMode: withDefault(boolean, 'false', {
    env: 'DD_SERVICE_EXTENSION_OBSERVABILITY_MODE',
    flag: 'ext-proc-observability-mode',
    group: 'Envoy',
    description:
      'true: nothing is blocked, and Envoy is answered before the analysis. Where Envoy observes (`observability_mode`), nothing is blocked whatever this says.',
  }),
  extProcMessageTimeoutMs: withDefault(haproxyTime, '200ms', {
    env: 'APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT',
    flag: 'ext-proc-message-timeout',
    group: 'Envoy',
    description:
      "Envoy's `message_timeout`, which it does not send. What cannot be analysed in time is let through at once.",
  }),
  extProcMaxMessageTimeoutMs: optional(haproxyTime, {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_MESSAGE_TIMEOUT',
    flag: 'ext-proc-max-message-timeout',
    group: 'Envoy',
    description:
      "Envoy's `max_message_timeout`: it is asked to wait so long for the verdict on a large body. Unset: it is not asked.",
  }),
  extProcComponent: withDefault(oneOf('auto', ...components), 'auto', {
    env: 'APPSEC_EDGE_EXT_PROC_COMPONENT',
    flag: 'ext-proc-component',
    group: 'Envoy',
    description:
      "Tag `component` of spans. auto: by the stream's metadata (`x-datadog-envoy-integration`, `x-datadog-istio-integration`), else envoy-gateway in Kubernetes, else gcp-service-extension; envoy on a unix socket.",
  }),
  inKubernetes: optional(text, {
    env: 'KUBERNETES',
    flag: 'kubernetes',
    group: 'Envoy',
    description: 'Anything: this process runs in Kubernetes. Only for the component, see there.',
  }),
  extProcServiceFromRoute: withDefault(boolean, 'false', {
    env: 'APPSEC_EDGE_EXT_PROC_SERVICE_FROM_ROUTE',
    flag: 'ext-proc-service-from-route',
    group: 'Envoy',
    description:
      'true: a request whose application nobody names has the name of its route for a service (attribute `xds.route_name`).',
  }),
  extProcMaxMessageBytes: withDefault(integer(65_536, 1_073_741_824, 'bytes'), '16777216', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_MESSAGE_SIZE',
    flag: 'ext-proc-max-message-size',
    group: 'Limits',
    description:
      'Largest message of Envoy to analyse. It sends bodies up to its buffer limit; what is larger than this is let through at once.',
  }),
  extProcMaxHeldBytes: withDefault(integer(1_048_576, 68_719_476_736, 'bytes'), '268435456', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_HELD_SIZE',
    flag: 'ext-proc-max-held-size',
    group: 'Limits',
    description:
      'Bytes of all streams together that wait here for their verdict, or for the rest of a message.',
  }),
  extProcMaxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_CONNECTIONS',
    flag: 'ext-proc-max-connections',
    group: 'Limits',
    description: 'Connections of Envoys at a time; one more is closed at once.',
  }),
  extProcMaxStreams: withDefault(integer(1, 10_000_000), '50000', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_STREAMS',
    flag: 'ext-proc-max-streams',
    group: 'Limits',
    description: 'Streams at a time, each of which is a request under way; one more is let through unseen.',
  }),
  extProcIdleTimeoutMs: withDefault(haproxyTime, '10m', {
    env: 'APPSEC_EDGE_EXT_PROC_IDLE_TIMEOUT',
    flag: 'ext-proc-idle-timeout',
    group: 'Limits',
    description:
      'A connection without a stream for so long is closed; one with streams must answer a PING then.',
  }),
  extProcMaxConnectionAgeMs: optional(haproxyTime, {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_CONNECTION_AGE',
    flag: 'ext-proc-max-connection-age',
    group: 'Envoy',
    description:
      "Connections get a GOAWAY at this age, give or take a tenth, so that Envoy reconnects and finds new processors. Unset: never. Prefer Envoy's `max_connection_duration`, which loses no request.",
  }),
} as const;

export type ExtProcConfig = ConfigOf<typeof extProcSettings>;
