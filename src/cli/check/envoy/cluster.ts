import type { Place } from './place.ts';

/* What a cluster of Envoy's says, wherever it says it. */

const http2Type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function speaksHttp2(cluster: Place): boolean {
  if (cluster.field('http2_protocol_options') !== undefined) return true;
  const options = cluster
    .field('typed_extension_protocol_options')
    ?.fields()
    .find(([name]) => name === http2Type)?.[1];
  return (
    options?.field('explicit_http_config', 'http2_protocol_options') !== undefined ||
    options?.field('auto_config') !== undefined ||
    options?.field('use_downstream_protocol_config', 'http2_protocol_options') !== undefined
  );
}

export function tlsOf(cluster: Place): Place | undefined {
  const config = cluster.field('transport_socket', 'typed_config');
  return config?.type === 'UpstreamTlsContext' ? config : undefined;
}

export function validation(cluster: Place): Place | undefined {
  const common = tlsOf(cluster)?.field('common_tls_context');
  return (
    common?.field('validation_context') ??
    common?.field('combined_validation_context', 'default_validation_context')
  );
}

export function checksAuthority(tls: Place): boolean {
  const common = tls.field('common_tls_context');
  const context = common?.field('validation_context');
  const checked = ['trusted_ca', 'system_root_certs', 'ca_certificate_provider_instance'].some(
    (name) => context?.field(name) !== undefined,
  );
  const pinned = context?.field('verify_certificate_spki') ?? context?.field('verify_certificate_hash');
  const fetched = ['validation_context_sds_secret_config', 'combined_validation_context'].some(
    (name) => common?.field(name) !== undefined,
  );
  return checked || fetched || pinned !== undefined;
}

/** A unix socket, or this machine. */
export function isLocal(cluster: Place): boolean {
  const endpoints = (cluster.field('load_assignment', 'endpoints')?.items() ?? []).flatMap(
    (group) => group.field('lb_endpoints')?.items() ?? [],
  );
  return endpoints.every((endpoint) => {
    const address = endpoint.field('endpoint', 'address');
    const host = address?.field('socket_address', 'address')?.text ?? '';
    return address?.field('pipe') !== undefined || /^(127\.|::1$|localhost$)/.test(host);
  });
}

export function thresholdsOf(cluster: Place): Place | undefined {
  const thresholds = cluster.field('circuit_breakers', 'thresholds')?.items() ?? [];
  return thresholds.find((entry) => (entry.field('priority')?.text ?? 'DEFAULT') === 'DEFAULT');
}
