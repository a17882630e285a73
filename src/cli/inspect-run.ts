import { BlockPages } from '../engine/block-page.ts';
import { Engine } from '../engine/engine.ts';
import { headerValue } from '../engine/http.ts';
import type { Analysis, Phase, TransactionObserver } from '../engine/transaction.ts';
import type { Verdict } from '../engine/verdict.ts';
import type { Waf } from '../engine/waf/waf.ts';
import type { WafEvent } from '../engine/waf/waf-result.ts';
import { declaredSize, type GivenRequest, type GivenResponse } from './inspect-message.ts';
import type { Config } from './settings.ts';

/** One place where a rule matched. Names as in Datadog's events; this is what `--json` prints. */
export interface Match {
  readonly phase: Phase;
  readonly rule_id: string;
  readonly rule_name: string;
  readonly type: string | undefined;
  readonly category: string | undefined;
  readonly confidence: string | undefined;
  readonly operator: string;
  readonly address: string | undefined;
  readonly key_path: readonly string[];
  readonly value: string | undefined;
  readonly highlight: readonly string[];
}

/** What was looked at in one phase. */
export interface Inspected {
  readonly phase: Phase;
  /** Of a body: how it was read. */
  format?: string;
  bytes?: number;
  partial: boolean;
  malformed?: string;
  waf_us?: number;
  waf_timeout?: boolean;
}

export interface InspectReport {
  /** As the daemon tells HAProxy: `partial` when nothing was found, and not everything was looked at. */
  readonly verdict: Verdict['kind'] | 'partial';
  /** What the client would get instead of the page. */
  readonly answer?: {
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    readonly body: string;
  };
  readonly request: { readonly method: string; readonly host: string | undefined; readonly target: string };
  readonly client_ip: string | undefined;
  readonly rule_ids: readonly string[];
  readonly matches: readonly Match[];
  readonly inspected: readonly Inspected[];
  /** For people: what was not looked at, and what the daemon would do differently. */
  readonly notes: readonly string[];
}

/** Collects what the engine says about the one transaction it is asked about. */
export class InspectObserver implements TransactionObserver {
  readonly matches: Match[] = [];
  readonly inspected: Inspected[] = [];

  readonly bodyRead: NonNullable<TransactionObserver['bodyRead']> = (_transaction, phase, body) => {
    const entry = this.#entry(phase);
    entry.format = body.format;
    if (body.partial) entry.partial = true;
    if (body.malformed !== undefined) entry.malformed = body.malformed;
  };

  readonly wafRan: NonNullable<TransactionObserver['wafRan']> = (_transaction, phase, result) => {
    const entry = this.#entry(phase);
    entry.waf_us = Math.round(result.durationUs);
    if (result.truncated) entry.partial = true;
    if (result.timeout) entry.waf_timeout = true;
  };

  readonly detected: NonNullable<TransactionObserver['detected']> = (_transaction, phase, events) => {
    for (const event of events) this.matches.push(...matchesOf(phase, event));
  };

  #entry(phase: Phase): Inspected {
    const known = this.inspected.find((entry) => entry.phase === phase);
    if (known !== undefined) return known;
    const entry: Inspected = { phase, partial: false };
    this.inspected.push(entry);
    return entry;
  }
}

/** An engine for one transaction. */
export function createInspectEngine(config: Config, waf: Waf, observer: InspectObserver): Engine {
  return new Engine({
    waf,
    wafTimeoutUs: config.wafTimeoutUs,
    bodyLimitBytes: config.bodyLimitBytes,
    maxDecompressedBytes: config.maxDecompressedBytes,
    clientIpHeader: config.clientIpHeader,
    maxLiveTransactions: 1,
    observers: [observer],
  });
}

/** Long enough for one transaction that nobody waits for. */
const timeToLiveMs = 60_000;

/**
 * Asks the engine as HAProxy would: each message only when it is wanted and nothing was blocked before.
 * @param observer one of the engine's own observers.
 */
export async function inspect(
  engine: Engine,
  observer: InspectObserver,
  request: GivenRequest,
  response: GivenResponse | undefined,
  pages: BlockPages = new BlockPages(),
): Promise<InspectReport> {
  const notes: string[] = [];
  let analysis = engine.requestHeaders(request.head, timeToLiveMs);
  const { id, clientIp } = analysis.transaction;
  if (!isBlocked(analysis) && request.body.length > 0) {
    if (analysis.wantsBody) {
      const chunk = { bytes: request.body, declaredSize: declaredSize(request.head.headers, request.body) };
      analysis = await engine.requestBody(id, chunk, timeToLiveMs);
      measured(observer, 'request-body', request.body);
    } else
      notes.push(
        'The request body was not looked at: no rule reads bodies, or they are not asked for of this kind.',
      );
  } else if (request.body.length > 0) {
    notes.push('The request body was not looked at: the request was blocked before.');
  }
  if (response !== undefined && isBlocked(analysis)) {
    notes.push('The response was not looked at: the request was blocked before.');
  } else if (response !== undefined) {
    analysis = engine.responseHeaders(id, response.head, timeToLiveMs);
    if (analysis.wantsBody && response.body.length > 0) {
      const chunk = {
        bytes: response.body,
        declaredSize: declaredSize(response.head.headers, response.body),
      };
      analysis = await engine.responseBody(id, chunk, timeToLiveMs);
      measured(observer, 'response-body', response.body);
    } else if (response.body.length > 0 && !isBlocked(analysis)) {
      notes.push(
        'The response body was not looked at: the agent asks for JSON only, and where a rule reads it.',
      );
    }
  }
  engine.drain();
  for (const { phase, waf_timeout: ranOut } of observer.inspected) {
    if (ranOut)
      notes.push(`${phase}: the WAF ran out of time before all rules were tried; see --waf-timeout.`);
  }
  return {
    verdict:
      analysis.verdict.kind === 'pass' && analysis.transaction.partial ? 'partial' : analysis.verdict.kind,
    ...answerOf(analysis.verdict, pages),
    request: {
      method: request.head.method,
      host: headerValue(request.head.headers, 'host'),
      target: request.head.target,
    },
    client_ip: clientIp,
    rule_ids: [...analysis.transaction.ruleIds],
    matches: observer.matches,
    inspected: observer.inspected,
    notes,
  };
}

function isBlocked(analysis: Analysis): boolean {
  return analysis.verdict.kind === 'block' || analysis.verdict.kind === 'redirect';
}

function measured(observer: InspectObserver, phase: Phase, body: Uint8Array): void {
  for (const entry of observer.inspected) if (entry.phase === phase) entry.bytes = body.length;
}

function answerOf(verdict: Verdict, pages: BlockPages): Pick<InspectReport, 'answer'> {
  if (verdict.kind !== 'block' && verdict.kind !== 'redirect') return {};
  const { status, headers, body } = pages.render(verdict);
  return { answer: { status, headers, body: body.toString() } };
}

function matchesOf(phase: Phase, event: WafEvent): Match[] {
  const { id, name, tags } = event.rule;
  return event.rule_matches.flatMap((match) =>
    match.parameters.map((parameter) => ({
      phase,
      rule_id: id,
      rule_name: name,
      type: tags['type'],
      category: tags['category'],
      confidence: tags['confidence'],
      operator: match.operator,
      address: parameter.address,
      key_path: (parameter.key_path ?? []).map(String),
      value: parameter.value,
      highlight: parameter.highlight ?? [],
    })),
  );
}
