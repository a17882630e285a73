import type { Application } from '../../engine/http.ts';
import {
  attributeNames,
  type Component,
  contextKeys,
  googleNamespacePrefix,
  metadataNamespace,
  streamMetadataNames,
} from './contract.ts';
import type { FlatStruct, NamedStructs } from './wire/struct.ts';

/** What a stream and its first message say of the application behind it. */
export interface StreamOrigin {
  /** Name, value, name, value. */
  readonly metadata: readonly string[];
  readonly context: NamedStructs;
  readonly attributes: FlatStruct;
}

export interface ComponentRules {
  /** The setting; `auto`: as the original tells it. */
  readonly component: Component | 'auto';
  /** On a Unix socket it is plain Envoy, for nobody else would reach it. */
  readonly isUnixSocket: boolean;
  /** The variable KUBERNETES is set: Envoy Gateway's policies cannot send metadata, and tell themselves by nothing else. */
  readonly inKubernetes: boolean;
}

export function componentOf(metadata: readonly string[], rules: ComponentRules): Component {
  if (rules.component !== 'auto') return rules.component;
  if (rules.isUnixSocket || textOf(metadata, streamMetadataNames.envoyIntegration) === '1') return 'envoy';
  if (textOf(metadata, streamMetadataNames.istioIntegration) === '1') return 'istio';
  return rules.inKubernetes ? 'envoy-gateway' : 'gcp-service-extension';
}

/** Whose application: what the stream says, else metadata of the request, else (where wanted) its route. */
export function applicationOf(
  { metadata, context, attributes }: StreamOrigin,
  component: Component,
  serviceFromRoute: boolean,
  reportOnly: boolean,
): Application {
  const names = streamMetadataNames;
  const fromContext = contextOf(context);
  const pick = (name: string, key: string): string | undefined =>
    textOf(metadata, name) || fromContext?.get(key) || undefined;
  const route = serviceFromRoute ? attributes.get(attributeNames.routeName) : undefined;
  return {
    service: pick(names.service, contextKeys.service) ?? serviceOfRoute(route),
    environment: pick(names.environment, contextKeys.environment),
    version: pick(names.version, contextKeys.version),
    reportOnly: reportOnly || isTrue(pick(names.reportOnly, contextKeys.reportOnly)),
    component,
  };
}

/** Ours, or that of Google's extension. */
function contextOf(context: NamedStructs): FlatStruct | undefined {
  const own = context.get(metadataNamespace);
  if (own !== undefined) return own;
  for (const [namespace, texts] of context) if (namespace.startsWith(googleNamespacePrefix)) return texts;
  return undefined;
}

/** Envoy Gateway names routes `httproute/<namespace>/<name>/rule/0/match/0/…`: namespace and name are enough. */
function serviceOfRoute(route: string | undefined): string | undefined {
  if (route === undefined || route === '') return undefined;
  const match = /^[a-z]+route\/([^/]+\/[^/]+)\//.exec(route);
  return match?.[1] ?? route;
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:1|t|true)$/i.test(text);
}

function textOf(metadata: readonly string[], name: string): string | undefined {
  for (let index = 0; index < metadata.length; index += 2) {
    if (metadata[index] === name) return metadata[index + 1];
  }
  return undefined;
}
