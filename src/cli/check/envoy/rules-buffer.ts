import { bytesOf, type Place } from './place.ts';
import type { EnvoyRule } from './rule.ts';
import { type EnvoySetup, kindOf, type Manager } from './setup.ts';

/** Envoy's own, and those of Istio's gateways and of Envoy Gateway. */
const envoyDefault = 1_048_576;
const gatewayDefault = 32_768;

/** Rules about how much of a body Envoy holds back, and so shows to the processor. */
export const bufferRules: readonly EnvoyRule[] = [
  {
    id: 'buffer-limit',
    severity: 'warning',
    why: 'Envoy holds no more of a body: the rest passes uninspected, and the verdict is partial',
    remedy:
      "raise the listener's per_connection_buffer_limit_bytes, or lower DD_APPSEC_BODY_PARSING_SIZE_LIMIT to it",
    *find(setup) {
      const { bodyLimitBytes } = setup.settings;
      for (const { line, bytes } of limitsOf(setup)) {
        if (bytes >= bodyLimitBytes) continue;
        yield { line, what: `${bytes} bytes are held, and ${bodyLimitBytes} of a body inspected` };
      }
    },
  },
  {
    id: 'buffer-by-default',
    severity: 'hint',
    why: "Istio's gateways and Envoy Gateway hold 32 KiB of a body by default, and what is beyond it passes uninspected",
    remedy:
      'raise it: a patch for LISTENER with per_connection_buffer_limit_bytes, a ClientTrafficPolicy with connection.bufferLimit',
    *find(setup) {
      const unsaid = isKubernetes(setup) && setup.settings.bodyLimitBytes <= gatewayDefault;
      const [first] = setup.filters;
      if (unsaid && first !== undefined && saidLimits(setup).length === 0) {
        yield { line: first.place, what: 'no buffer limit is said' };
      }
    },
  },
];

interface Limit {
  readonly line: Place;
  readonly bytes: number;
}

function limitsOf(setup: EnvoySetup): Limit[] {
  const [first] = setup.filters;
  if (first === undefined) return [];
  if (!isKubernetes(setup)) return setup.managers.filter(asksUs).map(managerLimit);
  const said = saidLimits(setup);
  return said.length > 0 ? said : [{ line: first.place, bytes: gatewayDefault }];
}

function isKubernetes({ documents }: EnvoySetup): boolean {
  return documents.some((document) => ['EnvoyFilter', 'EnvoyExtensionPolicy'].includes(kindOf(document)));
}

/** By patches of an EnvoyFilter and by a ClientTrafficPolicy. */
function saidLimits({ documents, patches }: EnvoySetup): Limit[] {
  const places = [
    ...patches.map(({ value }) => value.field('per_connection_buffer_limit_bytes')),
    ...patches.map(({ value }) => value.field('request_body_buffer_limit')),
    ...documents.map((document) => document.field('spec', 'connection', 'bufferLimit')),
  ];
  return places.flatMap((line) => {
    const bytes = bytesOf(line);
    return line === undefined || bytes === undefined ? [] : [{ line, bytes }];
  });
}

function asksUs({ filters }: Manager): boolean {
  return filters.some(({ type }) => type === 'ExternalProcessor');
}

/** The listener's, or the largest that a virtual host or a route has beside it. */
function managerLimit({ place, config, listener }: Manager): Limit {
  const said = listener?.field('per_connection_buffer_limit_bytes');
  const own: Limit = { line: said ?? listener ?? place, bytes: bytesOf(said) ?? envoyDefault };
  const hosts = config.field('route_config', 'virtual_hosts')?.items() ?? [];
  const routes = hosts.flatMap((host) => [host, ...(host.field('routes')?.items() ?? [])]);
  const limits = routes.flatMap((route) => {
    const line = route.field('request_body_buffer_limit');
    const bytes = bytesOf(line);
    return line === undefined || bytes === undefined ? [] : [{ line, bytes }];
  });
  return limits.reduce((most, limit) => (limit.bytes > most.bytes ? limit : most), own);
}
