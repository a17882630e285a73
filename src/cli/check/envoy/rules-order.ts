import type { Issue } from '../rule.ts';
import type { EnvoyRule } from './rule.ts';
import type { EnvoySetup, HttpFilter, Manager } from './setup.ts';

/** The last part of the usual name (`envoy.filters.http.lua`), and the message that says what a filter is. */
const changing: Readonly<Record<string, string>> = {
  ...{ lua: 'Lua', wasm: 'Wasm', header_mutation: 'HeaderMutation', ext_proc: 'ExternalProcessor' },
  ...{ grpc_json_transcoder: 'GrpcJsonTranscoder', golang: '', proto_message_extraction: '' },
};
const answering: Readonly<Record<string, string>> = {
  ...{ ext_authz: 'ExtAuthz', jwt_authn: 'JwtAuthentication', rbac: 'RBAC', basic_auth: 'BasicAuth' },
  ...{
    api_key_auth: 'ApiKeyAuth',
    oauth2: 'OAuth2',
    ratelimit: 'RateLimit',
    local_ratelimit: 'LocalRateLimit',
  },
  ...{
    fault: 'HTTPFault',
    cors: 'Cors',
    csrf: 'CsrfPolicy',
    health_check: 'HealthCheck',
    cache: 'CacheConfig',
  },
  ...{ admission_control: 'AdmissionControl', adaptive_concurrency: 'AdaptiveConcurrency' },
};

/** Rules about where the filter stands among the others: requests pass them downwards, responses upwards. */
export const orderRules: readonly EnvoyRule[] = [
  {
    id: 'rewritten-before',
    severity: 'warning',
    why: 'the processor inspects another request than the client sent',
    remedy: 'put the ext_proc filter in front of it',
    *find(setup) {
      yield* before(setup, changing, (name) => `${name} stands in front and may change requests`);
    },
  },
  {
    id: 'answered-before',
    severity: 'hint',
    why: 'what it answers is neither inspected nor reported',
    remedy: 'put the ext_proc filter in front of it, unless that is meant',
    *find(setup) {
      yield* before(setup, answering, (name) => `${name} stands in front and answers requests itself`);
    },
  },
  {
    id: 'buffered-before',
    severity: 'hint',
    why: 'it refuses bodies above its limit (413) before they are inspected, and holds them a second time',
    remedy: 'put the ext_proc filter in front of it, or remove it',
    *find(setup) {
      yield* before(setup, { buffer: 'Buffer' }, (name) => `${name} stands in front`);
    },
  },
  {
    id: 'compressed-before',
    severity: 'warning',
    why: 'responses pass the filters in the opposite order: the processor gets them compressed, for it to undo',
    remedy: 'put the compressor in front of the ext_proc filter',
    *find({ managers, filters }) {
      for (const { filters: chain } of managers) {
        const at = ownIndex(chain, filters);
        if (at === -1) continue;
        for (const filter of chain.slice(at + 1)) {
          if (isOneOf(filter, { compressor: 'Compressor' }))
            yield { line: filter.place, what: 'the compressor stands behind' };
        }
      }
    },
  },
  {
    id: 'last-in-istio',
    severity: 'hint',
    why: "the filter comes behind all of Istio's own (JWT, authorization, CORS, faults): what they answer is not inspected",
    remedy: "say 'operation: INSERT_FIRST', without the subFilter",
    *find({ patches }) {
      for (const { applyTo, operation, value } of patches) {
        const asks = value.field('typed_config')?.type === 'ExternalProcessor';
        if (applyTo !== 'HTTP_FILTER' || !asks || operation?.text !== 'INSERT_BEFORE') continue;
        yield { line: operation, what: 'INSERT_BEFORE the router' };
      }
    },
  },
];

function* before(
  { managers, filters }: EnvoySetup,
  kinds: Readonly<Record<string, string>>,
  what: (name: string) => string,
): Iterable<Issue> {
  for (const { filters: chain } of managers as readonly Manager[]) {
    const at = ownIndex(chain, filters);
    for (const filter of chain.slice(0, Math.max(at, 0))) {
      if (isOneOf(filter, kinds)) yield { line: filter.place, what: what(filter.name) };
    }
  }
}

/** Of the first filter of ours in the chain, -1 when there is none. */
function ownIndex(chain: readonly HttpFilter[], own: EnvoySetup['filters']): number {
  return chain.findIndex(({ place }) =>
    own.some((filter) => filter.place.file === place.file && filter.place.number === place.number),
  );
}

/** A filter's name is free: its message says what it is, where there is one. */
function isOneOf({ name, type }: HttpFilter, kinds: Readonly<Record<string, string>>): boolean {
  return Object.entries(kinds).some(
    ([part, message]) => (message !== '' && type === message) || name.endsWith(`.${part}`),
  );
}
