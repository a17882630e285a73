// A static Envoy configuration between a client, an origin and an external processor. Every part that a test may be
// about can be replaced: what is given is merged over the default message, field by field.
import type { EnvoyMessage } from './envoy.ts';

export interface EnvoyPlan {
  /** HTTP/1.1, and HTTP/2 with prior knowledge. */
  readonly httpPort: number;
  readonly adminPort: number;
  readonly originPort: number;
  /** The origin speaks HTTP/2, as gRPC services do. */
  readonly originHttp2?: boolean;
  /** Where processors listen on 127.0.0.1; none: Envoy has no ext_proc filter. */
  readonly processorPorts?: readonly number[];
  /** Fields of ExternalProcessor. */
  readonly filter?: EnvoyMessage;
  /** Fields of the processors' cluster; for TLS, `transport_socket`. */
  readonly cluster?: EnvoyMessage;
  /** Fields of the HTTP connection manager. */
  readonly manager?: EnvoyMessage;
  readonly listener?: EnvoyMessage;
  readonly virtualHost?: EnvoyMessage;
  /** Fields of the one route, beside `match`. */
  readonly route?: EnvoyMessage;
  /** Further HTTP filters, in front of ext_proc and behind it. */
  readonly filtersBefore?: readonly EnvoyMessage[];
  readonly filtersBehind?: readonly EnvoyMessage[];
}

/** What the processor's dynamic metadata is called in access logs. */
export const metadataNamespace = 'appsec_edge';
export const processorCluster = 'processor';

/** `envoy.filters.http.ext_proc` as tests use it, before a plan's own `filter`. */
const defaultFilter: EnvoyMessage = {
  '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor',
  grpc_service: { envoy_grpc: { cluster_name: processorCluster } },
  // A failure must be seen and not let through, and a busy machine is none.
  failure_mode_allow: false,
  message_timeout: '10s',
  processing_mode: { request_header_mode: 'SEND', response_header_mode: 'SEND' },
  allow_mode_override: true,
  request_attributes: ['source.address'],
  metadata_options: { receiving_namespaces: { untyped: [metadataNamespace] } },
};

export function envoyConfig(plan: EnvoyPlan): EnvoyMessage {
  const { adminPort, originPort, processorPorts = [] } = plan;
  const origin = {
    name: 'origin',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: assignment('origin', [originPort]),
    ...(plan.originHttp2 === true ? http2() : {}),
  };
  const processor = {
    name: processorCluster,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: assignment(processorCluster, processorPorts),
    ...http2(),
  };
  const clusters = processorPorts.length === 0 ? [origin] : [origin, merged(processor, plan.cluster)];
  return {
    admin: { address: address(adminPort) },
    static_resources: { listeners: [listener(plan)], clusters },
  };
}

/** The same with filter and cluster as they are, such as `patch.value`s of an EnvoyFilter. */
export function configWith(plan: EnvoyPlan, filter: EnvoyMessage, cluster: EnvoyMessage): EnvoyMessage {
  const config = envoyConfig({ ...plan, processorPorts: [], filtersBefore: [filter] });
  const resources = config['static_resources'] as { readonly clusters: readonly EnvoyMessage[] };
  return { ...config, static_resources: { ...resources, clusters: [...resources.clusters, cluster] } };
}

function listener(plan: EnvoyPlan): EnvoyMessage {
  const { httpPort, processorPorts = [], filtersBefore = [], filtersBehind = [] } = plan;
  const extProc = {
    name: 'envoy.filters.http.ext_proc',
    typed_config: merged(defaultFilter, plan.filter),
  };
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
  };
  const own = processorPorts.length === 0 ? [] : [extProc];
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'test',
    codec_type: 'AUTO',
    use_remote_address: true,
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    access_log: [accessLog()],
    http_filters: [...filtersBefore, ...own, ...filtersBehind, router],
    route_config: { name: 'site', virtual_hosts: [virtualHost(plan)] },
  };
  const http = { name: 'envoy.filters.network.http_connection_manager' };
  const chain = { filters: [{ ...http, typed_config: merged(manager, plan.manager) }] };
  return merged({ name: 'site', address: address(httpPort), filter_chains: [chain] }, plan.listener);
}

function virtualHost(plan: EnvoyPlan): EnvoyMessage {
  const route = { match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } };
  const routes = [merged(route, plan.route)];
  return merged({ name: 'site', domains: ['*'], routes }, plan.virtualHost);
}

/** `RunningEnvoy.access` reads it. */
function accessLog(): EnvoyMessage {
  return {
    name: 'envoy.access_loggers.stdout',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
      log_format: {
        json_format: {
          method: '%REQ(:METHOD)%',
          path: '%REQ(:PATH)%',
          status: '%RESPONSE_CODE%',
          details: '%RESPONSE_CODE_DETAILS%',
          flags: '%RESPONSE_FLAGS%',
          upstream: '%UPSTREAM_CLUSTER%',
          metadata: `%DYNAMIC_METADATA(${metadataNamespace})%`,
        },
      },
    },
  };
}

function http2(): EnvoyMessage {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

function assignment(cluster: string, ports: readonly number[]): EnvoyMessage {
  const endpoints = ports.map((port) => ({ endpoint: { address: address(port) } }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints: endpoints }] };
}

function address(port: number): EnvoyMessage {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** Messages are merged field by field; anything else, lists too, is replaced. */
function merged(under: EnvoyMessage, over: EnvoyMessage = {}): EnvoyMessage {
  const entries = Object.entries(over).map(([name, value]) => {
    const below = under[name];
    return [name, isMessage(below) && isMessage(value) ? merged(below, value) : value];
  });
  return { ...under, ...Object.fromEntries(entries) };
}

function isMessage(value: unknown): value is EnvoyMessage {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
