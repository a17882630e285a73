// What the schemas allow in the resources that no package has types of: the fields that the shipped files use, and their
// neighbours. `checkManifests` holds the files to them.

/** Envoy Gateway 1.9: gateway.envoyproxy.io_envoyextensionpolicies.yaml. */
export interface EnvoyExtensionPolicy {
  readonly apiVersion: 'gateway.envoyproxy.io/v1alpha1';
  readonly kind: 'EnvoyExtensionPolicy';
  readonly metadata: Metadata;
  readonly spec: { readonly targetRefs: readonly TargetRef[]; readonly extProc: readonly ExtProc[] };
}

/** Envoy Gateway 1.9: gateway.envoyproxy.io_clienttrafficpolicies.yaml. */
export interface ClientTrafficPolicy {
  readonly apiVersion: 'gateway.envoyproxy.io/v1alpha1';
  readonly kind: 'ClientTrafficPolicy';
  readonly metadata: Metadata;
  readonly spec: {
    readonly targetRefs: readonly TargetRef[];
    readonly connection?: { readonly bufferLimit?: string; readonly socketBufferLimit?: string };
  };
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
}

interface TargetRef {
  readonly group: 'gateway.networking.k8s.io';
  readonly kind: 'Gateway' | 'ListenerSet' | 'HTTPRoute' | 'GRPCRoute';
  readonly name: string;
  readonly sectionName?: string;
}

interface ExtProc {
  readonly backendRefs: readonly {
    readonly group?: string;
    readonly kind?: 'Service' | 'ServiceImport' | 'Backend';
    readonly name: string;
    readonly namespace?: string;
    readonly port?: number;
    readonly weight?: number;
    readonly fallback?: boolean;
  }[];
  readonly backendSettings?: BackendSettings;
  readonly failOpen?: boolean;
  readonly messageTimeout?: string;
  readonly metadata?: {
    readonly accessibleNamespaces?: readonly string[];
    readonly writableNamespaces?: readonly string[];
  };
  readonly processingMode?: {
    readonly allowModeOverride?: boolean;
    readonly request?: Processing;
    readonly response?: Processing;
  };
  readonly shadowMode?: boolean;
  readonly statusOnError?: number;
}

interface Processing {
  readonly attributes?: readonly string[];
  readonly body?: 'Streamed' | 'Buffered' | 'BufferedPartial' | 'FullDuplexStreamed';
}

interface BackendSettings {
  readonly connection?: { readonly bufferLimit?: string; readonly socketBufferLimit?: string };
  readonly circuitBreaker?: {
    readonly maxConnections?: number;
    readonly maxPendingRequests?: number;
    readonly maxParallelRequests?: number;
    readonly maxParallelRetries?: number;
    readonly maxRequestsPerConnection?: number;
  };
  readonly healthCheck?: {
    readonly panicThreshold?: number;
    readonly active?: {
      readonly type: 'HTTP' | 'TCP' | 'GRPC';
      readonly interval?: string;
      readonly timeout?: string;
      readonly unhealthyThreshold?: number;
      readonly healthyThreshold?: number;
    };
    readonly passive?: {
      readonly baseEjectionTime?: string;
      readonly consecutive5XxErrors?: number;
      readonly consecutiveGatewayErrors?: number;
      readonly consecutiveLocalOriginFailures?: number;
      readonly interval?: string;
      readonly maxEjectionPercent?: number;
      readonly splitExternalLocalOriginErrors?: boolean;
    };
  };
  readonly retry?: {
    readonly numRetries?: number;
    readonly retryOn?: {
      readonly triggers?: readonly (
        | 'reset'
        | 'reset-before-request'
        | 'connect-failure'
        | 'refused-stream'
        | 'unavailable'
      )[];
    };
  };
  readonly timeout?: { readonly tcp?: { readonly connectTimeout?: string } };
}

/** Google: google.cloud.network_services_v1.types.LbTrafficExtension of PyPI's google-cloud-network-services 0.10.4. */
export interface LbTrafficExtension {
  readonly name: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly forwardingRules: readonly string[];
  readonly loadBalancingScheme: 'INTERNAL_MANAGED' | 'EXTERNAL_MANAGED';
  readonly extensionChains: readonly {
    readonly name: string;
    readonly matchCondition: { readonly celExpression: string };
    readonly extensions: readonly {
      readonly name: string;
      readonly authority: string;
      readonly service: string;
      readonly supportedEvents: readonly (
        | 'REQUEST_HEADERS'
        | 'REQUEST_BODY'
        | 'REQUEST_TRAILERS'
        | 'RESPONSE_HEADERS'
        | 'RESPONSE_BODY'
        | 'RESPONSE_TRAILERS'
      )[];
      /** 10 to 10,000 ms. */
      readonly timeout: string;
      readonly failOpen?: boolean;
      readonly forwardHeaders?: readonly string[];
      readonly forwardAttributes?: readonly string[];
      readonly metadata?: Readonly<Record<string, string>>;
      readonly requestBodySendMode?: 'STREAMED' | 'FULL_DUPLEX_STREAMED';
      readonly responseBodySendMode?: 'STREAMED' | 'FULL_DUPLEX_STREAMED';
      readonly observabilityMode?: boolean;
    }[];
  }[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** kustomize.config.k8s.io/v1beta1 */
export interface Kustomization {
  readonly apiVersion: 'kustomize.config.k8s.io/v1beta1';
  readonly kind: 'Kustomization';
  readonly namespace?: string;
  readonly resources?: readonly string[];
  readonly images?: readonly { readonly name: string; readonly newName?: string; readonly newTag?: string }[];
}
