import { ConfigError } from '../../../config/errors.ts';
import type { Config } from '../../../daemon/settings.ts';
import type { SourceFile } from '../parse.ts';
import { envoyFilter, gatewayFilter, type Processing, type ProcessorFilter, processingOf } from './filter.ts';
import { documentsOf, type Place } from './place.ts';

/*
 * What the rules of `appsec-edge check` look at in files for Envoy. Filters, clusters and listeners are found wherever
 * they stand: in a static configuration, in files of xDS, in a config_dump, in the patches of an EnvoyFilter.
 */

/** An HTTP filter of a connection manager, in the order in which requests pass them. */
export interface HttpFilter {
  readonly name: string;
  /** The message of its typed_config, without the package. */
  readonly type: string;
  readonly place: Place;
}

export interface Manager {
  readonly place: Place;
  readonly filters: readonly HttpFilter[];
  readonly config: Place;
  readonly listener: Place | undefined;
}

/** One patch of an EnvoyFilter. */
export interface Patch {
  readonly applyTo: string;
  readonly operation: Place | undefined;
  readonly value: Place;
}

export interface EnvoySetup {
  readonly documents: readonly Place[];
  /** Those that ask our processor. */
  readonly filters: readonly ProcessorFilter[];
  readonly managers: readonly Manager[];
  readonly clusters: ReadonlyMap<string, Place>;
  /** ExtProcPerRoute, wherever routes have one. */
  readonly perRoute: readonly Place[];
  readonly patches: readonly Patch[];
  /** Modes of the filters and of the routes. */
  readonly processing: readonly (Processing & { readonly of: ProcessorFilter })[];
  readonly sources: readonly SourceFile[];
  readonly settings: EnvoyCheckSettings;
}

export type EnvoyCheckSettings = Pick<Config, 'bodyLimitBytes' | 'wafTimeoutUs'>;

/** @throws ConfigError for a file that is not YAML. */
export function createEnvoySetup(sources: readonly SourceFile[], settings: EnvoyCheckSettings): EnvoySetup {
  const documents = sources.flatMap(documentsOf);
  const found: Found = {
    filters: [],
    managers: [],
    clusters: new Map(),
    perRoute: [],
    patches: [],
    visited: 0,
  };
  for (const document of documents) {
    if (kindOf(document) === 'EnvoyExtensionPolicy') {
      found.filters.push(...(document.field('spec', 'extProc')?.items() ?? []).map(gatewayFilter));
    } else search(document, found, undefined);
  }
  const filters = ours(found.filters);
  const [first] = filters;
  const perRoute = first === undefined ? [] : found.perRoute;
  const ofRoutes = perRoute.flatMap((place) => {
    const mode = place.field('overrides', 'processing_mode');
    return mode === undefined || first === undefined
      ? []
      : processingOf(mode).map((processing) => ({ ...processing, of: first }));
  });
  const ofFilters = filters.flatMap((filter) =>
    filter.processing.map((processing) => ({ ...processing, of: filter })),
  );
  return {
    ...{ documents, filters, managers: found.managers, clusters: found.clusters, perRoute },
    ...{ patches: found.patches, processing: [...ofFilters, ...ofRoutes], sources, settings },
  };
}

export function kindOf(document: Place): string {
  return document.field('kind')?.text ?? '';
}

/** What the filter calls the processor's cluster. */
export function clusterName(filter: ProcessorFilter): Place | undefined {
  return filter.config.field('grpc_service', 'envoy_grpc', 'cluster_name');
}

/** The clusters of our filters that are in the files, each once, with the filter that names it first. */
export function processorClusters(setup: EnvoySetup): { cluster: Place; filter: ProcessorFilter }[] {
  const seen = new Map<Place, ProcessorFilter>();
  for (const filter of setup.filters) {
    const cluster = setup.clusters.get(clusterName(filter)?.text ?? '');
    if (cluster !== undefined && !seen.has(cluster)) seen.set(cluster, filter);
  }
  return [...seen].map(([cluster, filter]) => ({ cluster, filter }));
}

interface Found {
  readonly filters: ProcessorFilter[];
  readonly managers: Manager[];
  readonly clusters: Map<string, Place>;
  readonly perRoute: Place[];
  readonly patches: Patch[];
  visited: number;
}

/** Far above any configuration: aliases of YAML can make endless ones of a few lines. */
const mostPlaces = 1_000_000;
const deepest = 200;

function search(place: Place, found: Found, listener: Place | undefined, depth = 0): void {
  found.visited++;
  if (found.visited > mostPlaces || depth > deepest) {
    throw new ConfigError(
      `${place.file}: more than ${mostPlaces} values, or more than ${deepest} within each other`,
    );
  }
  const { type } = place;
  if (type === 'ExtProcPerRoute') found.perRoute.push(place);
  if (type === 'HttpConnectionManager') found.managers.push(managerOf(place, listener));
  const config = place.field('typed_config');
  if (config?.type === 'ExternalProcessor') found.filters.push(envoyFilter(place, config));
  const isListener = place.field('filter_chains') !== undefined;
  if (isCluster(place)) found.clusters.set(place.field('name')?.text ?? '', place);
  for (const patch of place.field('configPatches')?.items() ?? []) {
    const value = patch.field('patch', 'value');
    if (value === undefined) continue;
    const applyTo = patch.field('applyTo')?.text ?? '';
    found.patches.push({ applyTo, operation: patch.field('patch', 'operation'), value });
  }
  for (const [, inside] of place.fields()) search(inside, found, isListener ? place : listener, depth + 1);
  for (const inside of place.items()) search(inside, found, listener, depth + 1);
}

function managerOf(config: Place, listener: Place | undefined): Manager {
  const filters = (config.field('http_filters')?.items() ?? []).map((place) => ({
    name: place.field('name')?.text ?? '',
    type: place.field('typed_config')?.type ?? '',
    place,
  }));
  return { place: config.field('http_filters') ?? config, filters, config, listener };
}

/** A route names clusters, too: one that is defined says how it is reached. */
function isCluster(place: Place): boolean {
  const told = ['load_assignment', 'lb_policy', 'connect_timeout', 'eds_cluster_config', 'cluster_type'];
  return place.field('name') !== undefined && told.some((name) => place.field(name) !== undefined);
}

/** An Envoy may ask other processors as well: then ours is the one that is told whose it is, or is called so. */
function ours(filters: readonly ProcessorFilter[]): readonly ProcessorFilter[] {
  const named = filters.filter((filter) => {
    const metadata = filter.config.field('grpc_service', 'initial_metadata')?.items() ?? [];
    const keys = metadata.map((entry) => entry.field('key')?.text ?? '').join(' ');
    const backends = filter.config.field('backendRefs')?.items() ?? [];
    const names = [clusterName(filter), ...backends.map((backend) => backend.field('name'))];
    return /x-datadog-/.test(keys) || names.some((name) => /appsec|datadog|waf/i.test(name?.text ?? ''));
  });
  return named.length > 0 ? named : filters;
}
