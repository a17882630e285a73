import type { Issue } from '../rule.ts';
import type { Processing, ProcessorFilter } from './filter.ts';
import type { EnvoyRule } from './rule.ts';
import type { EnvoySetup } from './setup.ts';

/** Rules about what is sent of requests and responses, and whether it can be blocked (docs/envoy.md, "Modes"). */
export const modeRules: readonly EnvoyRule[] = [
  {
    id: 'requests-skipped',
    severity: 'error',
    why: 'requests are not inspected',
    remedy: "say 'request_header_mode: SEND' (an empty 'request' in processingMode)",
    *find({ processing }) {
      yield* skipped(processing, 'request');
    },
  },
  {
    id: 'responses-skipped',
    severity: 'warning',
    why: 'responses are not inspected, and spans have no status',
    remedy: "say 'response_header_mode: SEND' (an empty 'response' in processingMode)",
    *find({ processing }) {
      yield* skipped(processing, 'response');
    },
  },
  {
    id: 'no-mode-override',
    severity: 'warning',
    why: 'the processor asks for bodies, and Envoy does not listen: no body is inspected',
    remedy: "say 'allow_mode_override: true' (processingMode.allowModeOverride)",
    *find({ filters }) {
      for (const filter of filters) {
        if (filter.observability?.isTrue || filter.allowModeOverride?.isTrue) continue;
        const named = filter.processing.some(({ body }) => body !== 'NONE');
        if (!named) yield { line: filter.allowModeOverride ?? filter.place, what: 'no allow_mode_override' };
      }
    },
  },
  {
    id: 'override-ignored',
    severity: 'warning',
    why: 'Envoy then ignores what the processor asks for: bodies are not inspected',
    remedy: 'remove it; allowed_override_modes must hold each combination that the processor asks for',
    *find({ filters }) {
      for (const { config, allowModeOverride } of filters) {
        if (!allowModeOverride?.isTrue) continue;
        const early = config.field('send_body_without_waiting_for_header_response');
        if (early?.isTrue) yield { line: early, what: 'send_body_without_waiting_for_header_response' };
        const allowed = config.field('allowed_override_modes');
        const entries = allowed?.items() ?? [];
        const partial = entries.some((mode) => /PARTIAL|3/.test(mode.field('request_body_mode')?.text ?? ''));
        if (allowed !== undefined && entries.length > 0 && !partial) {
          yield { line: allowed, what: 'allowed_override_modes without BUFFERED_PARTIAL' };
        }
      }
    },
  },
  {
    id: 'streamed-body',
    severity: 'warning',
    why: 'Envoy passes each piece on before the whole is judged: attacks in bodies are reported and not blocked',
    remedy:
      'remove the line and allow mode overrides: the processor asks for BUFFERED_PARTIAL, which is held back',
    *find({ processing }) {
      yield* bodies(processing, 'STREAMED');
    },
  },
  {
    id: 'buffered-body',
    severity: 'warning',
    why: 'bodies beyond the buffer limit stall until the idle time-out (408, 504), and upgrades hang where overrides are not allowed',
    remedy:
      'remove the line and allow mode overrides: the processor asks for BUFFERED_PARTIAL where that is right',
    *find({ processing }) {
      yield* bodies(processing, 'BUFFERED');
    },
  },
  {
    id: 'partial-body-always',
    severity: 'warning',
    why: 'it holds upgrades, gRPC calls and event streams, which then hang where overrides are not allowed: the processor would not ask for those',
    remedy: 'remove the line and allow mode overrides',
    *find({ processing }) {
      yield* bodies(processing, 'BUFFERED_PARTIAL');
    },
  },
  {
    id: 'full-duplex-trailers',
    severity: 'error',
    why: 'Envoy does not start with FULL_DUPLEX_STREAMED alone',
    remedy: 'say SEND for the trailer mode of the same direction',
    *find({ processing }) {
      for (const { body, bodyPlace, sendsTrailers, direction } of processing) {
        if (body !== 'FULL_DUPLEX_STREAMED' || sendsTrailers || bodyPlace === undefined) continue;
        yield { line: bodyPlace, what: `no ${direction}_trailer_mode: SEND` };
      }
    },
  },
  {
    id: 'full-duplex-fail-open',
    severity: 'warning',
    why: 'what was sent and not given back is lost when the processor fails: it cannot be let through (Envoy Gateway refuses this)',
    remedy: 'fail closed with FULL_DUPLEX_STREAMED, or leave bodies to mode overrides',
    *find({ processing }) {
      for (const { body, bodyPlace, of } of processing) {
        if (body !== 'FULL_DUPLEX_STREAMED' || !of.failOpen?.isTrue || bodyPlace === undefined) continue;
        yield { line: bodyPlace, what: 'FULL_DUPLEX_STREAMED that fails open' };
      }
    },
  },
  {
    id: 'observes-only',
    severity: 'hint',
    why: 'nothing is blocked',
    remedy:
      'nothing, if that is meant; the processor needs DD_SERVICE_EXTENSION_OBSERVABILITY_MODE=true as well',
    *find({ filters }) {
      for (const { observability } of filters) {
        if (observability?.isTrue) yield { line: observability, what: 'observes only' };
      }
    },
  },
  {
    id: 'observed-bodies',
    severity: 'warning',
    why: 'Envoy takes no wishes when it only observes: no body is inspected',
    remedy:
      "say 'request_body_mode: STREAMED' and 'response_body_mode: STREAMED' beside it, the only mode that is possible then",
    *find({ filters }) {
      for (const { observability, processing } of filters) {
        if (!observability?.isTrue) continue;
        const [wrong] = processing.filter(({ body }) => body !== 'NONE' && body !== 'STREAMED');
        if (wrong?.bodyPlace !== undefined) {
          yield { line: wrong.bodyPlace, what: `${wrong.body} where Envoy only observes` };
        } else if (processing.every(({ body }) => body === 'NONE')) {
          yield { line: observability, what: 'no body modes' };
        }
      }
    },
  },
];

function* skipped(processing: EnvoySetup['processing'], wanted: Processing['direction']): Iterable<Issue> {
  for (const { direction, sendsHeaders, headers, of } of processing) {
    if (direction === wanted && !sendsHeaders) {
      yield { line: headers ?? of.place, what: `headers of ${wanted}s are not sent` };
    }
  }
}

function* bodies(
  processing: readonly (Processing & { readonly of: ProcessorFilter })[],
  mode: Processing['body'],
): Iterable<Issue> {
  for (const { body, bodyPlace, direction, of } of processing) {
    // What is only observed need not be held back.
    if (body !== mode || bodyPlace === undefined || of.observability?.isTrue) continue;
    yield { line: bodyPlace, what: `${mode} for bodies of ${direction}s` };
  }
}
