import { envoyConfigurationVersion } from '../../envoyconf/files.ts';
import { millisecondsOf, type Place } from './place.ts';
import type { EnvoyRule } from './rule.ts';
import { clusterName } from './setup.ts';

/** Rules about the filter itself: that there is one, how it fails, and what it tells the processor. */
export const filterRules: readonly EnvoyRule[] = [
  {
    id: 'no-ext-proc',
    severity: 'error',
    why: 'nothing is sent to the processor',
    remedy:
      "take the filter from what 'appsec-edge envoyconf' writes, and name every file of the configuration",
    *find({ filters, documents }) {
      const [first] = documents;
      if (filters.length === 0 && first !== undefined) yield { line: first, what: 'no ext_proc filter' };
    },
  },
  {
    id: 'unprotected-manager',
    severity: 'hint',
    why: 'its traffic is not inspected, while that of another is',
    remedy: 'put the ext_proc filter into it, unless that is meant',
    *find({ filters, managers }) {
      if (filters.length === 0) return;
      for (const { place, config, filters: chain } of managers) {
        if (chain.some(({ type }) => type === 'ExternalProcessor')) continue;
        const name = config.field('stat_prefix')?.text ?? '';
        yield {
          line: place,
          what: `HTTP connection manager ${name} has no ext_proc filter`.replace('  ', ' '),
        };
      }
    },
  },
  {
    id: 'unprotected-route',
    severity: 'hint',
    why: 'what it matches is not inspected',
    remedy: 'remove the line, unless that is meant',
    *find({ perRoute }) {
      for (const place of perRoute) {
        const disabled = place.field('disabled');
        if (disabled?.isTrue) yield { line: disabled, what: 'a route switches the filter off' };
      }
    },
  },
  {
    id: 'http-service',
    severity: 'error',
    why: 'the processor speaks gRPC only, and Envoy calls that field unfinished',
    remedy: "say 'grpc_service' with 'envoy_grpc'",
    *find({ filters }) {
      for (const { config } of filters) {
        const place = config.field('http_service');
        if (place !== undefined) yield { line: place, what: 'http_service in place of grpc_service' };
      }
    },
  },
  {
    id: 'google-grpc',
    severity: 'warning',
    why: "health checks, circuit breakers and TLS of Envoy's clusters do not count for it",
    remedy: "say 'envoy_grpc' with a cluster of its own",
    *find({ filters }) {
      for (const { config } of filters) {
        const place = config.field('grpc_service', 'google_grpc');
        if (place !== undefined) yield { line: place, what: 'google_grpc in place of envoy_grpc' };
      }
    },
  },
  {
    id: 'placeholder',
    severity: 'error',
    why: 'it was to be replaced, and nothing has that name',
    remedy: 'put your own name in its place',
    *find({ documents }) {
      for (const document of documents) {
        for (const place of scalarsOf(document)) {
          const found = /<[a-z][a-z-]*[a-z]>/.exec(place.text ?? '')?.[0];
          if (found !== undefined) yield { line: place, what: `${found} stands here` };
        }
      }
    },
  },
  {
    id: 'fail-open',
    severity: 'hint',
    why: 'when the processor does not answer, requests pass uninspected',
    remedy: 'nothing, if that is meant; to refuse them instead, say false',
    *find({ filters }) {
      for (const { failOpen } of filters) {
        if (failOpen?.isTrue) yield { line: failOpen, what: 'fails open' };
      }
    },
  },
  {
    id: 'fail-closed-unsaid',
    severity: 'hint',
    why: 'when the processor does not answer, clients get 500, or 504 after the time-out: that is the default',
    remedy: 'say false if that is meant, and true to let requests pass uninspected',
    *find({ filters }) {
      for (const { failOpen, place, by } of filters) {
        const name = by === 'envoy' ? 'failure_mode_allow' : 'failOpen';
        if (failOpen === undefined) yield { line: place, what: `no ${name}` };
      }
    },
  },
  {
    id: 'default-timeout',
    severity: 'hint',
    why: 'each message has 200 ms then, in which the first of them has to connect, too',
    remedy: "say 'message_timeout: 0.5s' (messageTimeout: 500ms)",
    *find({ filters }) {
      for (const { messageTimeout, place, observability } of filters) {
        if (messageTimeout === undefined && !observability?.isTrue) {
          yield { line: place, what: 'no message_timeout' };
        }
      }
    },
  },
  {
    id: 'short-timeout',
    severity: 'warning',
    why: 'Envoy stops waiting before the WAF has used its time: slow requests pass uninspected, or are refused',
    remedy: 'raise it well above DD_APPSEC_WAF_TIMEOUT',
    *find({ filters, settings }) {
      const wafMs = settings.wafTimeoutUs / 1_000;
      for (const { messageTimeout } of filters) {
        const timeoutMs = millisecondsOf(messageTimeout);
        if (messageTimeout === undefined || timeoutMs === undefined || timeoutMs > wafMs) continue;
        yield { line: messageTimeout, what: `${timeoutMs} ms is not above the WAF's ${wafMs} ms` };
      }
    },
  },
  {
    id: 'no-max-timeout',
    severity: 'hint',
    why: 'the processor cannot ask for more time for a large body',
    remedy: "say 'max_message_timeout: 2s'",
    *find({ filters }) {
      for (const { config, place, by, observability } of filters) {
        if (by !== 'envoy' || observability?.isTrue) continue;
        if (config.field('max_message_timeout') === undefined) {
          yield { line: place, what: 'no max_message_timeout' };
        }
      }
    },
  },
  {
    id: 'stream-timeout',
    severity: 'warning',
    why: 'it ends the inspection of every request that lasts longer, slow uploads and downloads included',
    remedy: 'remove it: message_timeout is the limit for each answer',
    *find({ filters }) {
      for (const { config } of filters) {
        const place = config.field('grpc_service', 'timeout');
        if ((millisecondsOf(place) ?? 0) > 0 && place !== undefined) {
          yield { line: place, what: `grpc_service has a timeout of ${place.text}` };
        }
      }
    },
  },
  {
    id: 'gateway-stream-timeout',
    severity: 'hint',
    why: 'Envoy Gateway (1.9) gives each stream 10 s: a request that lasts longer is not inspected to its end, and fails without failOpen',
    remedy: 'know it; an EnvoyPatchPolicy can change it',
    *find({ filters }) {
      for (const { by, place } of filters) {
        if (by === 'envoy-gateway') yield { line: place, what: 'requests of more than 10 s' };
      }
    },
  },
  {
    id: 'no-retry',
    severity: 'hint',
    why: 'requests whose processor is about to end are not taken to another one',
    remedy: "say 'retry_policy' with 'retry_on: connect-failure,refused-stream,reset-before-request'",
    *find({ filters }) {
      for (const filter of filters) {
        const { retryPolicy, place, config, by } = filter;
        const grpc = by === 'envoy' ? config.field('grpc_service') : place;
        if (retryPolicy !== undefined || grpc === undefined) continue;
        yield { line: clusterName(filter) ?? grpc, what: 'no retry_policy' };
      }
    },
  },
  {
    id: 'no-integration',
    severity: 'hint',
    why: 'the processor has to guess whose traffic it is, for the component of spans and for where the client address stands',
    remedy: "say 'initial_metadata' with x-datadog-envoy-integration or x-datadog-istio-integration: '1'",
    *find({ filters }) {
      for (const { config, by, place } of filters) {
        const grpc = config.field('grpc_service');
        const entries = grpc?.field('initial_metadata')?.items() ?? [];
        const told = entries.some((entry) =>
          /^x-datadog-\w+-integration$/.test(entry.field('key')?.text ?? ''),
        );
        if (by === 'envoy' && !told) yield { line: grpc ?? place, what: 'no x-datadog-envoy-integration' };
      }
    },
  },
  {
    id: 'no-source-address',
    severity: 'warning',
    why: "the processor does not know the client's address, but from X-Forwarded-For, which clients can write",
    remedy: "add source.address to 'request_attributes' (processingMode.request.attributes)",
    *find({ filters }) {
      for (const { requestAttributes, place } of filters) {
        const names = (requestAttributes?.items() ?? []).map(({ text }) => text);
        if (!names.includes('source.address')) {
          yield { line: requestAttributes ?? place, what: 'no attribute source.address' };
        }
      }
    },
  },
  {
    id: 'no-verdict-in-logs',
    severity: 'hint',
    why: 'verdict, rules and trace id do not reach access logs and other filters',
    remedy:
      "name a namespace in 'metadata_options.receiving_namespaces.untyped' (metadata.writableNamespaces)",
    *find({ filters }) {
      for (const { receivingNamespaces, place } of filters) {
        if ((receivingNamespaces?.items() ?? []).length > 0) continue;
        yield { line: place, what: 'no receiving_namespaces' };
      }
    },
  },
  {
    id: 'blocks-ignored',
    severity: 'error',
    why: 'Envoy ignores blocks without a word',
    remedy: 'remove the line',
    *find({ filters }) {
      for (const { config } of filters) {
        const place = config.field('disable_immediate_response');
        if (place?.isTrue) yield { line: place, what: 'disable_immediate_response' };
      }
    },
  },
  {
    id: 'headers-withheld',
    severity: 'warning',
    why: 'what is not forwarded is not inspected',
    remedy: 'remove forward_rules',
    *find({ filters }) {
      for (const { config } of filters) {
        const place = config.field('forward_rules');
        if (place !== undefined) yield { line: place, what: 'forward_rules keeps headers back' };
      }
    },
  },
  {
    id: 'outdated-file',
    severity: 'warning',
    why: `this program comes with Envoy files ${envoyConfigurationVersion}`,
    remedy: 'replace the file; envoyconf/CHANGELOG.md says what changed',
    *find({ sources }) {
      for (const { path, text } of sources) {
        for (const [index, line] of text.split('\n').entries()) {
          const marked = /^\s*# appsec-edge Envoy configuration (\d[\w.]*\w)/.exec(line)?.[1];
          if (marked === undefined || marked === envoyConfigurationVersion) continue;
          yield { line: { file: path, number: index + 1 }, what: `is of version ${marked}` };
        }
      }
    },
  },
];

function* scalarsOf(place: Place): Iterable<Place> {
  if (place.text !== undefined) yield place;
  for (const [, inside] of place.fields()) yield* scalarsOf(inside);
  for (const inside of place.items()) yield* scalarsOf(inside);
}
