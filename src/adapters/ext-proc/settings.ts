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
    description:
      "Address to listen on for gRPC, and for the health port: IPv4, IPv6 ('::' for both) or a host name.",
  }),
  extProcPort: withDefault(port, '443', {
    env: 'DD_SERVICE_EXTENSION_PORT',
    flag: 'ext-proc-port',
    group: 'Envoy',
    description: 'Port that Envoy connects to. Ports below 1024 need root or CAP_NET_BIND_SERVICE.',
  }),
  extProcSocketPath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_UDS_PATH',
    flag: 'ext-proc-socket',
    group: 'Envoy',
    description:
      'Path of a unix socket to listen on instead of host and port, without TLS. A stale socket is replaced.',
  }),
  extProcSocketMode: withDefault(fileMode, '660', {
    env: 'APPSEC_EDGE_EXT_PROC_SOCKET_MODE',
    flag: 'ext-proc-socket-mode',
    group: 'Envoy',
    description: 'Permissions of the unix socket. Who may write to it may connect.',
  }),
  extProcTls: withDefault(boolean, 'true', {
    env: 'DD_SERVICE_EXTENSION_TLS',
    flag: 'ext-proc-tls',
    group: 'Envoy',
    description: 'Whether Envoy must use TLS.',
  }),
  extProcTlsCertificatePath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_TLS_CERT_FILE',
    flag: 'ext-proc-tls-cert',
    group: 'Envoy',
    description:
      'PEM file with our certificate and any intermediate certificates. Reloaded on SIGHUP. Unset: a self-signed certificate is generated at start.',
  }),
  extProcTlsKeyPath: optional(path, {
    env: 'DD_SERVICE_EXTENSION_TLS_KEY_FILE',
    flag: 'ext-proc-tls-key',
    group: 'Envoy',
    description:
      'PEM file with the key of the certificate, without a passphrase. Unset: the key is in the certificate file.',
  }),
  extProcTlsCaPath: optional(path, {
    env: 'APPSEC_EDGE_EXT_PROC_TLS_CA_FILE',
    flag: 'ext-proc-tls-ca',
    group: 'Envoy',
    description:
      'PEM file with CA certificates. If set, Envoy must present a certificate issued by one of them.',
  }),
  extProcAllowed: optional(addressList, {
    env: 'APPSEC_EDGE_EXT_PROC_ALLOW',
    flag: 'ext-proc-allow',
    group: 'Envoy',
    description: 'Addresses that may connect to the port. Others are disconnected. Unset: everyone.',
  }),
  extProcObservabilityMode: withDefault(boolean, 'false', {
    env: 'DD_SERVICE_EXTENSION_OBSERVABILITY_MODE',
    flag: 'ext-proc-observability-mode',
    group: 'Envoy',
    description:
      'true: Envoy gets its answer before the inspection, and nothing is blocked. Nothing is blocked either if `observability_mode` is set in Envoy.',
  }),
  extProcMessageTimeoutMs: withDefault(haproxyTime, '200ms', {
    env: 'APPSEC_EDGE_EXT_PROC_MESSAGE_TIMEOUT',
    flag: 'ext-proc-message-timeout',
    group: 'Envoy',
    description:
      "Set this to the filter's `message_timeout`, which Envoy does not send. What cannot be inspected in time is let through at once.",
  }),
  extProcMaxMessageTimeoutMs: optional(haproxyTime, {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_MESSAGE_TIMEOUT',
    flag: 'ext-proc-max-message-timeout',
    group: 'Envoy',
    description:
      "Set this to the filter's `max_message_timeout`: Envoy is asked to wait this long for the verdict on a large body. Unset: `message_timeout` applies.",
  }),
  extProcComponent: withDefault(oneOf('auto', ...components), 'auto', {
    env: 'APPSEC_EDGE_EXT_PROC_COMPONENT',
    flag: 'ext-proc-component',
    group: 'Envoy',
    description:
      "Tag `component` of spans. auto: according to the stream's metadata (`x-datadog-envoy-integration`, `x-datadog-istio-integration`); without it, envoy-gateway if KUBERNETES is set, else gcp-service-extension. envoy on a unix socket.",
  }),
  inKubernetes: optional(text, {
    env: 'KUBERNETES',
    flag: 'kubernetes',
    group: 'Envoy',
    description: 'Any value: this process runs in Kubernetes. Only affects the `component` tag.',
  }),
  extProcServiceFromRoute: withDefault(boolean, 'false', {
    env: 'APPSEC_EDGE_EXT_PROC_SERVICE_FROM_ROUTE',
    flag: 'ext-proc-service-from-route',
    group: 'Envoy',
    description:
      'true: if nothing else names the application of a request, use the name of its route (attribute `xds.route_name`) as the service.',
  }),
  extProcMaxMessageBytes: withDefault(integer(65_536, 1_073_741_824, 'bytes'), '16777216', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_MESSAGE_SIZE',
    flag: 'ext-proc-max-message-size',
    group: 'Limits',
    description:
      'Largest message from Envoy to inspect. Envoy sends bodies up to its buffer limit; larger messages are let through.',
  }),
  extProcMaxHeldBytes: withDefault(integer(1_048_576, 68_719_476_736, 'bytes'), '268435456', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_HELD_SIZE',
    flag: 'ext-proc-max-held-size',
    group: 'Limits',
    description:
      'Bytes that all streams together may hold while they wait for a verdict or for the rest of a message.',
  }),
  extProcMaxConnections: withDefault(integer(1, 1_000_000), '10000', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_CONNECTIONS',
    flag: 'ext-proc-max-connections',
    group: 'Limits',
    description: 'Maximum number of connections from Envoy; further ones are closed at once.',
  }),
  extProcMaxStreams: withDefault(integer(1, 10_000_000), '50000', {
    env: 'APPSEC_EDGE_EXT_PROC_MAX_STREAMS',
    flag: 'ext-proc-max-streams',
    group: 'Limits',
    description:
      'Maximum number of open streams; each is a request in progress. Further requests are let through uninspected.',
  }),
  extProcIdleTimeoutMs: withDefault(haproxyTime, '10m', {
    env: 'APPSEC_EDGE_EXT_PROC_IDLE_TIMEOUT',
    flag: 'ext-proc-idle-timeout',
    group: 'Limits',
    description:
      'A connection without streams is closed after this time; one with streams must then answer a PING.',
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
