// The shipped Envoy files, and those that Datadog publishes, as values: what is in an EnvoyFilter's patches, and a static
// configuration made of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { EnvoyMessage } from '../e2e/support/envoy.ts';

const repository = join(import.meta.dirname, '..', '..');

/** All documents of a YAML file of the repository. */
export function yamlDocuments(path: string): EnvoyMessage[] {
  const text = readFileSync(join(repository, path), 'utf8');
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]?.message}`);
    return document.toJS() as EnvoyMessage;
  });
}

/** A value inside, by names and indices. */
export function inside(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[key] : undefined,
    value,
  );
}

export const envoyFilters = {
  "Datadog's gateway": 'test/fixtures/datadog-envoy/gateway-filter.yaml',
  "Datadog's sidecar": 'test/fixtures/datadog-envoy/sidecar-filter.yaml',
  'our gateway': 'envoyconf/istio-gateway/envoyfilter.yaml',
  'our sidecar': 'envoyconf/istio-sidecar/envoyfilter.yaml',
} as const;

/** `patch.value` of the patches for one kind of thing: HTTP_FILTER, CLUSTER, LISTENER. */
export function patchValues(path: string, applyTo: string): EnvoyMessage[] {
  const [filter] = yamlDocuments(path);
  const patches = inside(filter, 'spec', 'configPatches') as readonly EnvoyMessage[];
  return patches
    .filter((patch) => patch['applyTo'] === applyTo)
    .map((patch) => inside(patch, 'patch', 'value') as EnvoyMessage);
}

/** The filter and the cluster of the plain configuration. */
export function plainParts(): { filter: EnvoyMessage; cluster: EnvoyMessage; listener: EnvoyMessage } {
  const [config] = yamlDocuments('envoyconf/envoy/envoy.yaml');
  const listener = inside(config, 'static_resources', 'listeners', 0) as EnvoyMessage;
  const manager = inside(listener, 'filter_chains', 0, 'filters', 0, 'typed_config');
  const filters = inside(manager, 'http_filters') as readonly EnvoyMessage[];
  const clusters = inside(config, 'static_resources', 'clusters') as readonly EnvoyMessage[];
  const filter = filters.find(({ name }) => name === 'envoy.filters.http.ext_proc');
  const cluster = clusters.find(({ name }) => name === 'appsec_edge');
  if (filter === undefined || cluster === undefined)
    throw new Error('envoy.yaml has no filter or no cluster');
  return { filter, cluster, listener };
}
