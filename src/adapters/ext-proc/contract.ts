/*
 * Names shared with envoyconf/, with Envoy, and with Datadog's published configuration.
 */

/** envoy/service/ext_proc/v3/external_processor.proto */
export const serviceName = 'envoy.service.ext_proc.v3.ExternalProcessor';
export const methodPath = `/${serviceName}/Process`;

/** Metadata of a stream (`initial_metadata` of Envoy's `grpc_service`), in lower case: what the operator's Envoy says. */
export const streamMetadataNames = {
  service: 'x-appsec-service',
  environment: 'x-appsec-env',
  version: 'x-appsec-version',
  /** `true`: detections are reported and nothing is blocked. */
  reportOnly: 'x-appsec-report-only',
  /** `1`: plain Envoy. Datadog's manifests send it from Istio, too. */
  envoyIntegration: 'x-datadog-envoy-integration',
  istioIntegration: 'x-datadog-istio-integration',
} as const;

const passedMetadata: readonly string[] = Object.values(streamMetadataNames);

/** What of the metadata of a stream goes on to the engine: name, value, name, value. */
export function passedOf(metadata: readonly string[]): string[] {
  const passed: string[] = [];
  for (let index = 0; index < metadata.length; index += 2) {
    const [name = '', value = ''] = metadata.slice(index, index + 2);
    if (passedMetadata.includes(name)) passed.push(name, value);
  }
  return passed;
}

/** Namespace of Envoy's dynamic metadata: read (`metadata_context`) and written. */
export const metadataNamespace = 'appsec_edge';

/** Google's load balancers send the metadata of an extension in a namespace of this beginning. */
export const googleNamespacePrefix = 'com.google.lb_traffic_extension.';

/** Keys in `metadata_context`. */
export const contextKeys = {
  service: 'service',
  environment: 'env',
  version: 'version',
  reportOnly: 'report_only',
} as const;

/** Keys in dynamic metadata. */
export const dynamicKeys = {
  verdict: 'verdict',
  ruleIds: 'rule_ids',
  traceId: 'trace_id',
  securityResponseId: 'security_response_id',
} as const;

/** The filter under whose name Envoy sends attributes. */
export const attributesFilter = 'envoy.filters.http.ext_proc';

export const attributeNames = {
  /** `address:port` of the client. */
  sourceAddress: 'source.address',
  /** The address alone: Google's load balancers. */
  sourceIp: 'source.ip',
  routeName: 'xds.route_name',
} as const;

/** Tag `component` of spans, as the original sets it. */
export const components = ['envoy', 'istio', 'envoy-gateway', 'gcp-service-extension'] as const;
export type Component = (typeof components)[number];

/** Why a message was let through without analysis. */
export type SkipReason = 'overload' | 'no-engine' | 'engine-lost' | 'too-large';
