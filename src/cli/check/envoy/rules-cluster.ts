import type { Issue } from '../rule.ts';
import { checksAuthority, isLocal, speaksHttp2, thresholdsOf, tlsOf, validation } from './cluster.ts';
import { millisecondsOf, type Place } from './place.ts';
import type { EnvoyRule } from './rule.ts';
import { clusterName, processorClusters } from './setup.ts';

/** How long a processor that is told to end answers on: APPSEC_EDGE_SHUTDOWN_GRACE. */
const shutdownGraceMs = 5_000;
/** Envoy's default of all circuit breakers but retries. */
const defaultThreshold = 1_024;
const deprecated = [
  ...['http2_protocol_options', 'http_protocol_options', 'common_http_protocol_options'],
  ...['upstream_http_protocol_options', 'protocol_selection', 'max_requests_per_connection'],
  ...['dns_refresh_rate', 'respect_dns_ttl'],
];

/** Rules about the processor's cluster: how Envoy reaches it and what it does when it cannot. */
export const clusterRules: readonly EnvoyRule[] = [
  {
    id: 'cluster-missing',
    severity: 'error',
    why: 'Envoy does not start, or has no processor to ask',
    remedy:
      "define the cluster, or name the file that has it; take it from what 'appsec-edge envoyconf' writes",
    *find(setup) {
      for (const filter of setup.filters) {
        const name = clusterName(filter);
        // Istio's own have names like `outbound|443||host`, and are nowhere in its files.
        if (name?.text === undefined || name.text.includes('|') || setup.clusters.has(name.text)) continue;
        yield { line: name, what: `there is no cluster ${name.text} in the files given` };
      }
    },
  },
  {
    id: 'cluster-http1',
    severity: 'error',
    why: 'gRPC is HTTP/2: no message reaches the processor',
    remedy: `say 'explicit_http_config: { http2_protocol_options: {} }' in typed_extension_protocol_options`,
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        if (!speaksHttp2(cluster)) yield { line: cluster, what: 'the cluster does not speak HTTP/2' };
      }
    },
  },
  {
    id: 'deprecated-field',
    severity: 'warning',
    why: 'Envoy warns of it at start and will refuse it one day',
    remedy:
      'protocol options belong into typed_extension_protocol_options; settings of DNS into cluster_type envoy.clusters.dns',
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        for (const name of deprecated) {
          const place = cluster.field(name);
          if (place !== undefined) yield { line: place, what: `${name} of a cluster is deprecated` };
        }
        const names = validation(cluster)?.field('match_subject_alt_names');
        if (names !== undefined) yield { line: names, what: 'match_subject_alt_names is deprecated' };
      }
    },
  },
  {
    id: 'plaintext',
    severity: 'hint',
    why: 'requests, cookies and passwords included, cross the network readable for others',
    remedy: 'give the cluster a transport_socket with UpstreamTlsContext, unless something else encrypts',
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        if (tlsOf(cluster) !== undefined || isLocal(cluster) || cluster.field('transport_socket')) continue;
        yield { line: cluster, what: 'no TLS to the processor' };
      }
    },
  },
  {
    id: 'certificate-unchecked',
    severity: 'warning',
    why: 'Envoy takes any certificate: whoever can answer on that address sees all traffic and decides about it',
    remedy: "say 'validation_context' with 'trusted_ca' and 'match_typed_subject_alt_names'",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        const tls = tlsOf(cluster);
        if (tls !== undefined && !checksAuthority(tls)) {
          yield { line: tls, what: 'TLS without validation_context' };
        }
      }
    },
  },
  {
    id: 'name-unchecked',
    severity: 'hint',
    why: 'any certificate of that authority is taken for the processor',
    remedy:
      "say 'match_typed_subject_alt_names' with the processor's name, unless the authority makes no others",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        const context = validation(cluster);
        const named = ['match_typed_subject_alt_names', 'match_subject_alt_names'].some(
          (name) => context?.field(name) !== undefined,
        );
        const automatic = tlsOf(cluster)?.field('auto_sni_san_validation')?.isTrue;
        const roots = context?.field('trusted_ca') ?? context?.field('system_root_certs');
        if (roots === undefined || context === undefined || named || automatic) continue;
        yield { line: context, what: 'no name is asked of the certificate' };
      }
    },
  },
  {
    id: 'no-health-check',
    severity: 'warning',
    why: 'a processor that ends or is gone gets requests all the same: they are delayed, and pass uninspected or fail',
    remedy: "say 'health_checks' with 'grpc_health_check', 'interval: 1s' and 'no_traffic_interval: 1s'",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        const checks = cluster.field('health_checks')?.items() ?? [];
        if (checks.length === 0) yield { line: cluster, what: 'no health_checks' };
        for (const check of checks) {
          if (check.field('grpc_health_check') === undefined) {
            yield { line: check, what: 'a health check other than grpc_health_check' };
          }
        }
      }
    },
  },
  {
    id: 'health-check-alpn',
    severity: 'error',
    why: 'over TLS the health check does not get through: every processor looks dead',
    remedy: "say 'alpn_protocols: [h2]' in the common_tls_context",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        const tls = tlsOf(cluster);
        const socket = tls?.field('common_tls_context', 'alpn_protocols');
        for (const check of cluster.field('health_checks')?.items() ?? []) {
          const grpc = check.field('grpc_health_check');
          if (tls === undefined || grpc === undefined) continue;
          const names = check.field('tls_options', 'alpn_protocols') ?? socket;
          if (!names?.items().some(({ text }) => text === 'h2')) {
            yield { line: grpc, what: 'grpc_health_check over TLS without ALPN h2' };
          }
        }
      }
    },
  },
  {
    id: 'slow-health-check',
    severity: 'warning',
    why: `a processor that is told to end says so and answers for another ${shutdownGraceMs / 1_000} s: Envoy must have asked by then`,
    remedy: "say 'interval: 1s', 'no_traffic_interval: 1s' (its default is 60s) and 'unhealthy_threshold: 1'",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        for (const check of cluster.field('health_checks')?.items() ?? []) yield* slow(check);
      }
    },
  },
  {
    id: 'circuit-breakers',
    severity: 'warning',
    why: 'a request holds one gRPC stream as long as it lasts: what is beyond this number is not inspected, or fails',
    remedy:
      "raise 'max_requests', 'max_pending_requests' (maxParallelRequests, maxPendingRequests) far above the requests that you have at a time",
    *find(setup) {
      const names = ['max_requests', 'max_pending_requests'];
      for (const { cluster } of processorClusters(setup)) {
        yield* lowBreakers(cluster, 'circuit_breakers', thresholdsOf(cluster), names);
      }
      for (const { by, place, config } of setup.filters) {
        if (by !== 'envoy-gateway') continue;
        const breaker = config.field('backendSettings', 'circuitBreaker');
        const own = ['maxParallelRequests', 'maxPendingRequests'];
        yield* lowBreakers(place, 'circuitBreaker', breaker, own);
      }
    },
  },
  {
    id: 'retry-breaker',
    severity: 'warning',
    why: 'only 3 retries at a time are allowed by default: when a processor ends, the other requests are not taken to another one',
    remedy: "raise 'max_retries' in the thresholds of circuit_breakers",
    *find(setup) {
      for (const { cluster, filter } of processorClusters(setup)) {
        const retries = thresholdsOf(cluster)?.field('max_retries');
        if (filter.retryPolicy === undefined || (retries?.count ?? 3) > 3) continue;
        const line = retries ?? thresholdsOf(cluster) ?? cluster;
        yield { line, what: 'a retry_policy without max_retries' };
      }
    },
  },
  {
    id: 'connect-timeout',
    severity: 'hint',
    why: 'a processor whose machine is gone costs each request the whole message_timeout, for Envoy goes on connecting',
    remedy: 'say less than message_timeout; 5 s is the default',
    *find(setup) {
      for (const { cluster, filter } of processorClusters(setup)) {
        const place = cluster.field('connect_timeout');
        const connectMs = millisecondsOf(place) ?? 5_000;
        const messageMs = millisecondsOf(filter.messageTimeout) ?? 200;
        if (connectMs >= messageMs) yield { line: place ?? cluster, what: `connect_timeout ${connectMs} ms` };
      }
    },
  },
  {
    id: 'one-address',
    severity: 'hint',
    why: 'Envoy connects to one address at a time of those that the name has: the other processors stay idle',
    remedy: "say 'type: STRICT_DNS', with a headless Service on Kubernetes",
    *find(setup) {
      for (const { cluster } of processorClusters(setup)) {
        const place = cluster.field('type');
        if (place?.text === 'LOGICAL_DNS') yield { line: place, what: 'type LOGICAL_DNS' };
      }
    },
  },
];

function* slow(check: Place): Iterable<Issue> {
  const idle = check.field('no_traffic_interval');
  const threshold = check.field('unhealthy_threshold')?.count ?? 1;
  const idleMs = millisecondsOf(idle) ?? 60_000;
  const busyMs = millisecondsOf(check.field('interval')) ?? 0;
  const what = (name: string, milliseconds: number): string =>
    `${name} ${milliseconds / 1_000} s, ${threshold} time${threshold === 1 ? '' : 's'}`;
  if (idleMs * threshold >= shutdownGraceMs) {
    yield { line: idle ?? check, what: what('no_traffic_interval', idleMs) };
  }
  if (busyMs * threshold >= shutdownGraceMs) {
    yield { line: check.field('interval') ?? check, what: what('interval', busyMs) };
  }
}

function* lowBreakers(
  owner: Place,
  message: string,
  thresholds: Place | undefined,
  names: readonly string[],
): Iterable<Issue> {
  const low = names.filter(
    (name) => (thresholds?.field(name)?.count ?? defaultThreshold) <= defaultThreshold,
  );
  const [first] = low;
  if (first === undefined) return;
  const what = `${message}: ${low.join(' and ')} not above ${defaultThreshold}`;
  yield { line: thresholds?.field(first) ?? thresholds ?? owner, what };
}
